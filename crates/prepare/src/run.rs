//! Rows of raw data into shards: on all cores, in bounded memory, going on where a killed run stopped.

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

use crate::blocks::{BLOCK_ROWS, Block, Blocks, Done, Part, Work, Workplace};
use crate::draft::{Draft, Finished, Place};
use crate::join::join;
use crate::prepared::{Duplicates, Prepared, Progress, Stage};
use crate::raw::Entry;

/// Rows a thread works on at least before records are written: enough to keep it busy.
const ROWS_PER_THREAD: usize = 8;

/// Bytes of images that are held at once, if rows are as large as those before them.
const HELD_BYTES: usize = 32 << 20;

/// Rows that cannot be used which are told at once, and rows in which they are looked for after the first.
const FAULTS: usize = 20;
const FAULT_ROWS: u64 = 10_000;

/// Share of the progress until all blocks are made.
const MADE: f64 = 0.9;

/// Rows on their way to records, one after another.
pub(crate) trait Drafts {
    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// When the raw data cannot be read on.
    fn next(&mut self) -> Result<Option<Draft>, DataError>;

    /// Share of the raw data that has been read, 0 to 1, after `rows` rows.
    fn share(&self, rows: u64) -> f64;

    /// What all rows together showed, one sentence each; it is asked after the last.
    ///
    /// # Errors
    /// When they show that something else was meant.
    fn told(&self) -> Result<Vec<String>, DataError> {
        Ok(vec![])
    }
}

/// How every data set is prepared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrepareOptions {
    /// Images are stored with a shorter side of so many pixels, which makes training read less; those that are smaller stay,
    /// and without it all do.
    pub side: Option<usize>,
    /// Threads that read and check images; `None` for one a core. The result does not depend on it.
    pub threads: Option<usize>,
    /// Makes only this part, to be joined with the others ([`join_parts`]).
    pub part: Option<Part>,
    /// What to do with images that two splits have; `None` removes them where the splits are our own and tells them where
    /// they were published.
    pub duplicates: Option<Duplicates>,
    /// The command's arguments, for the manifest.
    pub arguments: Vec<String>,
}

impl PrepareOptions {
    /// What to do with duplicates of splits that somebody `published`, or of our own.
    pub(crate) fn duplicates_of(&self, published: bool) -> Duplicates {
        self.duplicates.unwrap_or(if published { Duplicates::Reported } else { Duplicates::Removed })
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// When the side or the number of threads is out of range.
    pub(crate) fn check(&self) -> Result<(), DataError> {
        if self.side.is_some_and(|side| side == 0 || side > MAX_TRANSFORM_SIDE) {
            let cause = format!("must lie within 1 and {MAX_TRANSFORM_SIDE} pixels");
            return Err(DataError::Setting { name: "side", cause });
        }
        match self.threads {
            Some(0) => {
                let cause = "0 threads cannot work; write 1 or more, or leave it out".into();
                Err(DataError::Setting { name: "threads", cause })
            }
            _ => Ok(()),
        }
    }
}

/// What is made, and what decides about it.
pub(crate) struct Job {
    /// Options: blocks of a job that differs in any of them are not used.
    pub(crate) decided_by: BTreeMap<String, String>,
    /// Tables that are read, with their hashes, which decide too.
    pub(crate) tables: Vec<(Entry, String)>,
    /// For the shards.
    pub(crate) writer: WriterOptions,
    /// Whether images that two splits have are left out of the earlier.
    pub(crate) duplicates: Duplicates,
    /// The one table, where there is one.
    pub(crate) table: Option<JobTable>,
    /// Whether rows that cannot be used are left out and listed; in a table they may end it all instead.
    pub(crate) skip_bad: bool,
    /// What is counted of the raw data as a whole.
    pub(crate) noted: BTreeMap<String, u64>,
    /// What is counted there one by one, as far as somebody can do something about it.
    pub(crate) details: BTreeMap<String, Vec<Skipped>>,
    /// What splits have in common besides what is found by comparing records.
    pub(crate) overlaps: Vec<Overlap>,
}

/// A table that is made into records.
pub(crate) struct JobTable {
    pub(crate) path: PathBuf,
    /// What its columns are taken for.
    pub(crate) columns: Vec<TableColumn>,
    /// The option that leaves bad rows out, where the command has one.
    pub(crate) skip_bad: Option<&'static str>,
}

impl Job {
    /// Tables as they are now.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(crate) fn hashed(tables: Vec<Entry>) -> Result<Vec<(Entry, String)>, DataError> {
        let hashed = |table: Entry| {
            let hash = files::sha256(table.open()?).map_err(DataError::io("read", &table.path()))?;
            Ok((table, hash))
        };
        tables.into_iter().map(hashed).collect()
    }

    /// Refuses tables that somebody wrote to meanwhile: records would be of two versions.
    fn check_tables(&self) -> Result<(), DataError> {
        let now = Self::hashed(self.tables.iter().map(|(table, _)| table.clone()).collect())?;
        let changed = now.iter().zip(&self.tables).find(|((_, now), (_, before))| now != before);
        changed.map_or(Ok(()), |((table, _), _)| {
            let cause = "it changed while it was read; start again when nothing writes to it any more".to_string();
            Err(DataError::Table { path: table.path(), cause })
        })
    }
}

/// Makes the shards of `drafts` in `out`, or a part of their blocks.
///
/// # Errors
/// When the raw data cannot be read on, when no row is usable, or when the system refuses. Nothing stands under `out` then;
/// what was made stays in a hidden folder beside it if the system refused, so that the same command goes on.
pub(crate) fn run(
    (place, out): (Workplace, &Path),
    job: Job,
    making: &PrepareOptions,
    drafts: &mut dyn Drafts,
    progress: &dyn Fn(Progress),
) -> Result<Prepared, DataError> {
    match blocks(&place, &job, making, drafts, progress) {
        Ok(done) if making.part.is_some() => {
            done.publish(place, out)?;
            Ok(Prepared::Part(done.work.rows.unwrap_or_default()))
        }
        Ok(done) => {
            let told = |one: Progress| progress(Progress { share: MADE + (1.0 - MADE) * one.share, ..one });
            let joined = join(&[done], out, (job.writer, job.duplicates), &told);
            end(place, joined).map(|manifest| Prepared::Shards(Box::new(manifest)))
        }
        Err(error) => end(place, Err(error)),
    }
}

/// Clears the workplace, unless somebody may go on in it.
fn end<T>(place: Workplace, result: Result<T, DataError>) -> Result<T, DataError> {
    match result {
        Err(error @ DataError::Io { .. }) => Err(error),
        result => {
            place.clear()?;
            result
        }
    }
}

fn blocks(
    place: &Workplace,
    job: &Job,
    making: &PrepareOptions,
    drafts: &mut dyn Drafts,
    progress: &dyn Fn(Progress),
) -> Result<Done, DataError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(making.threads.unwrap_or(0)).build();
    let pool = pool.map_err(|error| DataError::Setting { name: "threads", cause: error.to_string() })?;
    let mut decided_by = job.decided_by.clone();
    let hashes =
        job.tables.iter().enumerate().map(|(place, (file, hash))| (format!("table {place} {}", file.name()), hash));
    decided_by.extend(hashes.map(|(name, hash)| (name, hash.clone())));
    decided_by.insert("side".into(), making.side.map_or("as it is".into(), |side| side.to_string()));
    let work = Work {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        decided_by,
        part: making.part.unwrap_or(Part::WHOLE),
        writer: job.writer.clone(),
        duplicates: job.duplicates,
        noted: job.noted.clone(),
        details: job.details.clone(),
        columns: job.table.as_ref().map(|table| table.columns.clone()).unwrap_or_default(),
        overlaps: job.overlaps.clone(),
        told: vec![],
        rows: None,
    };
    let blocks = Blocks::begin(place, work)?;
    let (sender, batches) = mpsc::sync_channel(0);
    let mut reader = Reader {
        job,
        side: making.side,
        pool,
        drafts: &mut *drafts,
        progress,
        batches: sender,
        rows: 0,
        written: 0,
        skipped: 0,
        first_bad: None,
        most: 0,
        faults: vec![],
        first_fault: None,
    };
    // One thread writes what all made before, while they make what comes next.
    let (read, written) = thread::scope(|scope| {
        let writer = scope.spawn(|| write(&blocks, batches));
        let read = reader.all(&blocks);
        let Reader { rows, written, first_bad, batches, .. } = reader;
        drop(batches);
        let done = writer.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        (read.map(|()| (rows, written, first_bad)), done)
    });
    written?;
    let (rows, written, first_bad) = read?;
    job.check_tables()?;
    if written == 0 && blocks.done() == 0 && making.part.is_none() {
        return Err(nothing(job, first_bad));
    }
    blocks.finish(rows, drafts.told()?)
}

/// Rows of a block, in order; a block may come in several batches.
struct Batch {
    block: u64,
    rows: Vec<Result<Finished, Skipped>>,
    last: bool,
}

/// Writes blocks until there are no more batches.
fn write(blocks: &Blocks, batches: Receiver<Batch>) -> Result<(), DataError> {
    let mut open: Option<Block> = None;
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

/// Reads rows and makes them.
struct Reader<'a> {
    job: &'a Job,
    side: Option<usize>,
    pool: ThreadPool,
    drafts: &'a mut dyn Drafts,
    progress: &'a dyn Fn(Progress),
    batches: SyncSender<Batch>,
    rows: u64,
    written: u64,
    skipped: u64,
    first_bad: Option<(Place, String)>,
    /// Rows that are made at once; the records do not depend on it.
    most: usize,
    /// Rows that end it all: a few are looked for, so that a person can mend them at once.
    faults: Vec<(Place, String)>,
    /// How many rows were read when the first of them was found.
    first_fault: Option<u64>,
}

impl Reader<'_> {
    /// Reads all rows, and makes those of blocks that are lacking. It ends early when nobody writes them any more.
    fn all(&mut self, blocks: &Blocks) -> Result<(), DataError> {
        loop {
            let number = self.rows / BLOCK_ROWS;
            if !self.block(number, blocks.lacks(number))? {
                return Ok(());
            }
        }
    }

    /// Reads the rows of one block, and makes them where it is lacking. Returns whether there may be more.
    fn block(&mut self, block: u64, lacking: bool) -> Result<bool, DataError> {
        let least = self.pool.current_num_threads() * ROWS_PER_THREAD;
        let mut waiting = vec![];
        loop {
            let draft = self.drafts.next()?;
            let ended = draft.is_none();
            self.rows += u64::from(!ended);
            waiting.extend(draft.filter(|_| lacking));
            let last = ended || self.rows.is_multiple_of(BLOCK_ROWS);
            if last || waiting.len() >= self.most.max(least) {
                let rows = self.make(std::mem::take(&mut waiting));
                let any = self.rows > block * BLOCK_ROWS;
                if lacking && any && self.batches.send(Batch { block, rows, last }).is_err() {
                    return Ok(false);
                }
                let share = MADE * self.drafts.share(self.rows);
                let (records, skipped) = (self.written, self.skipped);
                (self.progress)(Progress { stage: Stage::Make, records, skipped, share });
            }
            self.first_fault = self.first_fault.or((!self.faults.is_empty()).then_some(self.rows));
            let enough =
                self.faults.len() >= FAULTS || self.first_fault.is_some_and(|row| self.rows > row + FAULT_ROWS);
            if let (Some(table), true) = (&self.job.table, self.first_fault.is_some() && (ended || enough)) {
                return Err(stop(table, std::mem::take(&mut self.faults), ended));
            }
            if last {
                return Ok(!ended);
            }
        }
    }

    fn make(&mut self, drafts: Vec<Draft>) -> Vec<Result<Finished, Skipped>> {
        let side = self.side;
        let made = |draft: Draft| (draft.place.clone(), draft.finish(side));
        let made: Vec<_> = self.pool.install(|| drafts.into_par_iter().map(made).collect());
        let bytes: usize =
            made.iter().filter_map(|(_, row)| Some(row.as_ref().ok()?.record.image.as_ref()?.bytes.len())).sum();
        self.most = HELD_BYTES / (bytes / made.len().max(1)).max(1);
        let mut rows = vec![];
        for (place, row) in made {
            match row {
                Ok(_) if !self.faults.is_empty() => {}
                Ok(finished) => {
                    rows.push(Ok(finished));
                    self.written += 1;
                }
                Err(cause) if !self.job.skip_bad => self.faults.push((place, cause)),
                Err(cause) => {
                    rows.push(Err(Skipped { place: place.to_string(), cause: cause.clone() }));
                    self.skipped += 1;
                    self.first_bad.get_or_insert((place, cause));
                }
            }
        }
        rows
    }
}

/// What is wrong with these rows; `all` of the table were read.
fn stop(table: &JobTable, mut faults: Vec<(Place, String)>, all: bool) -> DataError {
    let path = table.path.clone();
    let cure = table.skip_bad.map_or(String::new(), |option| format!(" (`{option}` leaves such records out)"));
    match faults.as_slice() {
        [(Place::Line(line), cause)] if all => DataError::Row { path, line: *line, cause: format!("{cause}{cure}") },
        _ => {
            let more = faults.len() > FAULTS || !all;
            faults.truncate(FAULTS);
            let lines: Vec<String> = faults.iter().map(|(place, cause)| format!("\n  {place}: {cause}")).collect();
            let rest = if more { "\n  and there may be more" } else { "" };
            let count = if faults.len() == 1 { "a row".into() } else { format!("{} rows", faults.len()) };
            let cause = format!("{count} cannot be used{cure}:{}{rest}", lines.concat());
            DataError::Table { path, cause }
        }
    }
}

/// Why there is nothing to write.
fn nothing(job: &Job, first_bad: Option<(Place, String)>) -> DataError {
    let cause = match first_bad {
        Some((Place::Line(line), cause)) => format!("not one row is usable, the first on line {line}: {cause}"),
        Some((place, cause)) => format!("not one row is usable, the first at {place}: {cause}"),
        None => "it has no rows below its header".to_string(),
    };
    match &job.table {
        Some(table) => DataError::Table { path: table.path.clone(), cause },
        None => DataError::Nothing { source_name: job.writer.source.clone(), cause },
    }
}

/// Joins the parts of a data set, made by the same command on any machines, into the shards that one machine makes.
///
/// # Errors
/// When parts are missing, unfinished, damaged or of different work, or when the system refuses.
pub fn join_parts(
    parts: &[impl AsRef<Path>],
    out: &Path,
    progress: &dyn Fn(Progress),
) -> Result<ptu_data::Manifest, DataError> {
    let parts: Vec<Done> = parts.iter().map(|part| Done::open(part.as_ref())).collect::<Result<_, _>>()?;
    let (options, duplicates) = crate::blocks::together(&parts)?;
    join(&parts, out, (options, duplicates), progress)
}
