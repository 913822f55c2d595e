//! Images in a parquet file, in any type in which they can be stored: as encoded files, or as paths of files.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, downcast_integer_array};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;
use ptu_data::files::{IMAGE_LIMIT, too_large};
use ptu_input::FileForm;

use super::values::{item_type, items, resolve, text};
use crate::raw::encoded::{decode_base64_image, is_image_file};

/// The number of bytes that are enough to recognise an image file.
const PREFIX_SIZE: usize = FileForm::ENOUGH;

/// The size of the smallest image file, in bytes. Shorter bytes can be a key or a checksum that happens to begin like an image.
const MIN_IMAGE_SIZE: usize = 65;

/// The longest path, in bytes.
const MAX_PATH_LENGTH: usize = 4_096;

/// The value of a column of images in one row.
#[derive(Debug, PartialEq, Eq)]
pub enum ImageCell {
    /// Null: there is no image.
    Missing,
    /// An image without bytes and path, or an empty text.
    Empty,
    /// The path of an image file.
    Path(String),
    /// The bytes of an image file, and its name if it has one.
    File(Vec<u8>, Option<String>),
    /// A value that cannot be read, with the cause (words that follow the name of the column).
    Invalid(String),
}

/// Whether a type is the type of images in `datasets`: a struct with `bytes`, `path`, or both.
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

/// The names of the fields of an image struct other than `bytes` and `path`.
pub fn other_fields(kind: &DataType) -> Vec<&str> {
    let DataType::Struct(fields) = kind else { return vec![] };
    fields.iter().map(|field| field.name().as_str()).filter(|name| !["bytes", "path"].contains(name)).collect()
}

/// Whether a type is a type of bytes, whose values may be images, texts or anything else.
pub fn is_bytes(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_bytes(values),
        DataType::FixedSizeBinary(_) => true,
        other => other.is_binary(),
    }
}

/// Whether a type is a list of integers, which may be bytes.
pub fn is_integers(kind: &DataType) -> bool {
    item_type(kind).is_some_and(DataType::is_integer)
}

/// Whether a type can contain paths.
fn is_path(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_path(values),
        other => other.is_string() || other.is_null(),
    }
}

/// Reads a value of a type for which [`is_image`] is true.
pub fn struct_image(array: &ArrayRef, row: usize) -> ImageCell {
    let Some((array, row)) = resolve(array, row) else { return ImageCell::Missing };
    let Some(image) = array.as_struct_opt() else { return ImageCell::Missing };
    let path = image.column_by_name("path").and_then(|path| text(path, row)).filter(|path| !path.trim().is_empty());
    let bytes = image.column_by_name("bytes").and_then(|bytes| resolve(bytes, row));
    match (bytes, path) {
        (None, None) => ImageCell::Empty,
        (None, Some(path)) => ImageCell::Path(path),
        (Some((bytes, row)), path) => match image_bytes(bytes, row) {
            Ok(bytes) => ImageCell::File(bytes, path),
            Err(cause) => ImageCell::Invalid(cause),
        },
    }
}

/// The image file in a value of any type, or the cause why there is none (words that follow the name of the column).
fn image_bytes(array: &ArrayRef, row: usize) -> Result<Vec<u8>, String> {
    if array.data_type().is_string() {
        let text = text(array, row).unwrap_or_default();
        return decode_base64_image(&text)
            .ok_or_else(|| "holds a text that is not an image in base64; write the bytes of the image file".into());
    }
    if let Some(items) = items(array, row) {
        check_size(items.len())?;
        return bytes_of_integers(&items)
            .ok_or_else(|| "holds a list of numbers that are not bytes; write the bytes of the image file".into());
    }
    let bytes = bytes(array, row)
        .ok_or_else(|| format!("is of type {}; write the bytes of the image file", array.data_type()))?;
    check_size(bytes.len())?;
    Ok(bytes.to_vec())
}

/// Reads a value that is an image without a struct: bytes, or a list of integers. Bytes that are a text are read as a path.
pub fn bytes_image(array: &ArrayRef, row: usize) -> ImageCell {
    let Some((array, row)) = resolve(array, row) else { return ImageCell::Missing };
    match (bytes_kind(array, row), bytes(array, row)) {
        (BytesKind::Text, Some([])) => ImageCell::Empty,
        (BytesKind::Text, Some(path)) if path.len() <= MAX_PATH_LENGTH => {
            ImageCell::Path(String::from_utf8_lossy(path).into_owned())
        }
        _ => match image_bytes(array, row) {
            Ok(bytes) => ImageCell::File(bytes, None),
            Err(cause) => ImageCell::Invalid(cause),
        },
    }
}

/// What a value of bytes, or a list of integers, is. In this order, the largest value decides for a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BytesKind {
    /// A text, or a list of numbers.
    Text,
    /// Bytes that are neither a text nor an image file.
    Other,
    /// An image file.
    Image,
}

/// What a value of a type for which [`is_bytes`] or [`is_integers`] is true is; `array` and `row` are from [`resolve`].
pub fn bytes_kind(array: &ArrayRef, row: usize) -> BytesKind {
    let is_image = |bytes: &[u8], length: usize| length >= MIN_IMAGE_SIZE && is_image_file(bytes);
    if let Some(items) = items(array, row) {
        let start = bytes_of_integers(&items.slice(0, items.len().min(PREFIX_SIZE)));
        return if start.is_some_and(|start| is_image(&start, items.len())) {
            BytesKind::Image
        } else {
            BytesKind::Text
        };
    }
    match bytes(array, row).unwrap_or_default() {
        bytes if is_image(bytes, bytes.len()) => BytesKind::Image,
        bytes if !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok() => BytesKind::Text,
        _ => BytesKind::Other,
    }
}

/// The bytes of a value of any type of bytes.
fn bytes(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    match array.data_type() {
        DataType::Binary => Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Some(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Some(array.as_fixed_size_binary().value(row)),
        _ => None,
    }
}

/// Refuses an image file that is too large.
fn check_size(length: usize) -> Result<(), String> {
    match length as u64 > IMAGE_LIMIT {
        true => Err(format!("holds an image that {}", too_large(IMAGE_LIMIT).cause())),
        false => Ok(()),
    }
}

/// The integers that can be a byte, signed or unsigned.
const BYTE_VALUES: std::ops::Range<i64> = -128..256;

/// Converts integers to bytes, signed or unsigned; `None` if one of them is not a byte.
fn bytes_of_integers(items: &ArrayRef) -> Option<Vec<u8>> {
    let items = items.as_ref();
    if items.null_count() > 0 {
        return None;
    }
    downcast_integer_array!(
        items => {
            let number = items.values().iter().map(|value| value.to_i64());
            number.map(|value| value.filter(|value| BYTE_VALUES.contains(value)).map(|value| value as u8)).collect()
        }
        _ => None
    )
}
