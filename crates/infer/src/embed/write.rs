//! Parts into the file that was asked for.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use ptu_data::DataError;
use ptu_data::inputs::LeftOut;
use ptu_data::vectors::{JsonLines, NumpyArray, VectorReader, VectorRow, VectorWriter, VectorsHeader};
use ptu_input::files::{parent, sync_folder};
use serde::Deserialize;

use super::Embedded;
use super::parts::{Parts, file_error};
use crate::InferError;

/// Under what a finished file notes the inputs that were left out.
const LEFT_OUT: &str = "left_out";

/// Under what it notes how many texts the model saw the beginning of only.
const CUT: &str = "cut";

/// The longest first line of a file of lines.
const HEADER_LIMIT: u64 = 1 << 16;

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
        return Ok(None);
    }
    if !resume {
        return Err(InferError::Exists(out.to_path_buf()));
    }
    let (found, done) = match format {
        Format::Parquet => {
            let reader = VectorReader::open(out)?;
            (Some(reader.header().clone()), noted(&reader))
        }
        Format::Numpy => (first_line(&names_of(out)), Embedded { finished: true, ..Embedded::default() }),
        Format::JsonLines => (first_line(out), Embedded { finished: true, ..Embedded::default() }),
    };
    match found {
        Some(found) if found == *header => Ok(Some(done)),
        _ => Err(InferError::OtherWork(out.to_path_buf())),
    }
}

/// What a finished file says of how it was made.
pub fn noted(reader: &VectorReader) -> Embedded {
    let left_out = reader.note(LEFT_OUT).and_then(|list| serde_json::from_str::<Vec<LeftOut>>(list).ok());
    let cut = reader.note(CUT).and_then(|count| count.parse().ok());
    let (left_out, cut) = (left_out.unwrap_or_default(), cut.unwrap_or_default());
    Embedded { rows: reader.rows(), left_out, cut, finished: true }
}

fn first_line(path: &Path) -> Option<VectorsHeader> {
    #[derive(Deserialize)]
    struct Line {
        header: VectorsHeader,
    }
    let mut line = String::new();
    let file = fs::File::open(path).ok()?;
    BufReader::new(std::io::Read::take(file, HEADER_LIMIT)).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok().map(|line: Line| line.header)
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
            writer.finish(&[(LEFT_OUT, left_out), (CUT, parts.so_far().cut.to_string())])?;
        }
        Format::Numpy => {
            let names = parts.scratch("names");
            let mut array = NumpyArray::create(&scratch, &names, header, parts.rows())?;
            each(&mut |row| array.write(&row))?;
            array.finish()?;
            fs::rename(&names, names_of(out)).map_err(file_error("rename to", &names_of(out)))?;
        }
        Format::JsonLines => {
            let mut lines = JsonLines::create(&scratch, header)?;
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
