//! How the cells of a column are read, which depends on its type and on the metadata of the file.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field};
use ptu_data::shortened;

use super::features::Features;
use super::images::{BytesKind, ImageCell, bytes_image, is_bytes, is_image, is_integers, other_fields, struct_image};
use super::values::{is_imprecise, is_out_of_range, is_text, is_vector, item_type, items, resolve, texts};
use crate::raw::row::{Cell, ColumnContent, Numbers};

/// The name that `datasets` gives to a struct of two fields that is an image.
const IMAGE: &str = "Image";

/// The message for a time that has no form in ISO 8601.
const OUT_OF_RANGE: &str = "holds a time beyond the calendar, or beyond the day; write it as text";

/// How the cells of a column are read.
#[derive(Debug, PartialEq, Eq)]
pub enum ColumnReader {
    /// As texts.
    Values,
    /// As the names of classes; the values are the numbers of the classes.
    Classes(Vec<String>),
    /// As the text of a UUID.
    Uuid,
    /// As images; each value is a struct of the bytes and the path of an image file.
    Images,
    /// As images; each value is the bytes of an image file.
    Files,
    /// Not at all, for this cause (words that follow the name of the column).
    Unread(String),
}

/// The content of a cell.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CellContent {
    /// Its texts.
    pub cell: Cell,
    /// The bytes of an image file, and its name if it has one.
    pub image: Option<(Vec<u8>, Option<String>)>,
    /// Why the value cannot be used as it is (words that follow the name of the column).
    pub unread: Option<String>,
}

impl ColumnReader {
    /// How a column is read; `uuid`: the file says that it contains UUIDs.
    pub fn of(field: &Field, uuid: bool, features: &Features) -> Self {
        let (kind, name) = (field.data_type(), field.name());
        let other = features.kind(name).filter(|kind| *kind != IMAGE);
        match kind {
            DataType::FixedSizeBinary(16) if uuid => Self::Uuid,
            _ if is_image(kind) => match other {
                Some(other) => Self::Unread(format!("holds files of kind {other}, which are not supported")),
                None => Self::Images,
            },
            _ if item_type(kind).is_some_and(is_image) => Self::Unread(
                "is a list of images, but only one image per record is used; write one row for each, or name another \
                 column"
                    .into(),
            ),
            _ if is_bytes(kind) || is_text(kind) && (is_integers(kind) || !is_vector(kind)) => {
                let numbers = item_type(kind).unwrap_or(kind).is_numeric();
                features.classes(name).filter(|_| numbers).map_or(Self::Values, Self::Classes)
            }
            _ => Self::Unread(unread(kind)),
        }
    }

    /// Whether its values must be read first to find out how the column is read, see [`ColumnReader::from_values`].
    pub fn needs_values(&self, field: &Field) -> bool {
        *self == Self::Values && (is_bytes(field.data_type()) || is_integers(field.data_type()))
    }

    /// How a column of bytes is read; `kind` is what its values are.
    pub fn from_values(field: &Field, kind: Option<BytesKind>) -> Self {
        match kind {
            None | Some(BytesKind::Text) => Self::Values,
            Some(BytesKind::Image) => Self::Files,
            Some(BytesKind::Other) => Self::Unread(format!(
                "is of type {} and holds neither images nor texts; write it as text",
                field.data_type()
            )),
        }
    }

    /// What the column contains.
    pub fn holds(&self) -> ColumnContent {
        match self {
            Self::Values | Self::Classes(_) | Self::Uuid => ColumnContent::Values,
            Self::Images | Self::Files => ColumnContent::Images,
            Self::Unread(cause) => ColumnContent::Unread(cause.clone()),
        }
    }

    /// Whether the values are numbers of classes.
    pub fn numbers(&self, field: &Field) -> Numbers {
        let kind = field.data_type();
        match self {
            Self::Classes(_) => Numbers::Classes,
            Self::Values if item_type(kind).unwrap_or(kind).is_integer() => Numbers::Whole,
            _ => Numbers::No,
        }
    }

    /// A notice about the column for the user, as a sentence.
    pub fn notice(&self, field: &Field) -> Option<String> {
        let other_fields = other_fields(field.data_type());
        let has_notice = *self == Self::Images && !other_fields.is_empty();
        has_notice.then(|| format!("of column `{}`, {} is not read", field.name(), listed_names(&other_fields)))
    }

    /// Reads the cell of a row.
    pub fn read_cell(&self, array: &ArrayRef, row: usize) -> CellContent {
        match self {
            Self::Values => {
                let cell = texts(array, row);
                let imprecise = is_imprecise(array, row).then(|| cell.concat());
                let imprecise = imprecise.map(|value| {
                    format!(
                        "is the float {value}, too large to be distinguished from neighbouring numbers; write it as an \
                         integer or as text"
                    )
                });
                let out_of_range = || is_out_of_range(array, row).then(|| OUT_OF_RANGE.to_string());
                let unread = imprecise.or_else(out_of_range);
                CellContent { cell, unread, ..CellContent::default() }
            }
            Self::Classes(names) => classes(texts(array, row), names),
            Self::Uuid => {
                CellContent { cell: resolve(array, row).map(uuid).into_iter().collect(), ..CellContent::default() }
            }
            Self::Images => cell_content(struct_image(array, row)),
            Self::Files => cell_content(bytes_image(array, row)),
            Self::Unread(cause) => {
                let empty =
                    resolve(array, row).is_none_or(|(array, row)| items(array, row).is_some_and(|all| all.is_empty()));
                CellContent { unread: (!empty).then(|| cause.clone()), ..CellContent::default() }
            }
        }
    }
}

/// The cause and what to do for a column of a type that is not supported.
fn unread(kind: &DataType) -> String {
    let mut inner = kind;
    while let Some(deeper) = item_type(inner) {
        inner = deeper;
    }
    let cure = match inner.is_numeric() {
        true => "write an image as its encoded file (PNG, JPEG) or as its path, anything else as text",
        false => "write it as text",
    };
    format!("is of type {}, which is not supported; {cure}", shortened(&kind.to_string(), 200))
}

fn listed_names(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{}`", shortened(name, 40))).collect::<Vec<_>>().join(", ")
}

/// The content of a cell with an image.
fn cell_content(image: ImageCell) -> CellContent {
    match image {
        ImageCell::Missing => CellContent::default(),
        ImageCell::Empty => CellContent { cell: vec![String::new()], ..CellContent::default() },
        ImageCell::Path(path) => CellContent { cell: vec![path], ..CellContent::default() },
        ImageCell::File(bytes, name) => CellContent { image: Some((bytes, name)), ..CellContent::default() },
        ImageCell::Invalid(cause) => CellContent { unread: Some(cause), ..CellContent::default() },
    }
}

/// Replaces the numbers of classes by their names. `datasets` writes -1 if there is no class.
fn classes(numbers: Cell, names: &[String]) -> CellContent {
    let mut content = CellContent::default();
    for number in numbers.into_iter().filter(|number| !number.is_empty() && number != "-1") {
        let name = number.parse().ok().and_then(|place: usize| names.get(place));
        if name.is_none() {
            let cause = format!("holds {number}, but the file's metadata name {} classes, from 0", names.len());
            content.unread = Some(format!("{cause}; write the name of the class itself"));
        }
        content.cell.push(name.cloned().unwrap_or(number));
    }
    content
}

/// The usual form of a UUID, with dashes.
fn uuid((array, row): (&ArrayRef, usize)) -> String {
    let bytes = array.as_fixed_size_binary().value(row);
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for dash in [20, 16, 12, 8] {
        text.insert(dash, '-');
    }
    text
}
