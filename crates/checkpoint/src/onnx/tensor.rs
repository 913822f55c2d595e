//! Tensors of an ONNX graph. Their elements stay where they are: in the file, or in a file beside it.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use bytes::Bytes;

use super::Budget;
use super::text;
use crate::error::{Problem, damaged, unsupported};
use crate::mapped::map;
use crate::tensor::{MAX_DIMENSIONS, Stored};
use crate::wire::{Field, Fields, varints};
use crate::{Dtype, TensorInfo};

/// Files of elements beside the model, mapped once each.
pub(super) struct External<'a> {
    model: &'a Path,
    files: BTreeMap<String, Bytes>,
}

impl<'a> External<'a> {
    /// None is mapped yet; `model` is the file of the graph.
    pub(super) fn new(model: &'a Path) -> Self {
        Self { model, files: BTreeMap::new() }
    }

    /// A part of a file in the folder of the model.
    fn part(&mut self, name: &str, entries: &Entries) -> Result<Bytes, Problem> {
        let wrong = |cause: String| damaged(format!("tensor `{name}`"), cause);
        let location = &entries.location;
        let inside = Path::new(location).components().all(|part| matches!(part, Component::Normal(_)));
        if location.is_empty() || !inside {
            return Err(wrong(format!(
                "its elements are in `{location}`, which is outside of the folder of the model"
            )));
        }
        if !self.files.contains_key(location) {
            let file = map(&self.model.with_file_name(location));
            let file = file.map_err(|error| wrong(format!("its elements are in another file: {error}")))?;
            self.files.insert(location.clone(), file);
        }
        let file = &self.files[location];
        let end = entries.length.map_or(Some(file.len()), |length| entries.offset.checked_add(length));
        match end.filter(|end| entries.offset <= *end && *end <= file.len()) {
            Some(end) => Ok(file.slice(entries.offset..end)),
            None => Err(wrong(format!("its elements reach beyond the end of `{location}`"))),
        }
    }
}

/// Where the elements of a tensor are in another file.
#[derive(Default)]
struct Entries {
    location: String,
    offset: usize,
    length: Option<usize>,
}

/// A tensor as the file describes it; numbers of fields as in `onnx.proto`.
#[derive(Default)]
struct Described<'a> {
    name: String,
    shape: Vec<usize>,
    kind: u64,
    raw: Option<&'a [u8]>,
    floats: Option<&'a [u8]>,
    ints: Option<&'a [u8]>,
    doubles: Option<&'a [u8]>,
    external: Option<Entries>,
}

/// Reads a tensor; `other` is its name if it has none of its own.
///
/// # Errors
/// When it is damaged or has no name, or its elements are not where they are said to be.
pub(super) fn read(
    file: &Bytes,
    message: &[u8],
    other: Option<&str>,
    external: &mut External<'_>,
    budget: &mut Budget,
) -> Result<(String, Stored), Problem> {
    let described = describe(message, budget)?;
    let name = other.unwrap_or(&described.name).to_owned();
    if name.is_empty() {
        return Err(damaged("an initializer", "it has no name"));
    }
    let dtype = dtype(described.kind);
    let info = TensorInfo { shape: described.shape, dtype };
    if !dtype.is_float() {
        return Ok((name.clone(), Stored::unread(&name, info)?));
    }
    let within = |bytes: &[u8]| file.slice_ref(bytes);
    let stored = match (described.external, described.raw, dtype) {
        (Some(entries), None, _) => Stored::contiguous(&name, info, external.part(&name, &entries)?),
        (None, Some(raw), _) => Stored::contiguous(&name, info, within(raw)),
        (None, None, Dtype::F32) => Stored::contiguous(&name, info, within(described.floats.unwrap_or_default())),
        (None, None, Dtype::F64) => Stored::contiguous(&name, info, within(described.doubles.unwrap_or_default())),
        (None, None, _) => Stored::varints(&name, info, within(described.ints.unwrap_or_default())),
        (Some(_), Some(_), _) => Err(damaged(format!("tensor `{name}`"), "its elements are in two places")),
    };
    Ok((name, stored?))
}

fn describe<'a>(message: &'a [u8], budget: &mut Budget) -> Result<Described<'a>, Problem> {
    let mut tensor = Described::default();
    let mut elsewhere = false;
    for field in Fields(message) {
        let wrong = |cause| damaged("an initializer", cause);
        match field.map_err(wrong)? {
            (1, dimensions) => varints(dimensions, &mut |size| {
                // One more than allowed is kept, so that the shape is refused with its number of dimensions.
                if tensor.shape.len() <= MAX_DIMENSIONS {
                    let size = usize::try_from(size.cast_signed()).map_err(|_| "a dimension is negative")?;
                    tensor.shape.push(size);
                }
                Ok(())
            })
            .map_err(wrong)?,
            (2, Field::Varint(kind)) => tensor.kind = kind,
            (3, _) => return Err(unsupported("an initializer", "it is divided into segments")),
            (4, values) => once(&mut tensor.floats, values)?,
            (5, values) => once(&mut tensor.ints, values)?,
            (8, Field::Bytes(bytes)) => tensor.name = text(bytes, "the name of an initializer", budget)?,
            (9, values) => once(&mut tensor.raw, values)?,
            (10, values) => once(&mut tensor.doubles, values)?,
            (13, Field::Bytes(entry)) => entry_of(entry, tensor.external.get_or_insert_default(), budget)?,
            (14, Field::Varint(location)) => elsewhere = location == 1,
            _ => {}
        }
    }
    if !elsewhere {
        tensor.external = None;
    } else if tensor.external.is_none() {
        return Err(damaged("an initializer", "its elements are in another file that is not named"));
    }
    Ok(tensor)
}

/// Elements that lie in one piece, as all programs write them.
fn once<'a>(place: &mut Option<&'a [u8]>, field: Field<'a>) -> Result<(), Problem> {
    let bytes = field.bytes().ok_or_else(|| unsupported("an initializer", "its elements are not packed"))?;
    match place.replace(bytes) {
        None => Ok(()),
        Some(_) => Err(unsupported("an initializer", "its elements are in several pieces")),
    }
}

fn entry_of(message: &[u8], entries: &mut Entries, budget: &mut Budget) -> Result<(), Problem> {
    let place = "the place of elements in another file";
    let (mut key, mut value) = (String::new(), String::new());
    for field in Fields(message) {
        match field.map_err(|cause| damaged(place, cause))? {
            (1, Field::Bytes(bytes)) => key = text(bytes, place, budget)?,
            (2, Field::Bytes(bytes)) => value = text(bytes, place, budget)?,
            _ => {}
        }
    }
    let number = || value.parse::<usize>().map_err(|_| damaged(place, format!("its `{key}` is no number")));
    match key.as_str() {
        "location" => entries.location = value,
        "offset" => entries.offset = number()?,
        "length" => entries.length = Some(number()?),
        _ => {} // checksum
    }
    Ok(())
}

/// Types of elements as ONNX numbers them.
fn dtype(kind: u64) -> Dtype {
    match kind {
        1 => Dtype::F32,
        2 => Dtype::U8,
        3 => Dtype::I8,
        4 => Dtype::U16,
        5 => Dtype::I16,
        6 => Dtype::I32,
        7 => Dtype::I64,
        9 => Dtype::Bool,
        10 => Dtype::F16,
        11 => Dtype::F64,
        12 => Dtype::U32,
        13 => Dtype::U64,
        14 => Dtype::C64,
        15 => Dtype::C128,
        16 => Dtype::BF16,
        _ => Dtype::Other,
    }
}
