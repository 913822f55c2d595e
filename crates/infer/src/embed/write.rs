//! Parts into the file that was asked for.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ptu_data::DataError;
use ptu_data::inputs::LeftOut;
use ptu_data::vectors::{JsonLines, NumpyArray, VectorReader, VectorRow, VectorWriter, VectorsHeader};
use ptu_input::files::{parent, sync_folder};
use serde::{Deserialize, Serialize};

use super::Embedded;
use super::parts::{Parts, file_error};
use crate::InferError;

/// Under what a finished file notes the inputs that were left out.
const LEFT_OUT: &str = "left_out";

/// Under what it notes how many texts the model saw the beginning of only.
const CUT: &str = "cut";

/// Under what it notes how many inputs had nothing of the modality that was asked for.
const PASSED: &str = "passed";

/// The longest first line of a file of lines: it lists what was left out.
const HEADER_LIMIT: u64 = 1 << 28;

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Parquet,
    Numpy,
    JsonLines,
}

impl Format {
    /// By the ending of the file's name.
    pub fn of(path: &Path) -> Result<Self, InferError> {
        match path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase().as_str() {
            "parquet" => Ok(Self::Parquet),
            "npy" => Ok(Self::Numpy),
            "jsonl" => Ok(Self::JsonLines),
            _ => Err(InferError::Ending(path.to_path_buf())),
        }
    }
}

/// What the rows of a NumPy array are.
fn names_of(array: &Path) -> PathBuf {
    array.with_extension("npy.jsonl")
}

/// Whether the file is there; then, resuming, nothing is to be done if it was made of the same.
pub fn finished(
    out: &Path,
    format: Format,
    header: &VectorsHeader,
    resume: bool,
) -> Result<Option<Embedded>, InferError> {
    if !out.exists() {
        // The names of an array are written before it: work that was killed in between may have left its own.
        let names = names_of(out);
        return match format == Format::Numpy && names.exists() && in_lines(&names)?.0.is_none() {
            true => Err(InferError::Exists(names)),
            false => Ok(None),
        };
    }
    if !resume {
        return Err(InferError::Exists(out.to_path_buf()));
    }
    let (found, done) = match format {
        Format::Parquet => {
            let reader = VectorReader::open(out)?;
            (Some(reader.header().clone()), noted(&reader))
        }
        Format::Numpy => in_lines(&names_of(out))?,
        Format::JsonLines => in_lines(out)?,
    };
    match found {
        Some(found) if found == *header => Ok(Some(done)),
        _ => Err(InferError::OtherWork(out.to_path_buf())),
    }
}

/// What a finished file says of how it was made.
pub fn noted(reader: &VectorReader) -> Embedded {
    let left_out = reader.note(LEFT_OUT).and_then(|list| serde_json::from_str::<Vec<LeftOut>>(list).ok());
    let count = |key: &str| reader.note(key).and_then(|count| count.parse().ok()).unwrap_or_default();
    let (left_out, cut, passed) = (left_out.unwrap_or_default(), count(CUT), count(PASSED));
    Embedded { rows: reader.rows(), left_out, cut, passed, finished: true }
}

/// What a file of lines notes beside its header; older ones lack it.
#[derive(Default, Serialize, Deserialize)]
struct Notes {
    left_out: Vec<LeftOut>,
    cut: u64,
    passed: u64,
}

/// What made a file of lines, and what it says of how it was made; without a header it is none of ours.
fn in_lines(path: &Path) -> Result<(Option<VectorsHeader>, Embedded), InferError> {
    #[derive(Deserialize)]
    struct First {
        header: VectorsHeader,
        notes: Option<Notes>,
    }
    let failed = || file_error("read", path);
    let mut file = match fs::File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, Embedded::default())),
        Err(error) => return Err(failed()(error)),
    };
    let mut line = vec![];
    file.by_ref().take(HEADER_LIMIT).read_until(b'\n', &mut line).map_err(failed())?;
    let Ok(First { header, notes }) = serde_json::from_slice(&line) else { return Ok((None, Embedded::default())) };
    let Notes { left_out, cut, passed } = notes.unwrap_or_default();
    let rows = ends_of_lines(&mut file).map_err(failed())?;
    Ok((Some(header), Embedded { rows, left_out, cut, passed, finished: true }))
}

fn ends_of_lines(file: &mut impl BufRead) -> io::Result<u64> {
    let mut ends = 0;
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(ends);
        }
        ends += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = bytes.len();
        file.consume(length);
    }
}

fn notes(parts: &Parts) -> serde_json::Value {
    let Embedded { left_out, cut, passed, .. } = parts.so_far();
    serde_json::json!(Notes { left_out, cut, passed })
}

/// Writes all rows to `out` and removes the parts.
pub fn assemble(parts: Parts, out: &Path, format: Format, header: &VectorsHeader) -> Result<Embedded, InferError> {
    let scratch = parts.scratch("vectors");
    let each = |write: &mut dyn FnMut(VectorRow) -> Result<(), DataError>| -> Result<(), DataError> {
        parts.read().try_for_each(|rows| rows?.into_iter().try_for_each(&mut *write))
    };
    match format {
        Format::Parquet => {
            let mut writer = VectorWriter::create(&scratch, header)?;
            each(&mut |row| writer.write(row))?;
            let left_out = serde_json::to_string(parts.left_out()).unwrap_or_default();
            let Embedded { cut, passed, .. } = parts.so_far();
            writer.finish(&[(LEFT_OUT, left_out), (CUT, cut.to_string()), (PASSED, passed.to_string())])?;
        }
        Format::Numpy => {
            let names = parts.scratch("names");
            let mut array = NumpyArray::create((&scratch, &names), header, &notes(&parts), parts.rows())?;
            each(&mut |row| array.write(&row))?;
            array.finish()?;
            fs::rename(&names, names_of(out)).map_err(file_error("rename to", &names_of(out)))?;
        }
        Format::JsonLines => {
            let mut lines = JsonLines::create(&scratch, header, &notes(&parts))?;
            each(&mut |row| lines.write(&row))?;
            lines.finish()?;
        }
    }
    fs::rename(&scratch, out).map_err(file_error("rename to", out))?;
    sync_folder(parent(out)).map_err(file_error("sync", out))?;
    let embedded = Embedded { finished: true, ..parts.so_far() };
    parts.remove()?;
    Ok(embedded)
}
