//! Counts the image-text pairs of a table by split, before the table is prepared.

use std::collections::BTreeMap;

use ptu_data::DataError;
use ptu_data::columns::Purpose;
use ptu_data::record::Split;

use super::{DraftSource, Table};
use crate::draft::RemainingWork;

/// The number of image-text pairs of a table in each split, according to its rows. It is not checked whether the images can be
/// read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairsBySplit {
    /// Number of pairs of each split that has any.
    pub pairs: BTreeMap<Split, u64>,
    /// The column that gives the split, if there is one.
    pub column: Option<String>,
    /// True if the names of files give the split.
    pub by_files: bool,
}

impl PairsBySplit {
    /// Number of pairs of a split.
    pub fn of(&self, split: Split) -> u64 {
        self.pairs.get(&split).copied().unwrap_or_default()
    }
}

impl Table {
    /// Reads rows and counts pairs until `enough` returns true, or until the end of the table.
    ///
    /// # Errors
    /// When the rest of the table cannot be read.
    pub fn pairs_by_split(mut self, enough: &dyn Fn(&PairsBySplit) -> bool) -> Result<PairsBySplit, DataError> {
        let column = self.columns().into_iter().find(|column| column.taken_for == Purpose::Split);
        let by_files = self.files.have_splits();
        let mut counts = PairsBySplit { pairs: BTreeMap::new(), column: column.map(|column| column.name), by_files };
        while let Some(draft) = self.rows.next()? {
            if let RemainingWork::Read(record, _) | RemainingWork::Find(record, _) = draft.work
                && record.image.is_some()
                && !record.texts.is_empty()
            {
                *counts.pairs.entry(record.split).or_default() += 1;
                if enough(&counts) {
                    break;
                }
            }
        }
        Ok(counts)
    }
}
