//! `prepare table`: a CSV, JSON or parquet file of images, texts and labels becomes shards.

mod columns;
mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use columns::ColumnNames;

use super::blocks::Workplace;
use super::draft::Draft;
pub(crate) use super::run::Drafts;
use super::run::{Job, run};
use super::{Making, Prepared, Progress, Shares};
use crate::error::DataError;
use crate::raw::rows::Rows;
use crate::shard::WriterOptions;
use columns::Columns;
use record::Assembler;
pub(crate) use record::TEXT_LIMIT;

/// How a table becomes records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableOptions {
    /// Name of the data set; the table's file name without extension where empty.
    pub source: String,
    /// Which columns mean what.
    pub columns: ColumnNames,
    /// How patients are split where the table has no split column.
    pub shares: Shares,
    /// Leaves bad rows out and lists them in the manifest, instead of stopping at the first.
    pub skip_bad: bool,
    /// Takes an empty image or text cell for a record without that half, instead of for a mistake.
    pub allow_missing: bool,
    /// How it is made.
    pub making: Making,
}

/// Writes the records of a table to `out`, a folder that is absent or empty.
///
/// Images are read relative to the table's folder and decoded once, so that only usable ones reach a shard; their files'
/// bytes are stored, or a smaller PNG ([`Making::side`]). A table without an image or without a text column is fine;
/// in one that has both, a half may be missing by a `null` (JSONL) or, with [`TableOptions::allow_missing`], by an empty
/// cell.
///
/// # Errors
/// When the table cannot be read or lacks columns, at the first bad row unless [`TableOptions::skip_bad`], when `out` is
/// in the way, or when the system refuses. Nothing stands under `out` then.
pub fn prepare(
    table: &Path,
    out: &Path,
    options: &TableOptions,
    progress: &dyn Fn(Progress),
) -> Result<Prepared, DataError> {
    options.shares.check()?;
    options.making.check()?;
    let named = within(table)?;
    let table = named.as_path();
    let rows = Rows::open(table)?;
    let columns = Columns::find(rows.header(), &options.columns, table)?;
    let hash = crate::files::sha256(table)?;
    let place = Workplace::take(out)?;
    let TableOptions { columns: names, shares, skip_bad, allow_missing, .. } = options;
    let told = format!("{names:?} {shares:?} skip_bad {skip_bad} allow_missing {allow_missing}");
    let job = Job {
        decided_by: BTreeMap::from([("table".into(), hash), ("options".into(), told)]),
        writer: writer_options(table, options, &columns),
        duplicates: options.making.duplicates_of(columns.split.is_some()),
        table: Some(table.to_path_buf()),
        skip_bad: options.skip_bad,
        noted: BTreeMap::new(),
        overlaps: vec![],
    };
    let mut rows = TableRows { rows, assembler: Assembler::new(table, options, columns) };
    run((place, out), job, &options.making, &mut rows, progress)
}

/// The table itself, or the one that a folder holds.
fn within(table: &Path) -> Result<PathBuf, DataError> {
    if !table.is_dir() {
        return Ok(table.to_path_buf());
    }
    let names = ["metadata", "labels"].into_iter();
    let names =
        names.flat_map(|name| ["csv", "tsv", "jsonl", "json", "parquet"].map(|ending| format!("{name}.{ending}")));
    let found = names.map(|name| table.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| DataError::Table {
        path: table.to_path_buf(),
        cause: "the folder has no `metadata.csv` (or .tsv, .jsonl, .json, .parquet) and no `labels.csv`; name the table itself".into(),
    })
}

/// The rows of a table as records whose images are still to be read.
pub(crate) struct TableRows {
    rows: Rows,
    assembler: Assembler,
}

impl TableRows {
    /// A table whose columns have usual names; all others are labels, and a half may be missing.
    ///
    /// # Errors
    /// As [`prepare`], of the table as a whole.
    pub(crate) fn open(table: &Path) -> Result<Self, DataError> {
        let rows = Rows::open(table)?;
        let columns = Columns::find(rows.header(), &ColumnNames::default(), table)?.with_all_labels();
        let options = TableOptions { allow_missing: true, ..TableOptions::default() };
        Ok(Self { rows, assembler: Assembler::new(table, &options, columns) })
    }
}

impl Drafts for TableRows {
    fn next(&mut self) -> Result<Option<Draft>, DataError> {
        Ok(self.rows.next()?.map(|row| self.assembler.draft(row)))
    }

    fn share(&self, _: u64) -> f64 {
        self.rows.share()
    }
}

fn writer_options(table: &Path, options: &TableOptions, columns: &Columns) -> WriterOptions {
    let mut writer = WriterOptions::new(source_name(table, options));
    writer.dataset = "table".into();
    writer.arguments.clone_from(&options.making.arguments);
    let Shares { validate, test, seed } = options.shares;
    writer.preprocessing = vec![
        super::stored(options.making.side),
        "texts are trimmed".into(),
        match columns.split {
            Some(_) => "splits are those of the table".into(),
            None => format!("splits are drawn by a hash of the patient: validate {validate}, test {test}, seed {seed}"),
        },
    ];
    writer
}

fn source_name(table: &Path, options: &TableOptions) -> String {
    match options.source.as_str() {
        "" => table.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        name => name.to_string(),
    }
}

#[cfg(test)]
mod tests;
