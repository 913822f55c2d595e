//! `prepare table`: a CSV or JSONL of image paths, texts and labels becomes shards.

mod columns;
mod record;
mod rows;

use std::path::Path;

use ptu_input::image::transform::MAX_TRANSFORM_SIDE;
use rayon::prelude::*;

pub use columns::ColumnNames;

use crate::error::DataError;
use crate::manifest::Manifest;
use crate::prepare::{Progress, Shares};
use crate::shard::{ShardWriter, WriterOptions};
use columns::Columns;
use record::Assembler;
pub(crate) use record::{Draft, TEXT_LIMIT};
use rows::Rows;

/// Rows a thread works on before records are written: enough to keep it busy, few enough for large images.
const ROWS_PER_THREAD: usize = 8;

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
    /// Images are stored with a shorter side of so many pixels, which makes training read less; those that are smaller stay,
    /// and without it all do.
    pub side: Option<usize>,
    /// Threads that read and check images; `None` for one a core. The result does not depend on it.
    pub threads: Option<usize>,
    /// The command's arguments, for the manifest.
    pub arguments: Vec<String>,
}

/// Writes the records of a table to `out`, a folder that is absent or empty.
///
/// Images are read relative to the table's folder and decoded once, so that only usable ones reach a shard; their files'
/// bytes are stored, or a smaller PNG ([`TableOptions::side`]). A table without an image or without a text column is fine;
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
) -> Result<Manifest, DataError> {
    options.shares.check()?;
    if options.side.is_some_and(|side| side == 0 || side > MAX_TRANSFORM_SIDE) {
        let cause = format!("must lie within 1 and {MAX_TRANSFORM_SIDE} pixels");
        return Err(DataError::Setting { name: "side", cause });
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads.unwrap_or(0)).build();
    let pool = pool.map_err(|error| DataError::Setting { name: "threads", cause: error.to_string() })?;
    let rows = Rows::open(table)?;
    let columns = Columns::find(rows.header(), &options.columns, table)?;
    let mut writer = ShardWriter::create(out, writer_options(table, options, &columns))?;
    let mut table_rows = Drafts { rows, assembler: Assembler::new(table, options, columns) };
    let (mut drafts, mut written, mut first_bad) = (vec![], 0, None);
    let most = pool.current_num_threads() * ROWS_PER_THREAD;
    loop {
        let draft = table_rows.next()?;
        let ended = draft.is_none();
        drafts.extend(draft);
        if ended || drafts.len() >= most {
            let records: Vec<_> =
                pool.install(|| std::mem::take(&mut drafts).into_par_iter().map(Draft::finish).collect());
            for record in records {
                match record {
                    Ok(record) => {
                        writer.write(record)?;
                        written += 1;
                    }
                    Err(bad) if options.skip_bad => {
                        writer.skip(format!("line {}", bad.line), bad.cause.clone());
                        first_bad = first_bad.or(Some(bad));
                    }
                    Err(bad) => return Err(stop(table, bad)),
                }
            }
            progress(Progress { records: written, skipped: writer.skipped() as u64, share: table_rows.rows.share() });
        }
        if ended && written == 0 {
            return Err(nothing(table, first_bad));
        }
        if ended {
            return writer.finish();
        }
    }
}

/// The rows of a table as records whose images are still to be read.
pub(crate) struct Drafts {
    rows: Rows,
    assembler: Assembler,
}

impl Drafts {
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

    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// When the file cannot be read on.
    pub(crate) fn next(&mut self) -> Result<Option<Draft>, DataError> {
        Ok(self.rows.next()?.map(|row| self.assembler.draft(row)))
    }
}

/// A row that cannot become a record.
#[derive(Debug)]
pub(crate) struct Bad {
    /// Where it starts, from 1.
    pub(crate) line: u64,
    /// Cause and cure.
    pub(crate) cause: String,
}

fn stop(table: &Path, Bad { line, cause }: Bad) -> DataError {
    let cause = format!("{cause} (`--skip-bad` leaves such records out)");
    DataError::Row { path: table.to_path_buf(), line, cause }
}

/// Why there is nothing to write.
fn nothing(table: &Path, first_bad: Option<Bad>) -> DataError {
    let cause = match first_bad {
        Some(Bad { line, cause }) => format!("not one row is usable, the first on line {line}: {cause}"),
        None => "it has no rows below its header".to_string(),
    };
    DataError::Table { path: table.to_path_buf(), cause }
}

fn writer_options(table: &Path, options: &TableOptions, columns: &Columns) -> WriterOptions {
    let mut writer = WriterOptions::new(source_name(table, options));
    writer.arguments.clone_from(&options.arguments);
    let Shares { validate, test, seed } = options.shares;
    writer.preprocessing = vec![
        match options.side {
            Some(side) => format!("images with a shorter side above {side} are resized to it and stored as 8-bit PNG"),
            None => "images are stored as their files were".into(),
        },
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
