//! Images within a file, in whatever type it has them: encoded files, or the paths of files.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, downcast_integer_array};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;
use ptu_data::files::{IMAGE_LIMIT, too_large};
use ptu_input::FileForm;

use super::values::{item, items, place, text};
use crate::raw::encoded::{is_image_file, of_base64};

/// First bytes by which the file of an image is known.
const START: usize = FileForm::ENOUGH;

/// The smallest file of an image, in bytes; what is smaller is a key or a checksum that begins as one.
const SMALLEST: usize = 65;

/// The longest path, in bytes.
const LONGEST_PATH: usize = 4_096;

/// What a column of images has in one row.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: there is no image.
    Missing,
    /// An image of which nothing is told.
    Empty,
    /// The path of its file.
    Path(String),
    /// Its file, and the name that it had.
    File(Vec<u8>, Option<String>),
    /// What cannot be read, with the cause, which goes on from the column's name.
    Not(String),
}

/// Whether a type is that of images as `datasets` has them: a struct of `bytes` and `path`, or of one of them.
pub fn is_image(kind: &DataType) -> bool {
    let DataType::Struct(fields) = kind else { return false };
    let of = |name: &str| fields.iter().find(|field| field.name() == name).map(|field| field.data_type());
    let path_fits = of("path").is_none_or(is_path);
    match (of("bytes"), of("path")) {
        (Some(bytes), _) => path_fits && (is_bytes(bytes) || is_path(bytes) || is_integers(bytes)),
        (None, Some(_)) => path_fits && fields.len() == 1,
        (None, None) => false,
    }
}

/// Names of the fields of a struct of images that are neither of the two.
pub fn others(kind: &DataType) -> Vec<&str> {
    let DataType::Struct(fields) = kind else { return vec![] };
    fields.iter().map(|field| field.name().as_str()).filter(|name| !["bytes", "path"].contains(name)).collect()
}

/// Whether a type is one of bytes, which may be anything.
pub fn is_bytes(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_bytes(values),
        DataType::FixedSizeBinary(_) => true,
        other => other.is_binary(),
    }
}

/// Whether a type is a list of whole numbers, which may be bytes.
pub fn is_integers(kind: &DataType) -> bool {
    item(kind).is_some_and(DataType::is_integer)
}

fn is_path(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_path(values),
        other => other.is_string() || other.is_null(),
    }
}

/// What a column of the type [`is_image`] has.
pub fn image(array: &ArrayRef, row: usize) -> Found {
    let Some((array, row)) = place(array, row) else { return Found::Missing };
    let Some(image) = array.as_struct_opt() else { return Found::Missing };
    let path = image.column_by_name("path").and_then(|path| text(path, row)).filter(|path| !path.trim().is_empty());
    let bytes = image.column_by_name("bytes").and_then(|bytes| place(bytes, row));
    match (bytes, path) {
        (None, None) => Found::Empty,
        (None, Some(path)) => Found::Path(path),
        (Some((bytes, row)), path) => match file(bytes, row) {
            Ok(bytes) => Found::File(bytes, path),
            Err(cause) => Found::Not(cause),
        },
    }
}

/// The file that a value holds, whatever its type; why it holds none, to go on from the column's name.
fn file(array: &ArrayRef, row: usize) -> Result<Vec<u8>, String> {
    if array.data_type().is_string() {
        let text = text(array, row).unwrap_or_default();
        return of_base64(&text).ok_or_else(|| "holds a text that is no image in base64; write its bytes".into());
    }
    if let Some(items) = items(array, row) {
        within(items.len())?;
        return numbers(&items).ok_or_else(|| "holds a list of numbers that are no bytes; write its bytes".into());
    }
    let bytes = bytes(array, row).ok_or_else(|| format!("is of type {}; write its bytes", array.data_type()))?;
    within(bytes.len())?;
    Ok(bytes.to_vec())
}

/// What a column of bytes, or of lists of whole numbers, has where its images stand alone.
pub fn bare(array: &ArrayRef, row: usize) -> Found {
    let Some((array, row)) = place(array, row) else { return Found::Missing };
    match (sight(array, row), bytes(array, row)) {
        (Sight::Text, Some([])) => Found::Empty,
        (Sight::Text, Some(path)) if path.len() <= LONGEST_PATH => {
            Found::Path(String::from_utf8_lossy(path).into_owned())
        }
        _ => match file(array, row) {
            Ok(bytes) => Found::File(bytes, None),
            Err(cause) => Found::Not(cause),
        },
    }
}

/// What bytes, or a list of whole numbers, look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// Words, or a list of numbers.
    Text,
    /// Bytes that are neither.
    Other,
    /// The file of an image.
    Image,
}

/// What a value of the types [`is_bytes`] or [`is_integers`] looks like, which stands where [`place`] says.
pub fn sight(array: &ArrayRef, row: usize) -> Sight {
    let looks = |bytes: &[u8], length: usize| length >= SMALLEST && is_image_file(bytes);
    if let Some(items) = items(array, row) {
        let start = numbers(&items.slice(0, items.len().min(START)));
        return if start.is_some_and(|start| looks(&start, items.len())) { Sight::Image } else { Sight::Text };
    }
    match bytes(array, row).unwrap_or_default() {
        bytes if looks(bytes, bytes.len()) => Sight::Image,
        bytes if !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok() => Sight::Text,
        _ => Sight::Other,
    }
}

/// Bytes of any kind.
fn bytes(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    match array.data_type() {
        DataType::Binary => Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Some(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Some(array.as_fixed_size_binary().value(row)),
        _ => None,
    }
}

fn within(length: usize) -> Result<(), String> {
    match length as u64 > IMAGE_LIMIT {
        true => Err(format!("holds an image that {}", too_large(IMAGE_LIMIT).cause())),
        false => Ok(()),
    }
}

/// What a byte is as a number, with a sign or without.
const BYTES: std::ops::Range<i64> = -128..256;

/// Whole numbers as bytes, with a sign or without. `None` where one is none.
fn numbers(items: &ArrayRef) -> Option<Vec<u8>> {
    let items = items.as_ref();
    if items.null_count() > 0 {
        return None;
    }
    downcast_integer_array!(
        items => {
            let number = items.values().iter().map(|value| value.to_i64());
            number.map(|value| value.filter(|value| BYTES.contains(value)).map(|value| value as u8)).collect()
        }
        _ => None
    )
}
