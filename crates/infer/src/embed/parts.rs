//! Finished rows on disk, part by part, until all are there.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use ptu_data::DataError;
use ptu_data::inputs::LeftOut;
use ptu_data::vectors::{VectorReader, VectorRow, VectorWriter, VectorsHeader};
use ptu_input::files::sync_folder;
use serde::{Deserialize, Serialize};

use super::{Chunk, Embedded};
use crate::InferError;

const LOCK: &str = "lock";
const WRITING: &str = "writing";
/// Under what a part's [`Span`] is noted.
const SPAN: &str = "span";

/// Which inputs a part holds.
#[derive(Debug, Serialize, Deserialize)]
struct Span {
    from: u64,
    to: u64,
    left_out: Vec<LeftOut>,
    /// Texts longer than the model's limit.
    #[serde(default)]
    cut: u64,
    /// Inputs without the modality that is asked for.
    #[serde(default)]
    passed: u64,
}

/// The parts of one file, in a hidden folder beside it.
pub struct Parts {
    folder: PathBuf,
    header: VectorsHeader,
    closed: Vec<PathBuf>,
    rows: u64,
    left_out: Vec<LeftOut>,
    cut: u64,
    passed: u64,
    next: u64,
    open: Option<Open>,
    /// Held as long as the parts are.
    lock: File,
}

struct Open {
    writer: VectorWriter,
    from: u64,
    /// Length of the list of what was left out, and numbers of texts that were cut and of inputs that were passed over, when the
    /// part was begun.
    left_out: usize,
    cut: u64,
    passed: u64,
}

impl Parts {
    /// The parts of `out`: none yet, or, with `resume`, those of interrupted work.
    pub fn open(out: &Path, header: &VectorsHeader, resume: bool) -> Result<Self, InferError> {
        let folder = folder_of(out);
        let failed = |action| file_error(action, &folder);
        fs::create_dir_all(&folder).map_err(failed("make"))?;
        let lock = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK));
        let lock = lock.map_err(failed("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataError::Busy(out.to_path_buf()).into()),
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        let mut closed: Vec<PathBuf> = vec![];
        for entry in fs::read_dir(&folder).map_err(failed("list"))? {
            let path = entry.map_err(failed("list"))?.path();
            if path.extension().is_some_and(|ending| ending == "parquet") {
                closed.push(path);
            }
        }
        closed.sort();
        if !closed.is_empty() && !resume {
            return Err(InferError::Interrupted(folder));
        }
        let header = header.clone();
        let (rows, cut, passed, next, left_out, open) = (0, 0, 0, 0, vec![], None);
        let mut parts = Self { folder, header, closed: vec![], rows, left_out, cut, passed, next, open, lock };
        closed.into_iter().try_for_each(|path| parts.take(path))?;
        Ok(parts)
    }

    /// Takes a finished part that is there.
    fn take(&mut self, path: PathBuf) -> Result<(), InferError> {
        let reader = VectorReader::open(&path)?;
        let span = reader.note(SPAN).and_then(|span| serde_json::from_str::<Span>(span).ok());
        match span {
            Some(span) if *reader.header() == self.header && span.from == self.next => {
                (self.next, self.rows) = (span.to, self.rows + reader.rows());
                self.left_out.extend(span.left_out);
                self.cut += span.cut;
                self.passed += span.passed;
                self.closed.push(path);
                Ok(())
            }
            _ => Err(InferError::OtherWork(self.folder.clone())),
        }
    }

    /// Adds what came of the next `count` inputs.
    pub fn add(&mut self, chunk: Chunk, count: u64) -> Result<(), InferError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let writer = VectorWriter::create(&self.folder.join(WRITING), &self.header)?;
                Open { writer, from: self.next, left_out: self.left_out.len(), cut: self.cut, passed: self.passed }
            }
        };
        self.rows += chunk.rows.len() as u64;
        chunk.rows.into_iter().try_for_each(|row| open.writer.write(row))?;
        self.left_out.extend(chunk.left_out);
        self.cut += chunk.cut;
        self.passed += chunk.passed;
        self.next += count;
        self.open = Some(open);
        Ok(())
    }

    /// Ends the part at hand: what it holds is safe.
    pub fn close(&mut self) -> Result<(), InferError> {
        let Some(Open { writer, from, left_out, cut, passed }) = self.open.take() else { return Ok(()) };
        let left_out = self.left_out[left_out..].to_vec();
        let span = Span { from, to: self.next, left_out, cut: self.cut - cut, passed: self.passed - passed };
        let failed = |action| file_error(action, &self.folder);
        let span = serde_json::to_string(&span).map_err(|error| failed("write")(io::Error::other(error)))?;
        writer.finish(&[(SPAN, span)])?;
        // Named by its first input, so that parts sort as they follow each other.
        let path = self.folder.join(format!("{from:015}.parquet"));
        fs::rename(self.folder.join(WRITING), &path).map_err(failed("rename in"))?;
        sync_folder(&self.folder).map_err(failed("sync"))?;
        self.closed.push(path);
        Ok(())
    }

    /// The first input that no part holds.
    pub fn next_input(&self) -> u64 {
        self.next
    }

    /// Rows of all parts.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Inputs that could not be used.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// What came of all inputs so far.
    pub fn so_far(&self) -> Embedded {
        let (rows, left_out, cut, passed) = (self.rows, self.left_out.clone(), self.cut, self.passed);
        Embedded { rows, left_out, cut, passed, finished: false }
    }

    /// A place for a file that becomes the result.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.result"))
    }

    /// All rows in order.
    pub fn read(&self) -> impl Iterator<Item = Result<Vec<VectorRow>, DataError>> {
        self.closed.iter().flat_map(|path| -> Box<dyn Iterator<Item = _>> {
            match VectorReader::open(path) {
                Ok(reader) => Box::new(reader),
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        })
    }

    /// Removes parts that are left of a finished file.
    pub fn forget(out: &Path) -> Result<(), InferError> {
        let folder = folder_of(out);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error("remove", &folder)(error)),
            _ => Ok(()),
        }
    }

    /// Removes all parts: the result is in place.
    pub fn remove(self) -> Result<(), InferError> {
        let Self { folder, lock, .. } = self;
        fs::remove_dir_all(&folder).map_err(file_error("remove", &folder))?;
        drop(lock);
        Ok(())
    }
}

fn folder_of(out: &Path) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    out.with_file_name(format!(".{name}.partial"))
}

/// Wraps a system error; for `map_err`.
pub fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> InferError {
    let path = path.to_path_buf();
    move |source| InferError::File { action, path, source }
}
