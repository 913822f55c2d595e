//! `prepare table`: turns a CSV, JSON or parquet file of images, texts and labels into shards.
//!
//! [`Table::open`] finds the purpose of each column before any row is read; [`Table::prepare`] writes the shards.

mod columns;
mod command;
mod files;
mod missing_values;
mod pairs_by_split;
mod purposes;
mod record;
mod rows;
mod statistics;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub use columns::ColumnNames;
pub use command::TableCommand;
pub use files::FILES_LEFT;
pub use pairs_by_split::PairsBySplit;

use crate::blocks::WorkFolder;
use crate::prepared::{Prepared, Progress, image_storage};
use crate::raw::Entry;
pub(crate) use crate::run::DraftSource;
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
    /// Name of the data set; if empty, the table's file name without extension.
    pub source: String,
    /// The names of the columns for each purpose.
    pub columns: ColumnNames,
    /// The shares of the splits, if the table has no split column.
    pub shares: Shares,
    /// If true, bad rows are skipped and listed in the manifest. Otherwise they are an error.
    pub skip_bad: bool,
    /// If true, a row with an empty image or text cell is a record without that modality. Otherwise it is an error.
    pub allow_missing: bool,
    /// The command that reads the table; messages name the options of this command.
    pub command: TableCommand,
    /// Options that all data sets have in common.
    pub prepare: PrepareOptions,
}

/// An opened table: the purpose of each column is known, but no row has been read yet.
pub struct Table {
    path: PathBuf,
    files: TableFiles,
    rows: TableRows,
    columns: Columns,
    options: TableOptions,
}

/// Writes the records of a table to `out`, a folder that does not exist or is empty: calls [`Table::open`] and then
/// [`Table::prepare`].
///
/// # Errors
/// As these two functions.
pub fn prepare(
    table: &Path,
    out: &Path,
    options: &TableOptions,
    progress: &dyn Fn(Progress),
) -> Result<Prepared, DataError> {
    Table::open(table, options)?.prepare(out, progress)
}

impl Table {
    /// Opens a table, or the table in a folder: `metadata.*`, `labels.*`, or files whose names or folders give their split.
    ///
    /// # Errors
    /// When the table cannot be read or lacks columns, or when an option is not valid.
    pub fn open(table: &Path, options: &TableOptions) -> Result<Self, DataError> {
        options.shares.check()?;
        options.prepare.check()?;
        let files = TableFiles::find(table)?;
        let path = match files.files.as_slice() {
            [only] if only.split.is_none() => only.path.clone(),
            _ => table.to_path_buf(),
        };
        let (rows, columns) = TableRows::open(&path, files.files.clone(), options)?;
        Ok(Self { path, files, rows, columns, options: options.clone() })
    }

    /// Each column with its purpose, in the order of the table.
    pub fn columns(&self) -> Vec<TableColumn> {
        self.columns.purposes()
    }

    /// Lines for the user: the files of each split, and the columns for each purpose.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.files.lines();
        lines.extend(self.columns.lines(&self.path, self.files.have_splits()));
        lines
    }

    /// Writes the records to `out`, a folder that does not exist or is empty.
    ///
    /// The paths of images are relative to the folder of their table. Each image is decoded once, so that only usable images reach
    /// a shard. The shard stores the bytes of the image file, or a smaller PNG ([`PrepareOptions::side`]). A table may have no image
    /// column or no text column. In a table that has both, a row may lack its image or its text: by a `null` (JSONL) or, with
    /// [`TableOptions::allow_missing`], by an empty cell.
    ///
    /// # Errors
    /// When a row is bad, unless [`TableOptions::skip_bad`] is set; when no record has an image although a column contains paths
    /// of images; when `out` is not an empty folder; or when reading or writing a file fails. Then nothing is written to `out`.
    pub fn prepare(mut self, out: &Path, progress: &dyn Fn(Progress)) -> Result<Prepared, DataError> {
        let tables = Job::hash_tables(self.files.files.iter().map(|file| Entry::file(&file.path)).collect())?;
        let work_folder = WorkFolder::acquire(out)?;
        let job = self.job(tables);
        run(work_folder, job, &self.options.prepare, &mut self.rows, progress)
    }

    fn job(&self, tables: Vec<(Entry, String)>) -> Job {
        let TableOptions { columns: names, shares, skip_bad, allow_missing, .. } = &self.options;
        let settings = format!("{names:?} {shares:?} skip_bad {skip_bad} allow_missing {allow_missing}");
        let (has_file_splits, has_split_column) = (self.files.have_splits(), self.columns.split.is_some());
        let skipped = Some(&self.files.skipped).filter(|skipped| !skipped.is_empty());
        let noted = skipped.map(|files| (FILES_LEFT.to_string(), files.len() as u64));
        let details = skipped.map(|files| (FILES_LEFT.to_string(), files.clone()));
        Job {
            decided_by: BTreeMap::from([("options".into(), settings)]),
            tables,
            writer: self.writer_options(),
            duplicates: self.options.prepare.duplicates_of(has_file_splits || has_split_column),
            table: Some(JobTable {
                path: self.path.clone(),
                columns: self.columns(),
                skip_bad: self.options.command.skip_bad_option(),
            }),
            skip_bad: *skip_bad,
            noted: noted.into_iter().collect(),
            details: details.into_iter().collect(),
            overlaps: vec![],
        }
    }

    fn writer_options(&self) -> WriterOptions {
        let has_file_splits = self.files.have_splits();
        let mut writer = WriterOptions::new(source_name(&self.path, &self.options));
        writer.dataset = "table".into();
        writer.arguments.clone_from(&self.options.prepare.arguments);
        writer.shared_patients = has_file_splits;
        let Shares { validate, test, seed } = self.options.shares;
        writer.preprocessing = vec![
            image_storage(self.options.prepare.side),
            "texts are trimmed".into(),
            match (self.columns.split.is_some(), has_file_splits) {
                (true, _) => "splits are those of the table".into(),
                (false, true) => "splits are those of the files".into(),
                _ => {
                    format!("splits are chosen by a hash of the patient: validate {validate}, test {test}, seed {seed}")
                }
            },
        ];
        writer
    }
}

/// The name of the data set: the option of that name, or the name of the table without extension and without `.gz` or `.gzip`.
fn source_name(table: &Path, options: &TableOptions) -> String {
    match options.source.as_str() {
        "" => {
            let packed = ["gz", "gzip"];
            let is_packed = |found: &OsStr| packed.iter().any(|extension| found.eq_ignore_ascii_case(extension));
            let name = match table.extension().is_some_and(is_packed) {
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
