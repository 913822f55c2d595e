//! Turns rows of raw data into shards, on all cores and with bounded memory. A run that was killed is resumed where it stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::{panic, thread};

use ptu_data::columns::TableColumn;
use ptu_data::manifest::{FORMAT, Overlap, Skipped};
use ptu_data::shard::WriterOptions;
use ptu_data::{DataError, files};
use ptu_input::image::transform::MAX_TRANSFORM_SIDE;
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::blocks::{BLOCK_ROWS, Blocks, FinishedPart, OpenBlock, Part, WorkFolder, WorkSpec};
use crate::draft::{Draft, FinishedRecord, RowPosition};
use crate::join::join;
use crate::prepared::{Duplicates, Prepared, Progress, Stage};
use crate::raw::Entry;

/// Smallest number of rows for each thread before records are written, so that every thread is busy.
const ROWS_PER_THREAD: usize = 8;

/// Bytes of images that are in memory at once, if the images are as large as those of the batch before.
const BATCH_BYTES: usize = 32 << 20;

/// Largest number of unusable rows that one error message lists, and the number of rows after the first unusable one in which
/// more of them are searched.
const MAX_FAULTS: usize = 20;
const MAX_FAULT_ROWS: u64 = 10_000;

/// Share of the progress that the preparation of all blocks takes; the rest is for joining them.
const BLOCKS_SHARE: f64 = 0.9;

/// Reads the rows of raw data one after another.
pub(crate) trait DraftSource {
    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// When the raw data cannot be read.
    fn next(&mut self) -> Result<Option<Draft>, DataError>;

    /// The share of the raw data that has been read after `rows` rows, 0 to 1.
    fn share(&self, rows: u64) -> f64;

    /// Sentences about the raw data as a whole, for the user. It is called after the last row.
    ///
    /// # Errors
    /// When all rows together show that the options of the user do not fit the raw data.
    fn remarks(&self) -> Result<Vec<String>, DataError> {
        Ok(vec![])
    }
}

/// The options that all data sets have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrepareOptions {
    /// Length of the shorter side, in pixels, to which larger images are resized, so that training reads less data. Smaller
    /// images are not changed; with `None`, no image is changed.
    pub side: Option<usize>,
    /// Number of threads that read and check images; `None`: one for each core. The result does not depend on it.
    pub threads: Option<usize>,
    /// Prepares only this part; [`join_parts`] joins all parts.
    pub part: Option<Part>,
    /// What to do with images that are in two splits. `None`: they are removed if the splits are our own, and only reported if
    /// the splits are published.
    pub duplicates: Option<Duplicates>,
    /// The arguments of the command, for the manifest.
    pub arguments: Vec<String>,
}

impl PrepareOptions {
    /// What to do with duplicates; `published`: whether the splits are published, not our own.
    pub(crate) fn duplicates_of(&self, published: bool) -> Duplicates {
        self.duplicates.unwrap_or(if published { Duplicates::Reported } else { Duplicates::Removed })
    }

    /// Checks the options.
    ///
    /// # Errors
    /// When the side or the number of threads is out of range.
    pub(crate) fn check(&self) -> Result<(), DataError> {
        if self.side.is_some_and(|side| side == 0 || side > MAX_TRANSFORM_SIDE) {
            let cause = format!("must be from 1 to {MAX_TRANSFORM_SIDE} pixels");
            return Err(DataError::Setting { name: "side", cause });
        }
        match self.threads {
            Some(0) => {
                let cause = "0 threads cannot work; write 1 or more, or omit the option".into();
                Err(DataError::Setting { name: "threads", cause })
            }
            _ => Ok(()),
        }
    }
}

/// What is prepared, and with which settings.
pub(crate) struct Job {
    /// Settings by name. Blocks of an earlier run are not used if any of these settings was different.
    pub(crate) decided_by: BTreeMap<String, String>,
    /// Tables that are read, with their hashes. Blocks of an earlier run are not used either if a hash was different.
    pub(crate) tables: Vec<(Entry, String)>,
    /// Options for the shards.
    pub(crate) writer: WriterOptions,
    /// What to do with images that are in two splits.
    pub(crate) duplicates: Duplicates,
    /// The table, if the raw data is a table of the user.
    pub(crate) table: Option<JobTable>,
    /// Whether rows that cannot be used are skipped and listed in the manifest. If not, they are an error.
    pub(crate) skip_bad: bool,
    /// Counts of the raw data as a whole, for the manifest.
    pub(crate) noted: BTreeMap<String, u64>,
    /// The items of these counts one by one, if the user can correct them.
    pub(crate) details: BTreeMap<String, Vec<Skipped>>,
    /// What splits have in common besides what the comparison of the records finds.
    pub(crate) overlaps: Vec<Overlap>,
}

/// A table whose rows become records.
pub(crate) struct JobTable {
    pub(crate) path: PathBuf,
    /// How its columns are used.
    pub(crate) columns: Vec<TableColumn>,
    /// The option that skips bad rows, if the command has one.
    pub(crate) skip_bad: Option<&'static str>,
}

impl Job {
    /// Computes the hash of each table.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub(crate) fn hash_tables(tables: Vec<Entry>) -> Result<Vec<(Entry, String)>, DataError> {
        let with_hash = |table: Entry| {
            let hash = files::sha256(table.open()?).map_err(DataError::io("read", &table.path()))?;
            Ok((table, hash))
        };
        tables.into_iter().map(with_hash).collect()
    }

    /// Checks that no table changed since it was hashed: else records could come from two versions of the table.
    fn check_tables(&self) -> Result<(), DataError> {
        let now = Self::hash_tables(self.tables.iter().map(|(table, _)| table.clone()).collect())?;
        let changed = now.iter().zip(&self.tables).find(|((_, now), (_, before))| now != before);
        changed.map_or(Ok(()), |((table, _), _)| {
            let cause = "it changed while it was read; run the command again when no program writes to it any more";
            Err(DataError::Table { path: table.path(), cause: cause.to_string() })
        })
    }
}

/// Writes the shards of `drafts` to the output folder of `work_folder`, or one part of their blocks.
///
/// # Errors
/// When the raw data cannot be read, when no row can be used, or when the system reports an error. The output folder is not
/// written then. After an error of the system, the finished blocks stay in the hidden work folder, so that the same command can
/// resume.
pub(crate) fn run(
    work_folder: WorkFolder,
    job: Job,
    options: &PrepareOptions,
    drafts: &mut dyn DraftSource,
    progress: &dyn Fn(Progress),
) -> Result<Prepared, DataError> {
    match prepare_blocks(&work_folder, &job, options, drafts, progress) {
        Ok(done) if options.part.is_some() => {
            done.publish(work_folder)?;
            Ok(Prepared::Part(done.work.rows.unwrap_or_default()))
        }
        Ok(done) => {
            let join_progress =
                |one: Progress| progress(Progress { share: BLOCKS_SHARE + (1.0 - BLOCKS_SHARE) * one.share, ..one });
            let joined = join(&[done], work_folder.out(), job.writer, job.duplicates, &join_progress);
            clean_up(work_folder, joined).map(|manifest| Prepared::Shards(Box::new(manifest)))
        }
        Err(error) => clean_up(work_folder, Err(error)),
    }
}

/// Removes the work folder, unless the result is an error of the system: then the same command can resume in it.
fn clean_up<T>(work_folder: WorkFolder, result: Result<T, DataError>) -> Result<T, DataError> {
    match result {
        Err(error @ DataError::Io { .. }) => Err(error),
        result => {
            work_folder.clear()?;
            result
        }
    }
}

/// Prepares the blocks of this part that are missing.
fn prepare_blocks(
    work_folder: &WorkFolder,
    job: &Job,
    options: &PrepareOptions,
    drafts: &mut dyn DraftSource,
    progress: &dyn Fn(Progress),
) -> Result<FinishedPart, DataError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads.unwrap_or(0)).build();
    let pool = pool.map_err(|error| DataError::Setting { name: "threads", cause: error.to_string() })?;
    let mut decided_by = job.decided_by.clone();
    let hashes = job
        .tables
        .iter()
        .enumerate()
        .map(|(position, (file, hash))| (format!("table {position} {}", file.name()), hash));
    decided_by.extend(hashes.map(|(name, hash)| (name, hash.clone())));
    decided_by.insert("side".into(), options.side.map_or("as it is".into(), |side| side.to_string()));
    let work = WorkSpec {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        decided_by,
        part: options.part.unwrap_or(Part::WHOLE),
        writer: job.writer.clone(),
        duplicates: job.duplicates,
        noted: job.noted.clone(),
        details: job.details.clone(),
        columns: job.table.as_ref().map(|table| table.columns.clone()).unwrap_or_default(),
        overlaps: job.overlaps.clone(),
        remarks: vec![],
        rows: None,
    };
    let blocks = Blocks::begin(work_folder, work)?;
    let (sender, batches) = mpsc::sync_channel(0);
    let mut reader = DraftReader {
        job,
        side: options.side,
        pool,
        drafts: &mut *drafts,
        progress,
        batches: sender,
        rows: 0,
        written: 0,
        skipped: 0,
        first_bad: None,
        batch_rows: 0,
        faults: vec![],
        first_fault: None,
    };
    // One thread writes a batch while the others prepare the next one.
    let (read, written) = thread::scope(|scope| {
        let writer = scope.spawn(|| write_batches(&blocks, batches));
        let read = reader.all(&blocks);
        let DraftReader { rows, written, first_bad, batches, .. } = reader;
        drop(batches);
        let done = writer.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        (read.map(|()| (rows, written, first_bad)), done)
    });
    written?;
    let (rows, written, first_bad) = read?;
    job.check_tables()?;
    if written == 0 && blocks.done() == 0 && options.part.is_none() {
        return Err(no_rows_error(job, first_bad));
    }
    blocks.finish(rows, drafts.remarks()?)
}

/// Rows of a block, in order. A block may consist of several batches.
struct Batch {
    block: u64,
    rows: Vec<Result<FinishedRecord, Skipped>>,
    /// Whether it is the last batch of the block.
    last: bool,
}

/// Writes blocks until there are no more batches.
fn write_batches(blocks: &Blocks, batches: Receiver<Batch>) -> Result<(), DataError> {
    let mut open: Option<OpenBlock> = None;
    for Batch { block, rows, last } in batches {
        let mut block = open.take().unwrap_or_else(|| blocks.start(block));
        for row in rows {
            match row {
                Ok(finished) => block.write(finished)?,
                Err(skipped) => block.skip(skipped),
            }
        }
        match last {
            true => block.end()?,
            false => open = Some(block),
        }
    }
    Ok(())
}

/// Reads rows and turns them into records.
struct DraftReader<'a> {
    job: &'a Job,
    side: Option<usize>,
    pool: ThreadPool,
    drafts: &'a mut dyn DraftSource,
    progress: &'a dyn Fn(Progress),
    batches: SyncSender<Batch>,
    rows: u64,
    written: u64,
    skipped: u64,
    first_bad: Option<(RowPosition, String)>,
    /// Number of rows that are processed at once; the records do not depend on it.
    batch_rows: usize,
    /// Rows that are errors. After the first one, more are searched, so that the user can correct several at once.
    faults: Vec<(RowPosition, String)>,
    /// Number of rows that had been read when the first of them was found.
    first_fault: Option<u64>,
}

impl DraftReader<'_> {
    /// Reads all rows and prepares the missing blocks. It stops early if the writing thread has ended with an error.
    fn all(&mut self, blocks: &Blocks) -> Result<(), DataError> {
        loop {
            let number = self.rows / BLOCK_ROWS;
            if !self.block(number, blocks.is_missing(number))? {
                return Ok(());
            }
        }
    }

    /// Reads the rows of one block and, if the block is missing, turns them into records. Returns whether more rows may follow.
    fn block(&mut self, block: u64, missing: bool) -> Result<bool, DataError> {
        let least = self.pool.current_num_threads() * ROWS_PER_THREAD;
        let mut waiting = vec![];
        loop {
            let draft = self.drafts.next()?;
            let ended = draft.is_none();
            self.rows += u64::from(!ended);
            waiting.extend(draft.filter(|_| missing));
            let last = ended || self.rows.is_multiple_of(BLOCK_ROWS);
            if last || waiting.len() >= self.batch_rows.max(least) {
                let rows = self.finish(std::mem::take(&mut waiting));
                let any = self.rows > block * BLOCK_ROWS;
                if missing && any && self.batches.send(Batch { block, rows, last }).is_err() {
                    return Ok(false);
                }
                let share = BLOCKS_SHARE * self.drafts.share(self.rows);
                let (records, skipped) = (self.written, self.skipped);
                (self.progress)(Progress { stage: Stage::Make, records, skipped, share });
            }
            self.first_fault = self.first_fault.or((!self.faults.is_empty()).then_some(self.rows));
            let enough =
                self.faults.len() >= MAX_FAULTS || self.first_fault.is_some_and(|row| self.rows > row + MAX_FAULT_ROWS);
            if let (Some(table), true) = (&self.job.table, self.first_fault.is_some() && (ended || enough)) {
                return Err(faults_error(table, std::mem::take(&mut self.faults), ended));
            }
            if last {
                return Ok(!ended);
            }
        }
    }

    /// Turns rows into records, on all threads.
    fn finish(&mut self, drafts: Vec<Draft>) -> Vec<Result<FinishedRecord, Skipped>> {
        let side = self.side;
        let finish = |draft: Draft| (draft.position.clone(), draft.finish(side));
        let finished: Vec<_> = self.pool.install(|| drafts.into_par_iter().map(finish).collect());
        let bytes: usize =
            finished.iter().filter_map(|(_, row)| Some(row.as_ref().ok()?.record.image.as_ref()?.bytes.len())).sum();
        self.batch_rows = BATCH_BYTES / (bytes / finished.len().max(1)).max(1);
        let mut rows = vec![];
        for (position, row) in finished {
            match row {
                Ok(_) if !self.faults.is_empty() => {}
                Ok(finished) => {
                    rows.push(Ok(finished));
                    self.written += 1;
                }
                Err(cause) if !self.job.skip_bad => self.faults.push((position, cause)),
                Err(cause) => {
                    rows.push(Err(Skipped { place: position.to_string(), cause: cause.clone() }));
                    self.skipped += 1;
                    self.first_bad.get_or_insert((position, cause));
                }
            }
        }
        rows
    }
}

/// The error for rows that cannot be used. `all`: whether all rows of the table were read.
fn faults_error(table: &JobTable, mut faults: Vec<(RowPosition, String)>, all: bool) -> DataError {
    let path = table.path.clone();
    let hint = table.skip_bad.map_or(String::new(), |option| format!(" (`{option}` skips such rows)"));
    match faults.as_slice() {
        [(RowPosition::Line(line), cause)] if all => {
            DataError::Row { path, line: *line, cause: format!("{cause}{hint}") }
        }
        _ => {
            let more = faults.len() > MAX_FAULTS || !all;
            faults.truncate(MAX_FAULTS);
            let lines: Vec<String> =
                faults.iter().map(|(position, cause)| format!("\n  {position}: {cause}")).collect();
            let rest = if more { "\n  there may be more such rows" } else { "" };
            let count = if faults.len() == 1 { "1 row".into() } else { format!("{} rows", faults.len()) };
            let cause = format!("{count} cannot be used{hint}:{}{rest}", lines.concat());
            DataError::Table { path, cause }
        }
    }
}

/// The error if no row can be used.
fn no_rows_error(job: &Job, first_bad: Option<(RowPosition, String)>) -> DataError {
    let cause = match first_bad {
        Some((RowPosition::Line(line), cause)) => format!("no row can be used; the first is on line {line}: {cause}"),
        Some((position, cause)) => format!("no row can be used; the first is at {position}: {cause}"),
        None => "it has no rows after its header".to_string(),
    };
    match &job.table {
        Some(table) => DataError::Table { path: table.path.clone(), cause },
        None => DataError::Nothing { source_name: job.writer.source.clone(), cause },
    }
}

/// Joins the parts of a data set, which the same command prepared on any machines, into the same shards that one machine would
/// write.
///
/// # Errors
/// When parts are missing, unfinished, damaged or of different preparations, or when the system reports an error.
pub fn join_parts(
    parts: &[impl AsRef<Path>],
    out: &Path,
    progress: &dyn Fn(Progress),
) -> Result<ptu_data::Manifest, DataError> {
    let parts: Vec<FinishedPart> =
        parts.iter().map(|part| FinishedPart::open(part.as_ref())).collect::<Result<_, _>>()?;
    let (options, duplicates) = crate::blocks::check_parts(&parts)?;
    join(&parts, out, options, duplicates, progress)
}
