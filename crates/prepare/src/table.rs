//! `prepare table`: a CSV, JSON or parquet file of images, texts and labels becomes shards.
//!
//! [`Table::open`] says what its columns are taken for, before anything is done; [`Table::prepare`] makes the shards.

mod absent;
mod columns;
mod command;
mod files;
mod held;
mod record;
mod rows;
mod seen;
mod uses;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub use columns::ColumnNames;
pub use command::TableCommand;
pub use files::FILES_LEFT;
pub use held::PairsBySplit;

use crate::blocks::Workplace;
use crate::prepared::{Prepared, Progress, stored};
use crate::raw::Entry;
pub(crate) use crate::run::Drafts;
use ptu_data::DataError;
use ptu_data::columns::TableColumn;
use ptu_data::shard::WriterOptions;

use crate::run::{Job, JobTable, PrepareOptions, run};
use crate::shares::Shares;
use columns::Columns;
use files::TableFiles;
pub(crate) use record::TEXT_LIMIT;
pub(crate) use rows::{TableImages, TableRows};

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
    /// The command that reads the table, so that messages name options that it has.
    pub command: TableCommand,
    /// How it is made.
    pub making: PrepareOptions,
}

/// A table that was opened: what its columns are taken for is known, its rows are not read yet.
pub struct Table {
    path: PathBuf,
    files: TableFiles,
    rows: TableRows,
    columns: Columns,
    options: TableOptions,
}

/// Writes the records of a table to `out`, a folder that is absent or empty: [`Table::open`] and [`Table::prepare`] in one.
///
/// # Errors
/// As both.
pub fn prepare(
    table: &Path,
    out: &Path,
    options: &TableOptions,
    progress: &dyn Fn(Progress),
) -> Result<Prepared, DataError> {
    Table::open(table, options)?.prepare(out, progress)
}

impl Table {
    /// Opens a table, or the table that a folder holds: `metadata.*`, `labels.*`, or files whose names or folders tell their
    /// split.
    ///
    /// # Errors
    /// When the table cannot be read or lacks columns, or when options cannot work.
    pub fn open(table: &Path, options: &TableOptions) -> Result<Self, DataError> {
        options.shares.check()?;
        options.making.check()?;
        let files = TableFiles::find(table)?;
        let path = match files.files.as_slice() {
            [only] if only.split.is_none() => only.path.clone(),
            _ => table.to_path_buf(),
        };
        let (rows, columns) = TableRows::open(&path, files.files.clone(), options)?;
        Ok(Self { path, files, rows, columns, options: options.clone() })
    }

    /// What each column is taken for, in the order of the table.
    pub fn columns(&self) -> Vec<TableColumn> {
        self.columns.uses()
    }

    /// What is read and what is left, in lines for people: files by split, columns by what they are taken for.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.files.lines();
        lines.extend(self.columns.lines(&self.path, self.files.published()));
        lines
    }

    /// Writes the records to `out`, a folder that is absent or empty.
    ///
    /// Images are read relative to their table's folder and decoded once, so that only usable ones reach a shard; their files'
    /// bytes are stored, or a smaller PNG ([`PrepareOptions::side`]). A table without an image or without a text column is fine; in
    /// one that has both, a half may be missing by a `null` (JSONL) or, with [`TableOptions::allow_missing`], by an empty
    /// cell.
    ///
    /// # Errors
    /// At the first bad row unless [`TableOptions::skip_bad`], when no record has an image though a column looks like it, when
    /// `out` is in the way, or when the system refuses. Nothing stands under `out` then.
    pub fn prepare(mut self, out: &Path, progress: &dyn Fn(Progress)) -> Result<Prepared, DataError> {
        let tables = Job::hashed(self.files.files.iter().map(|file| Entry::file(&file.path)).collect())?;
        let place = Workplace::take(out)?;
        let job = self.job(tables);
        run((place, out), job, &self.options.making, &mut self.rows, progress)
    }

    fn job(&self, tables: Vec<(Entry, String)>) -> Job {
        let TableOptions { columns: names, shares, skip_bad, allow_missing, .. } = &self.options;
        let told = format!("{names:?} {shares:?} skip_bad {skip_bad} allow_missing {allow_missing}");
        let (published, own) = (self.files.published(), self.columns.split.is_some());
        let left = Some(&self.files.left).filter(|left| !left.is_empty());
        let noted = left.map(|files| (FILES_LEFT.to_string(), files.len() as u64));
        let details = left.map(|files| (FILES_LEFT.to_string(), files.clone()));
        Job {
            decided_by: BTreeMap::from([("options".into(), told)]),
            tables,
            writer: self.writer_options(),
            duplicates: self.options.making.duplicates_of(published || own),
            table: Some(JobTable {
                path: self.path.clone(),
                columns: self.columns(),
                skip_bad: self.options.command.skip_bad(),
            }),
            skip_bad: *skip_bad,
            noted: noted.into_iter().collect(),
            details: details.into_iter().collect(),
            overlaps: vec![],
        }
    }

    fn writer_options(&self) -> WriterOptions {
        let published = self.files.published();
        let mut writer = WriterOptions::new(source_name(&self.path, &self.options));
        writer.dataset = "table".into();
        writer.arguments.clone_from(&self.options.making.arguments);
        writer.shared_patients = published;
        let Shares { validate, test, seed } = self.options.shares;
        writer.preprocessing = vec![
            stored(self.options.making.side),
            "texts are trimmed".into(),
            match (self.columns.split.is_some(), published) {
                (true, _) => "splits are those of the table".into(),
                (false, true) => "splits are those of the files".into(),
                _ => {
                    format!("splits are drawn by a hash of the patient: validate {validate}, test {test}, seed {seed}")
                }
            },
        ];
        writer
    }
}

/// The name of the data set of a table: a file's without its ending, also that of its packing, a folder's as it is.
fn source_name(table: &Path, options: &TableOptions) -> String {
    match options.source.as_str() {
        "" => {
            let packed = |ending: &OsStr| ["gz", "gzip"].iter().any(|packed| ending.eq_ignore_ascii_case(packed));
            let name = match table.extension().is_some_and(packed) {
                true => Path::new(table.file_stem().unwrap_or_default()),
                false => table,
            };
            name.file_stem().unwrap_or_default().to_string_lossy().into_owned()
        }
        name => name.to_string(),
    }
}

#[cfg(test)]
mod tests;
