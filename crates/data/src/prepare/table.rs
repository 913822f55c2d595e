//! `prepare table`: a CSV, JSON or parquet file of images, texts and labels becomes shards.

mod columns;
mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use columns::ColumnNames;

use super::blocks::Workplace;
use super::draft::{Draft, Place};
pub(crate) use super::run::Drafts;
use super::run::{Job, run};
use super::{Making, Prepared, Progress, Shares};
use crate::error::DataError;
use crate::raw::Entry;
use crate::raw::rows::Rows;
use crate::record::Split;
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
/// `table` may be a folder with one table, or with parquet files whose names begin with their split.
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
    let files = within(table)?;
    let published = files.iter().any(|file| file.split.is_some());
    let table = if published { table } else { &files[0].path };
    let tables = Job::hashed(files.iter().map(|file| Entry::file(&file.path)).collect())?;
    let rows = Rows::open(&files[0].path)?;
    let columns = Columns::find(rows.header(), &options.columns, &files[0].path)?;
    let place = Workplace::take(out)?;
    let TableOptions { columns: names, shares, skip_bad, allow_missing, .. } = options;
    let told = format!("{names:?} {shares:?} skip_bad {skip_bad} allow_missing {allow_missing}");
    let job = Job {
        decided_by: BTreeMap::from([("options".into(), told)]),
        tables,
        writer: writer_options(table, options, columns.split.is_some(), published),
        duplicates: options.making.duplicates_of(published || columns.split.is_some()),
        table: Some(table.to_path_buf()),
        skip_bad: options.skip_bad,
        noted: BTreeMap::new(),
        overlaps: vec![],
    };
    let mut rows = TableRows { rows, assembler: Assembler::new(table, options, columns), files, file: 0, before: 0 };
    run((place, out), job, &options.making, &mut rows, progress)
}

/// One file of a table.
struct TableFile {
    path: PathBuf,
    /// The split that its name tells, where a table has several files.
    split: Option<Split>,
}

/// The table itself, or what a folder holds: one table, or parquet files by split, as on Hugging Face.
fn within(table: &Path) -> Result<Vec<TableFile>, DataError> {
    let single = |path| vec![TableFile { path, split: None }];
    if !table.is_dir() {
        return Ok(single(table.to_path_buf()));
    }
    let names = ["metadata", "labels"].into_iter();
    let names =
        names.flat_map(|name| ["csv", "tsv", "jsonl", "json", "parquet"].map(|ending| format!("{name}.{ending}")));
    if let Some(found) = names.map(|name| table.join(name)).find(|path| path.is_file()) {
        return Ok(single(found));
    }
    for folder in [table.to_path_buf(), table.join("data")] {
        let mut files = vec![];
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.map_err(DataError::io("list", &folder))?.path();
            let split = path.file_name().and_then(|name| split_of(name.to_str()?));
            files.extend(split.map(|split| TableFile { path, split: Some(split) }));
        }
        files.sort_by(|one, other| (one.split, &one.path).cmp(&(other.split, &other.path)));
        if !files.is_empty() {
            return Ok(files);
        }
    }
    Err(DataError::Table {
        path: table.to_path_buf(),
        cause: "the folder has no `metadata.csv` (or .tsv, .jsonl, .json, .parquet), no `labels.csv` and no \
                `train-*.parquet`; name the table itself"
            .into(),
    })
}

/// `test` of `test-00000-of-00002.parquet` or `test.parquet`.
fn split_of(name: &str) -> Option<Split> {
    let stem = name.strip_suffix(".parquet")?;
    stem.split(['-', '_', '.']).next()?.parse().ok()
}

/// The rows of a table as records whose images are still to be read.
pub(crate) struct TableRows {
    rows: Rows,
    assembler: Assembler,
    files: Vec<TableFile>,
    /// Which of them is read.
    file: usize,
    /// Rows of those before it.
    before: u64,
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
        let files = vec![TableFile { path: table.to_path_buf(), split: None }];
        Ok(Self { rows, assembler: Assembler::new(table, &options, columns), files, file: 0, before: 0 })
    }
}

impl TableRows {
    /// Whether a column says the split of each record.
    pub(crate) fn has_split(&self) -> bool {
        self.assembler.has_split()
    }
}

impl Drafts for TableRows {
    fn next(&mut self) -> Result<Option<Draft>, DataError> {
        loop {
            let TableFile { path, split } = &self.files[self.file];
            if let Some(row) = self.rows.next()? {
                let place = match split {
                    Some(_) => {
                        let name = path.file_name().unwrap_or_default().to_string_lossy();
                        Place::Named(format!("{name} row {}", row.line))
                    }
                    None => Place::Line(row.line),
                };
                return Ok(Some(self.assembler.draft(row, place, (self.before, *split))));
            }
            let Some(next) = self.files.get(self.file + 1) else { return Ok(None) };
            self.before += self.rows.count();
            let rows = Rows::open(&next.path)?;
            if rows.header() != self.rows.header() {
                let cause = format!("its columns are not those of `{}`; name one table by itself", path.display());
                return Err(DataError::Table { path: next.path.clone(), cause });
            }
            self.rows = rows;
            self.file += 1;
        }
    }

    fn share(&self, _: u64) -> f64 {
        (self.file as f64 + self.rows.share()) / self.files.len() as f64
    }
}

fn writer_options(table: &Path, options: &TableOptions, split_column: bool, published: bool) -> WriterOptions {
    let mut writer = WriterOptions::new(source_name(table, options));
    writer.dataset = "table".into();
    writer.arguments.clone_from(&options.making.arguments);
    writer.shared_patients = published;
    let Shares { validate, test, seed } = options.shares;
    writer.preprocessing = vec![
        super::stored(options.making.side),
        "texts are trimmed".into(),
        match (split_column, published) {
            (true, _) => "splits are those of the table".into(),
            (false, true) => "splits are those of the files".into(),
            _ => format!("splits are drawn by a hash of the patient: validate {validate}, test {test}, seed {seed}"),
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
