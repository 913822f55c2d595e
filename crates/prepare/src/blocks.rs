//! Blocks: records are prepared block by block, so that a preparation that was killed can be resumed and several machines can
//! share one preparation.
//!
//! Row `n` of the raw data belongs to block `n / 256`, even if the row is skipped. A block consists of up to three small shards
//! (one for each split) and a summary, which is written last: a block that has a summary is finished. The shards of the data set
//! are made from all its blocks ([`super::join`]); it does not matter which machine prepared a block.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use ptu_data::columns::TableColumn;
use ptu_data::files::is_absent_or_empty;
use ptu_data::manifest::{Overlap, Shard, Skipped, is_plain_name};
use ptu_data::record::Split;
use ptu_data::shard::{OpenShard, WriterOptions};
use ptu_data::{DataError, shortened};
use ptu_input::files::{remove_unfinished, write_atomically};
use serde::{Deserialize, Serialize};

use crate::draft::{FinishedRecord, RecordFingerprint};
use crate::prepared::Duplicates;

/// Number of rows of the raw data in each block.
pub(crate) const BLOCK_ROWS: u64 = 256;

/// The file that describes to which preparation the blocks belong.
const WORK_FILE: &str = "work.json";

/// The lock file in a folder of blocks.
const LOCK_FILE: &str = "preparing.lock";

/// The part of the blocks that this process prepares (`--part I/N`): every N-th block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The number of this part, counted from 1.
    pub number: u64,
    /// The number of all parts.
    pub of: u64,
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once('/')
            .and_then(|(number, of)| Some(Self { number: number.trim().parse().ok()?, of: of.trim().parse().ok()? }));
        match parsed {
            Some(part) if part.number >= 1 && part.number <= part.of => Ok(part),
            _ => Err(format!("`{text}` is not a part; write for example 2/8, the second of eight parts")),
        }
    }
}

impl Part {
    /// All blocks.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    fn contains(self, block: u64) -> bool {
        block % self.of == self.number - 1
    }
}

/// The settings of a preparation, as `work.json` stores them. Blocks belong together only if all settings are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkSpec {
    pub(crate) format: u32,
    /// The version of this crate.
    pub(crate) version: String,
    /// All other settings on which the records depend: options, and the hashes of the tables that were read.
    pub(crate) decided_by: BTreeMap<String, String>,
    pub(crate) part: Part,
    /// How the shards are written.
    pub(crate) writer: WriterOptions,
    pub(crate) duplicates: Duplicates,
    /// Counts for the manifest.
    pub(crate) noted: BTreeMap<String, u64>,
    /// What these counts consist of, item by item.
    pub(crate) details: BTreeMap<String, Vec<Skipped>>,
    /// How the columns of the table are used, if the raw data is a table.
    pub(crate) columns: Vec<TableColumn>,
    /// What splits have in common besides what the comparison of the records finds.
    pub(crate) overlaps: Vec<Overlap>,
    /// Sentences about the raw data for the user; complete when the part is finished.
    #[serde(rename = "told")]
    pub(crate) remarks: Vec<String>,
    /// Number of rows of the raw data; known when the part is finished.
    pub(crate) rows: Option<u64>,
}

/// The content of a block, as its JSON file stores it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlockSummary {
    pub(crate) shards: Vec<Shard>,
    /// The fingerprints of all records by split, in the order of the shard.
    #[serde(rename = "marks")]
    pub(crate) fingerprints: BTreeMap<Split, Vec<RecordFingerprint>>,
    /// Rows that are skipped.
    pub(crate) skipped: Vec<Skipped>,
    /// What was done to records that are not skipped, by the key under which the manifest counts it.
    pub(crate) noted: BTreeMap<String, Vec<Skipped>>,
}

/// A hidden folder next to the output folder, in which one process works.
#[derive(Debug)]
pub(crate) struct WorkFolder {
    folder: PathBuf,
    /// The output folder.
    out: PathBuf,
    lock: Option<File>,
}

impl WorkFolder {
    /// Creates and locks the work folder for the output folder `out`, which must be absent or empty.
    ///
    /// # Errors
    /// When `out` is not empty, when another process uses the work folder, or when the system reports an error.
    pub(crate) fn acquire(out: &Path) -> Result<Self, DataError> {
        if !is_absent_or_empty(out)? {
            return Err(DataError::NotEmpty(out.to_path_buf()));
        }
        let name = out.file_name().ok_or_else(|| DataError::NotEmpty(out.to_path_buf()))?;
        let folder = out.with_file_name(format!(".{}.prepare", name.to_string_lossy()));
        fs::create_dir_all(&folder).map_err(DataError::io("create", &folder))?;
        let path = folder.join(LOCK_FILE);
        let lock = File::create(&path).map_err(DataError::io("create", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, out: out.to_path_buf(), lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => Err(DataError::Busy(out.to_path_buf())),
            Err(TryLockError::Error(source)) => Err(DataError::Io { action: "lock", path, source }),
        }
    }

    /// The folder into which archives may be unpacked.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.join("unpacked")
    }

    /// The output folder.
    pub(crate) fn out(&self) -> &Path {
        &self.out
    }

    /// Removes the work folder with all its files.
    ///
    /// # Errors
    /// When the system reports an error.
    pub(crate) fn clear(mut self) -> Result<(), DataError> {
        self.lock = None;
        fs::remove_dir_all(&self.folder).map_err(DataError::io("remove", &self.folder))
    }
}

/// The blocks of a preparation that is running.
#[derive(Debug)]
pub(crate) struct Blocks {
    folder: PathBuf,
    work: WorkSpec,
    /// Blocks that earlier runs finished.
    done: BTreeSet<u64>,
}

impl Blocks {
    /// Begins or resumes a preparation. Blocks of an earlier run are kept if all settings are the same, else removed.
    ///
    /// # Errors
    /// When the system reports an error.
    pub(crate) fn begin(work_folder: &WorkFolder, work: WorkSpec) -> Result<Self, DataError> {
        let folder = work_folder.folder.clone();
        let same = read_work(&folder).is_ok_and(|found| WorkSpec { rows: None, remarks: vec![], ..found } == work);
        let mut done = BTreeSet::new();
        remove_unfinished(&folder).map_err(DataError::io("clear", &folder))?;
        for entry in fs::read_dir(&folder).map_err(DataError::io("list", &folder))? {
            let entry = entry.map_err(DataError::io("list", &folder))?.path();
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match block_number(&name) {
                Some(number) if same => drop(done.insert(number)),
                _ if name == LOCK_FILE || same || entry.is_dir() => {}
                _ => fs::remove_file(&entry).map_err(DataError::io("remove", &entry))?,
            }
        }
        write_json(&folder.join(WORK_FILE), &work)?;
        Ok(Self { folder, work, done })
    }

    /// Whether a block belongs to this part and has not been prepared yet.
    pub(crate) fn is_missing(&self, block: u64) -> bool {
        self.work.part.contains(block) && !self.done.contains(&block)
    }

    /// Number of blocks that earlier runs finished.
    pub(crate) fn done(&self) -> usize {
        self.done.len()
    }

    /// Starts a block.
    pub(crate) fn start(&self, number: u64) -> OpenBlock {
        OpenBlock { folder: self.folder.clone(), number, open: BTreeMap::new(), summary: BlockSummary::default() }
    }

    /// Marks the part as finished: stores the number of all rows and the remarks about them.
    ///
    /// # Errors
    /// When the system reports an error.
    pub(crate) fn finish(mut self, rows: u64, remarks: Vec<String>) -> Result<FinishedPart, DataError> {
        (self.work.rows, self.work.remarks) = (Some(rows), remarks);
        write_json(&self.folder.join(WORK_FILE), &self.work)?;
        Ok(FinishedPart { folder: self.folder, work: self.work })
    }
}

/// A block that is being written.
pub(crate) struct OpenBlock {
    folder: PathBuf,
    number: u64,
    open: BTreeMap<Split, OpenShard>,
    summary: BlockSummary,
}

impl OpenBlock {
    /// Adds a row that is skipped.
    pub(crate) fn skip(&mut self, skipped: Skipped) {
        self.summary.skipped.push(skipped);
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When the system reports an error.
    pub(crate) fn write(&mut self, finished: FinishedRecord) -> Result<(), DataError> {
        let FinishedRecord { record, fingerprint, note } = finished;
        if let Some(note) = note {
            self.summary.noted.entry(note.kind.to_string()).or_default().push(note.entry);
        }
        let split = record.split;
        self.summary.fingerprints.entry(split).or_default().push(fingerprint);
        let shard = match self.open.remove(&split) {
            Some(shard) => shard,
            None => OpenShard::create(&self.folder, split, self.number as usize)?,
        };
        self.open.entry(split).or_insert(shard).write(record)
    }

    /// Closes the shards and writes the summary. Then the block is finished.
    ///
    /// # Errors
    /// When the system reports an error.
    pub(crate) fn end(self) -> Result<(), DataError> {
        let Self { folder, number, open, mut summary } = self;
        for shard in open.into_values() {
            summary.shards.push(shard.close()?);
        }
        write_json(&folder.join(summary_name(number)), &summary)
    }
}

/// A folder with all blocks of a part.
#[derive(Debug)]
pub(crate) struct FinishedPart {
    pub(crate) folder: PathBuf,
    pub(crate) work: WorkSpec,
}

impl FinishedPart {
    /// Opens the folder of a part that another process prepared.
    ///
    /// # Errors
    /// When the folder does not contain a part, or when the part is not finished.
    pub(crate) fn open(folder: &Path) -> Result<Self, DataError> {
        let work = read_work(folder)?;
        if !(1..=work.part.of).contains(&work.part.number) {
            let Part { number, of } = work.part;
            let cause =
                format!("says that it is part {number}/{of}, which does not exist; run its `prepare --part` again");
            return Err(input_error(folder, &cause));
        }
        match work.rows {
            Some(_) => Ok(Self { folder: folder.to_path_buf(), work }),
            None => Err(input_error(folder, "is not finished; run its `prepare --part` again")),
        }
    }

    /// Renames the work folder to the output folder.
    ///
    /// # Errors
    /// When the system reports an error.
    pub(crate) fn publish(&self, work_folder: WorkFolder) -> Result<(), DataError> {
        let out = work_folder.out();
        let scratch = work_folder.scratch();
        if scratch.is_dir() {
            fs::remove_dir_all(&scratch).map_err(DataError::io("remove", &scratch))?;
        }
        let lock = work_folder.folder.join(LOCK_FILE);
        fs::remove_file(&lock).map_err(DataError::io("remove", &lock))?;
        if out.exists() {
            fs::remove_dir(out).map_err(DataError::io("replace", out))?;
        }
        fs::rename(&work_folder.folder, out).map_err(DataError::io("rename to", out))
    }

    /// Whether a block belongs to this part.
    pub(crate) fn contains(&self, block: u64) -> bool {
        self.work.part.contains(block)
    }

    /// The summary of a block.
    ///
    /// # Errors
    /// When the summary is missing or damaged.
    pub(crate) fn summary(&self, block: u64) -> Result<BlockSummary, DataError> {
        let path = self.folder.join(summary_name(block));
        let summary: BlockSummary = read_json(&path)?;
        match summary.shards.iter().find(|shard| !is_plain_name(&shard.file)) {
            Some(shard) => Err(input_error(
                &path,
                &format!("names `{}`, which is not a plain file name", shortened(&shard.file, 80)),
            )),
            None if summary
                .shards
                .iter()
                .any(|one| summary.fingerprints.get(&one.split).map_or(0, Vec::len) as u64 != one.records) =>
            {
                Err(input_error(
                    &path,
                    "is damaged (its records do not match its shards); run `prepare` for this part again",
                ))
            }
            None => Ok(summary),
        }
    }
}

/// Checks that the parts are all parts of one preparation, each given once. Returns the options for the shards, and what to do
/// with duplicates.
///
/// # Errors
/// When a part is missing, is given twice, or belongs to another preparation; the message names it.
pub(crate) fn check_parts(parts: &[FinishedPart]) -> Result<(WriterOptions, Duplicates), DataError> {
    let Some(first) = parts.iter().min_by_key(|part| part.work.part.number) else {
        return Err(DataError::Setting { name: "join", cause: "give the folders of all parts".into() });
    };
    let of = first.work.part.of;
    let mut seen = BTreeMap::new();
    for one in parts {
        // The arguments may differ: another machine may have the same data under another path.
        let writer = WriterOptions { arguments: first.work.writer.arguments.clone(), ..one.work.writer.clone() };
        let same = WorkSpec { part: first.work.part, writer, ..one.work.clone() } == first.work;
        if !same || one.work.part.of != of {
            let cause = format!(
                "was prepared from other data, with other options or by another version than `{}`; prepare all parts with the \
                 same command",
                first.folder.display()
            );
            return Err(input_error(&one.folder, &cause));
        }
        if let Some(other) = seen.insert(one.work.part.number, &one.folder) {
            return Err(input_error(&one.folder, &format!("is the same part as `{}`", other.display())));
        }
    }
    match (1..=of).find(|number| !seen.contains_key(number)) {
        Some(missing) => {
            let cause = format!("part {missing}/{of} is missing; give the folders of all parts");
            Err(DataError::Setting { name: "join", cause })
        }
        None => Ok((first.work.writer.clone(), first.work.duplicates)),
    }
}

fn summary_name(block: u64) -> String {
    format!("block-{block:07}.json")
}

fn block_number(name: &str) -> Option<u64> {
    name.strip_prefix("block-")?.strip_suffix(".json")?.parse().ok()
}

fn input_error(folder: &Path, cause: &str) -> DataError {
    DataError::Input { path: folder.to_path_buf(), cause: cause.to_string() }
}

fn read_work(folder: &Path) -> Result<WorkSpec, DataError> {
    let path = folder.join(WORK_FILE);
    if !path.is_file() {
        return Err(input_error(
            folder,
            "is not a part of a data set: it has no `work.json`; make it with `prepare --part`",
        ));
    }
    read_json(&path)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, DataError> {
    let file = File::open(path).map_err(DataError::io("open", path))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|error| DataError::Input {
        path: path.to_path_buf(),
        cause: format!("is damaged ({error}); run `prepare` for this part again"),
    })
}

/// Writes the file atomically: either the whole file, or nothing.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), DataError> {
    let write = |temporary: &Path| fs::write(temporary, serde_json::to_vec(value)?);
    write_atomically(path, write).map_err(DataError::io("write", path))
}
