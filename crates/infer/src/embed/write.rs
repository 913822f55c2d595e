//! Joins the parts into the output file.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ptu_data::DataError;
use ptu_data::inputs::SkippedInput;
use ptu_data::vectors::{JsonLines, NumpyArray, VectorReader, VectorRow, VectorWriter, VectorsHeader};
use ptu_input::files::{parent, sync_folder};
use serde::{Deserialize, Serialize};

use super::Embedded;
use super::parts::{Parts, file_error};
use crate::InferError;

/// Key, in the metadata of a finished file, of the list of skipped inputs.
const SKIPPED: &str = "left_out";

/// Key of the number of texts that are longer than the model's limit.
const CUT: &str = "cut";

/// Key of the number of inputs without the requested modality.
const WITHOUT_MODALITY: &str = "passed";

/// Limit for the length of the first line of a JSON Lines file, in bytes. The line contains the list of skipped inputs.
const HEADER_LIMIT: u64 = 1 << 28;

/// Format of the output file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Parquet,
    Numpy,
    JsonLines,
}

impl Format {
    /// The format that belongs to the file's extension.
    pub fn of(path: &Path) -> Result<Self, InferError> {
        match path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase().as_str() {
            "parquet" => Ok(Self::Parquet),
            "npy" => Ok(Self::Numpy),
            "jsonl" => Ok(Self::JsonLines),
            _ => Err(InferError::Ending(path.to_path_buf())),
        }
    }
}

/// Path of the file that describes the rows of a NumPy array.
fn names_of(array: &Path) -> PathBuf {
    array.with_extension("npy.jsonl")
}

/// The result of a finished output file. `None` if the file does not exist and the work is still to be done. A file that exists
/// is an error, unless `resume` is set and the file was made from the same inputs, with the same model and options.
pub fn finished(
    out: &Path,
    format: Format,
    header: &VectorsHeader,
    resume: bool,
) -> Result<Option<Embedded>, InferError> {
    if !out.exists() {
        // The description of an array is written before the array. Work that was killed in between may have left its own
        // description, which has our header and may be overwritten. A file without this header belongs to the user.
        let names = names_of(out);
        return match format == Format::Numpy && names.exists() && read_header(&names)?.0.is_none() {
            true => Err(InferError::Exists(names)),
            false => Ok(None),
        };
    }
    if !resume {
        return Err(InferError::Exists(out.to_path_buf()));
    }
    let (found, result) = match format {
        Format::Parquet => {
            let reader = VectorReader::open(out)?;
            (Some(reader.header().clone()), noted(&reader))
        }
        Format::Numpy => read_header(&names_of(out))?,
        Format::JsonLines => read_header(out)?,
    };
    match found {
        Some(found) if found == *header => Ok(Some(result)),
        _ => Err(InferError::OtherWork(out.to_path_buf())),
    }
}

/// The result of embedding, as it is noted in a finished parquet file.
pub fn noted(reader: &VectorReader) -> Embedded {
    let skipped = reader.note(SKIPPED).and_then(|list| serde_json::from_str::<Vec<SkippedInput>>(list).ok());
    let count = |key: &str| reader.note(key).and_then(|count| count.parse().ok()).unwrap_or_default();
    let (skipped, cut, without_modality) = (skipped.unwrap_or_default(), count(CUT), count(WITHOUT_MODALITY));
    Embedded { rows: reader.rows(), skipped, cut, without_modality, finished: true }
}

/// Notes next to the header of a JSON Lines file. Older files do not have them.
#[derive(Default, Serialize, Deserialize)]
struct Notes {
    #[serde(rename = "left_out")]
    skipped: Vec<SkippedInput>,
    cut: u64,
    #[serde(rename = "passed")]
    without_modality: u64,
}

/// Reads the header and the notes of a JSON Lines file. A file without a header was not written by this program.
fn read_header(path: &Path) -> Result<(Option<VectorsHeader>, Embedded), InferError> {
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
    let Notes { skipped, cut, without_modality } = notes.unwrap_or_default();
    let rows = count_lines(&mut file).map_err(failed())?;
    let result = Embedded { rows, skipped, cut, without_modality, finished: true };
    Ok((Some(header), result))
}

/// Counts the remaining lines of a file.
fn count_lines(file: &mut impl BufRead) -> io::Result<u64> {
    let mut lines = 0;
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(lines);
        }
        lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = bytes.len();
        file.consume(length);
    }
}

fn notes(parts: &Parts) -> serde_json::Value {
    let Embedded { skipped, cut, without_modality, .. } = parts.result();
    serde_json::json!(Notes { skipped, cut, without_modality })
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
            let skipped = serde_json::to_string(parts.skipped()).unwrap_or_default();
            let Embedded { cut, without_modality, .. } = parts.result();
            writer.finish(&[
                (SKIPPED, skipped),
                (CUT, cut.to_string()),
                (WITHOUT_MODALITY, without_modality.to_string()),
            ])?;
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
    let embedded = Embedded { finished: true, ..parts.result() };
    parts.remove()?;
    Ok(embedded)
}
