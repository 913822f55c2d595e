//! Which splits the pairs of a table are in, before anything is made of it.

use std::collections::BTreeMap;

use ptu_data::DataError;
use ptu_data::columns::Purpose;
use ptu_data::record::Split;

use super::{Drafts, Table};
use crate::draft::Work;

/// Pairs of a table by split, as its rows say; whether their images can be read is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairsBySplit {
    /// Pairs of each split that has any.
    pub pairs: BTreeMap<Split, u64>,
    /// The column that says the split, where there is one.
    pub column: Option<String>,
    /// Whether the names of files say it.
    pub by_files: bool,
}

impl PairsBySplit {
    /// Pairs of a split.
    pub fn of(&self, split: Split) -> u64 {
        self.pairs.get(&split).copied().unwrap_or_default()
    }
}

impl Table {
    /// Reads rows until `enough` has been seen, or all.
    ///
    /// # Errors
    /// When the table cannot be read on.
    pub fn pairs_by_split(mut self, enough: &dyn Fn(&PairsBySplit) -> bool) -> Result<PairsBySplit, DataError> {
        let column = self.columns().into_iter().find(|column| column.taken_for == Purpose::Split);
        let by_files = self.files.published();
        let mut held = PairsBySplit { pairs: BTreeMap::new(), column: column.map(|column| column.name), by_files };
        while let Some(draft) = self.rows.next()? {
            if let Work::Read(record, _) | Work::Find(record, _) = draft.work
                && record.image.is_some()
                && !record.texts.is_empty()
            {
                *held.pairs.entry(record.split).or_default() += 1;
                if enough(&held) {
                    break;
                }
            }
        }
        Ok(held)
    }
}
