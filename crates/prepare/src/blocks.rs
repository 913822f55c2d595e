//! Blocks: the unit in which records are made, so that a killed preparation goes on, and several machines can share one.
//!
//! Row `n` of the raw data belongs to block `n / 256`, whatever becomes of it. A block is up to three small shards (one a
//! split) and a note, which is written last: a block with a note is done. All blocks of a data set make its shards
//! ([`super::join`]), whoever made them.

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

use crate::draft::{Finished, RecordMark};
use crate::prepared::Duplicates;

/// Rows of the raw data a block.
pub(crate) const BLOCK_ROWS: u64 = 256;

/// The file that says whose blocks these are.
const WORK_FILE: &str = "work.json";

/// The lock within a folder of blocks.
const LOCK_FILE: &str = "preparing.lock";

/// Which part of the blocks is made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// This part, from 1.
    pub number: u64,
    /// All parts.
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
            _ => Err(format!("`{text}` is no part; write for example 2/8, the second of eight")),
        }
    }
}

impl Part {
    /// All of it.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    fn has(self, block: u64) -> bool {
        block % self.of == self.number - 1
    }
}

/// What must be equal for blocks to belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Work {
    pub(crate) format: u32,
    /// Version of this crate.
    pub(crate) version: String,
    /// Everything else that decides about the records: options and the hashes of the tables that were read.
    pub(crate) decided_by: BTreeMap<String, String>,
    pub(crate) part: Part,
    /// How the shards are written.
    pub(crate) writer: WriterOptions,
    pub(crate) duplicates: Duplicates,
    pub(crate) noted: BTreeMap<String, u64>,
    pub(crate) details: BTreeMap<String, Vec<Skipped>>,
    pub(crate) columns: Vec<TableColumn>,
    pub(crate) overlaps: Vec<Overlap>,
    /// What is worth to be known of the raw data; complete when the part is done.
    pub(crate) told: Vec<String>,
    /// Rows of the raw data; known when the part is done.
    pub(crate) rows: Option<u64>,
}

/// What a block holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    pub(crate) shards: Vec<Shard>,
    /// For each record of each shard, in order.
    pub(crate) marks: BTreeMap<Split, Vec<RecordMark>>,
    pub(crate) skipped: Vec<Skipped>,
    /// What was done to records that were kept, one by one.
    pub(crate) noted: BTreeMap<String, Vec<Skipped>>,
}

/// A hidden folder beside the one that is asked for, in which one process works.
#[derive(Debug)]
pub(crate) struct Workplace {
    folder: PathBuf,
    lock: Option<File>,
}

impl Workplace {
    /// Takes the workplace of what will be `out`, which must be absent or empty.
    ///
    /// # Errors
    /// When `out` holds something, when another process works there, or when the system refuses.
    pub(crate) fn take(out: &Path) -> Result<Self, DataError> {
        if !is_absent_or_empty(out)? {
            return Err(DataError::NotEmpty(out.to_path_buf()));
        }
        let name = out.file_name().ok_or_else(|| DataError::NotEmpty(out.to_path_buf()))?;
        let folder = out.with_file_name(format!(".{}.prepare", name.to_string_lossy()));
        fs::create_dir_all(&folder).map_err(DataError::io("create", &folder))?;
        let path = folder.join(LOCK_FILE);
        let lock = File::create(&path).map_err(DataError::io("create", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => Err(DataError::Busy(out.to_path_buf())),
            Err(TryLockError::Error(source)) => Err(DataError::Io { action: "lock", path, source }),
        }
    }

    /// Where archives may be unpacked to.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.join("unpacked")
    }

    /// Removes all that was made here.
    pub(crate) fn clear(mut self) -> Result<(), DataError> {
        self.lock = None;
        fs::remove_dir_all(&self.folder).map_err(DataError::io("remove", &self.folder))
    }
}

/// Blocks that are being made.
#[derive(Debug)]
pub(crate) struct Blocks {
    folder: PathBuf,
    work: Work,
    /// Of earlier runs.
    done: BTreeSet<u64>,
}

impl Blocks {
    /// Begins or goes on: blocks of an earlier run are kept where they belong to the same work, and removed where not.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn begin(place: &Workplace, work: Work) -> Result<Self, DataError> {
        let folder = place.folder.clone();
        let same = read_work(&folder).is_ok_and(|found| Work { rows: None, told: vec![], ..found } == work);
        let mut done = BTreeSet::new();
        remove_unfinished(&folder).map_err(DataError::io("clear", &folder))?;
        for entry in fs::read_dir(&folder).map_err(DataError::io("list", &folder))? {
            let entry = entry.map_err(DataError::io("list", &folder))?.path();
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match note_number(&name) {
                Some(number) if same => drop(done.insert(number)),
                _ if name == LOCK_FILE || same || entry.is_dir() => {}
                _ => fs::remove_file(&entry).map_err(DataError::io("remove", &entry))?,
            }
        }
        write_json(&folder.join(WORK_FILE), &work)?;
        Ok(Self { folder, work, done })
    }

    /// Whether a block is to be made here and is not yet.
    pub(crate) fn lacks(&self, block: u64) -> bool {
        self.work.part.has(block) && !self.done.contains(&block)
    }

    /// Blocks that were done before.
    pub(crate) fn done(&self) -> usize {
        self.done.len()
    }

    /// Starts a block.
    pub(crate) fn start(&self, number: u64) -> Block {
        Block { folder: self.folder.clone(), number, open: BTreeMap::new(), note: Note::default() }
    }

    /// Says how many rows there were in all, and what is worth to be known of them.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn finish(mut self, rows: u64, told: Vec<String>) -> Result<Done, DataError> {
        (self.work.rows, self.work.told) = (Some(rows), told);
        write_json(&self.folder.join(WORK_FILE), &self.work)?;
        Ok(Done { folder: self.folder, work: self.work })
    }
}

/// A block that is being made.
pub(crate) struct Block {
    folder: PathBuf,
    number: u64,
    open: BTreeMap<Split, OpenShard>,
    note: Note,
}

impl Block {
    /// Adds a row that cannot be used.
    pub(crate) fn skip(&mut self, skipped: Skipped) {
        self.note.skipped.push(skipped);
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn write(&mut self, finished: Finished) -> Result<(), DataError> {
        let Finished { record, mark, note } = finished;
        if let Some(noted) = note {
            self.note.noted.entry(noted.what.to_string()).or_default().push(noted.told);
        }
        let split = record.split;
        self.note.marks.entry(split).or_default().push(mark);
        let shard = match self.open.remove(&split) {
            Some(shard) => shard,
            None => OpenShard::create(&self.folder, split, self.number as usize)?,
        };
        self.open.entry(split).or_insert(shard).write(record)
    }

    /// Ends it: from now on it is done.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn end(self) -> Result<(), DataError> {
        let Self { folder, number, open, mut note } = self;
        for shard in open.into_values() {
            note.shards.push(shard.close()?);
        }
        write_json(&folder.join(note_name(number)), &note)
    }
}

/// A folder of all blocks of a part.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) folder: PathBuf,
    pub(crate) work: Work,
}

impl Done {
    /// Opens a part that was made elsewhere.
    ///
    /// # Errors
    /// When the folder holds none, or one that was not finished.
    pub(crate) fn open(folder: &Path) -> Result<Self, DataError> {
        let work = read_work(folder)?;
        if !(1..=work.part.of).contains(&work.part.number) {
            let Part { number, of } = work.part;
            return Err(part(folder, &format!("says that it is part {number}/{of}, which is none; make it again")));
        }
        match work.rows {
            Some(_) => Ok(Self { folder: folder.to_path_buf(), work }),
            None => Err(part(folder, "is not finished; run its `prepare --part` again")),
        }
    }

    /// Gives the part its name.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn publish(&self, place: Workplace, out: &Path) -> Result<(), DataError> {
        let scratch = place.scratch();
        if scratch.is_dir() {
            fs::remove_dir_all(&scratch).map_err(DataError::io("remove", &scratch))?;
        }
        let lock = place.folder.join(LOCK_FILE);
        fs::remove_file(&lock).map_err(DataError::io("remove", &lock))?;
        if out.exists() {
            fs::remove_dir(out).map_err(DataError::io("replace", out))?;
        }
        fs::rename(&place.folder, out).map_err(DataError::io("rename to", out))
    }

    pub(crate) fn has(&self, block: u64) -> bool {
        self.work.part.has(block)
    }

    /// What a block holds.
    ///
    /// # Errors
    /// When its note is not there or damaged.
    pub(crate) fn note(&self, block: u64) -> Result<Note, DataError> {
        let path = self.folder.join(note_name(block));
        let note: Note = read_json(&path)?;
        match note.shards.iter().find(|shard| !is_plain_name(&shard.file)) {
            Some(shard) => {
                Err(part(&path, &format!("names `{}`, which is no plain file name", shortened(&shard.file, 80))))
            }
            None if note
                .shards
                .iter()
                .any(|one| note.marks.get(&one.split).map_or(0, Vec::len) as u64 != one.records) =>
            {
                Err(part(
                    &path,
                    "is damaged (its records are not those of its shards); run `prepare` of this part again",
                ))
            }
            None => Ok(note),
        }
    }
}

/// Refuses parts that are not all parts of one work, each once; returns how their shards are written.
///
/// # Errors
/// Names the part that is missing, there twice, or of other work.
pub(crate) fn together(parts: &[Done]) -> Result<(WriterOptions, Duplicates), DataError> {
    let Some(first) = parts.iter().min_by_key(|part| part.work.part.number) else {
        return Err(DataError::Setting { name: "join", cause: "name the folders of all parts".into() });
    };
    let of = first.work.part.of;
    let mut seen = BTreeMap::new();
    for one in parts {
        // The same data may lie elsewhere on another machine.
        let writer = WriterOptions { arguments: first.work.writer.arguments.clone(), ..one.work.writer.clone() };
        let same = Work { part: first.work.part, writer, ..one.work.clone() } == first.work;
        if !same || one.work.part.of != of {
            let cause = format!(
                "was made from other data, by other options or by another version than `{}`; make all parts by one command",
                first.folder.display()
            );
            return Err(part(&one.folder, &cause));
        }
        if let Some(other) = seen.insert(one.work.part.number, &one.folder) {
            return Err(part(&one.folder, &format!("is the same part as `{}`", other.display())));
        }
    }
    match (1..=of).find(|number| !seen.contains_key(number)) {
        Some(missing) => {
            let cause = format!("part {missing}/{of} is missing; name the folders of all parts");
            Err(DataError::Setting { name: "join", cause })
        }
        None => Ok((first.work.writer.clone(), first.work.duplicates)),
    }
}

fn note_name(block: u64) -> String {
    format!("block-{block:07}.json")
}

fn note_number(name: &str) -> Option<u64> {
    name.strip_prefix("block-")?.strip_suffix(".json")?.parse().ok()
}

fn part(folder: &Path, cause: &str) -> DataError {
    DataError::Input { path: folder.to_path_buf(), cause: cause.to_string() }
}

fn read_work(folder: &Path) -> Result<Work, DataError> {
    let path = folder.join(WORK_FILE);
    if !path.is_file() {
        return Err(part(folder, "is no part of a data set: it has no `work.json`; make it with `prepare --part`"));
    }
    read_json(&path)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, DataError> {
    let file = File::open(path).map_err(DataError::io("open", path))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|error| DataError::Input {
        path: path.to_path_buf(),
        cause: format!("is damaged ({error}); run `prepare` of this part again"),
    })
}

/// Whole or not at all.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), DataError> {
    let write = |temporary: &Path| fs::write(temporary, serde_json::to_vec(value)?);
    write_atomically(path, write).map_err(DataError::io("write", path))
}
