//! Part files: finished rows on disk until all inputs are embedded.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use ptu_data::DataError;
use ptu_data::inputs::SkippedInput;
use ptu_data::vectors::{VectorReader, VectorRow, VectorWriter, VectorsHeader};
use ptu_input::files::sync_folder;
use serde::{Deserialize, Serialize};

use super::{Chunk, Embedded};
use crate::InferError;

const LOCK: &str = "lock";
const WRITING: &str = "writing";
/// Key of a part's [`Span`] in the metadata of its file.
const SPAN: &str = "span";

/// The inputs whose rows a part holds.
#[derive(Debug, Serialize, Deserialize)]
struct Span {
    from: u64,
    to: u64,
    /// Inputs that were skipped because they cannot be used.
    #[serde(rename = "left_out")]
    skipped: Vec<SkippedInput>,
    /// Number of texts that are longer than the model's limit.
    #[serde(default)]
    cut: u64,
    /// Number of inputs without the requested modality.
    #[serde(default, rename = "passed")]
    without_modality: u64,
}

/// The parts of one output file, in a hidden folder next to it.
pub struct Parts {
    folder: PathBuf,
    header: VectorsHeader,
    /// Files of the finished parts, in order.
    closed: Vec<PathBuf>,
    rows: u64,
    skipped: Vec<SkippedInput>,
    cut: u64,
    without_modality: u64,
    /// The first input that no part holds.
    next: u64,
    /// The part that is being written.
    open: Option<OpenPart>,
    /// Lock file; it is locked until the parts are dropped or removed.
    lock: File,
}

/// A part that is being written. The counts are those of all parts before it.
struct OpenPart {
    writer: VectorWriter,
    /// The first input of the part.
    from: u64,
    /// Number of skipped inputs.
    skipped: usize,
    /// Number of texts that are longer than the model's limit.
    cut: u64,
    /// Number of inputs without the requested modality.
    without_modality: u64,
}

impl Parts {
    /// Opens the folder of parts of `out`. It is empty, or with `resume` it may hold the parts of interrupted work.
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
        let mut parts = Self {
            folder,
            header,
            closed: vec![],
            rows: 0,
            skipped: vec![],
            cut: 0,
            without_modality: 0,
            next: 0,
            open: None,
            lock,
        };
        closed.into_iter().try_for_each(|path| parts.add_finished(path))?;
        Ok(parts)
    }

    /// Adds a finished part of interrupted work.
    fn add_finished(&mut self, path: PathBuf) -> Result<(), InferError> {
        let reader = VectorReader::open(&path)?;
        let span = reader.note(SPAN).and_then(|span| serde_json::from_str::<Span>(span).ok());
        match span {
            Some(span) if *reader.header() == self.header && span.from == self.next => {
                (self.next, self.rows) = (span.to, self.rows + reader.rows());
                self.skipped.extend(span.skipped);
                self.cut += span.cut;
                self.without_modality += span.without_modality;
                self.closed.push(path);
                Ok(())
            }
            _ => Err(InferError::OtherWork(self.folder.clone())),
        }
    }

    /// Adds the results of the next `count` inputs.
    pub fn add(&mut self, chunk: Chunk, count: u64) -> Result<(), InferError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let writer = VectorWriter::create(&self.folder.join(WRITING), &self.header)?;
                let (from, skipped) = (self.next, self.skipped.len());
                OpenPart { writer, from, skipped, cut: self.cut, without_modality: self.without_modality }
            }
        };
        self.rows += chunk.rows.len() as u64;
        chunk.rows.into_iter().try_for_each(|row| open.writer.write(row))?;
        self.skipped.extend(chunk.skipped);
        self.cut += chunk.cut;
        self.without_modality += chunk.without_modality;
        self.next += count;
        self.open = Some(open);
        Ok(())
    }

    /// Finishes the open part. After that its rows are saved on disk.
    pub fn close(&mut self) -> Result<(), InferError> {
        let Some(OpenPart { writer, from, skipped, cut, without_modality }) = self.open.take() else { return Ok(()) };
        let skipped = self.skipped[skipped..].to_vec();
        let (cut, without_modality) = (self.cut - cut, self.without_modality - without_modality);
        let span = Span { from, to: self.next, skipped, cut, without_modality };
        let failed = |action| file_error(action, &self.folder);
        let span = serde_json::to_string(&span).map_err(|error| failed("write")(io::Error::other(error)))?;
        writer.finish(&[(SPAN, span)])?;
        // The file is named by its first input, so that the names of the parts sort in their order.
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

    /// Number of rows in all parts.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Inputs that were skipped because they cannot be used.
    pub fn skipped(&self) -> &[SkippedInput] {
        &self.skipped
    }

    /// The result for all inputs so far.
    pub fn result(&self) -> Embedded {
        let (rows, skipped, cut) = (self.rows, self.skipped.clone(), self.cut);
        Embedded { rows, skipped, cut, without_modality: self.without_modality, finished: false }
    }

    /// Path of a temporary file that becomes the output file.
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

    /// Removes parts that were left over although the output file is finished.
    pub fn remove_leftover(out: &Path) -> Result<(), InferError> {
        let folder = folder_of(out);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error("remove", &folder)(error)),
            _ => Ok(()),
        }
    }

    /// Removes all parts, after the output file was written.
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
