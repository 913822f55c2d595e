//! How the cells of a column are read, by its type and by what the file says of it.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field};
use ptu_data::shortened;

use super::features::Features;
use super::images::{Found, Sight, bare, image, is_bytes, is_image, is_integers, others};
use super::values::{is_beyond, is_blurred, is_text, is_vector, item, items, place, texts};
use crate::raw::row::{Cell, Holds, Numbers};

/// The kind of a struct of two fields that `datasets` calls an image.
const IMAGE: &str = "Image";

/// Of a time without a date.
const BEYOND: &str = "holds a time beyond the calendar, or beyond the day; write it as text";

/// How the cells of a column are read.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    /// As texts.
    Values,
    /// As the names of the classes whose numbers they are.
    Classes(Vec<String>),
    /// As the text of an UUID.
    Uuid,
    /// As images, each a struct of its bytes and its path.
    Images,
    /// As images, each nothing but its bytes.
    Files,
    /// Not at all, for this cause, which goes on from the column's name.
    Unread(String),
}

/// What a cell holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Its texts.
    pub cell: Cell,
    /// The file of an image, and the name that it had.
    pub image: Option<(Vec<u8>, Option<String>)>,
    /// Why it cannot be taken as it stands, which goes on from the column's name.
    pub unread: Option<String>,
}

impl Reading {
    /// How a column is read; `uuid` where the file says that it holds such.
    pub fn of(field: &Field, uuid: bool, features: &Features) -> Self {
        let (kind, name) = (field.data_type(), field.name());
        let other = features.kind(name).filter(|told| *told != IMAGE);
        match kind {
            DataType::FixedSizeBinary(16) if uuid => Self::Uuid,
            _ if is_image(kind) => match other {
                Some(other) => Self::Unread(format!("holds files of kind {other}, which is not read")),
                None => Self::Images,
            },
            _ if item(kind).is_some_and(is_image) => Self::Unread(
                "is a list of images: one image a record is taken; write one row for each, or name another column"
                    .into(),
            ),
            _ if is_bytes(kind) || is_text(kind) && (is_integers(kind) || !is_vector(kind)) => {
                let numbers = item(kind).unwrap_or(kind).is_numeric();
                features.classes(name).filter(|_| numbers).map_or(Self::Values, Self::Classes)
            }
            _ => Self::Unread(unread(kind)),
        }
    }

    /// Whether only a look at its values tells how a column is read.
    pub fn is_open(&self, field: &Field) -> bool {
        *self == Self::Values && (is_bytes(field.data_type()) || is_integers(field.data_type()))
    }

    /// How such a column is read, which has so far shown `worst`, the least of a text of all its values.
    pub fn seen(field: &Field, worst: Option<Sight>) -> Self {
        match worst {
            None | Some(Sight::Text) => Self::Values,
            Some(Sight::Image) => Self::Files,
            Some(Sight::Other) => Self::Unread(format!(
                "is of type {} and holds neither images nor texts; write it as text",
                field.data_type()
            )),
        }
    }

    /// What is told of the column as a whole.
    pub fn holds(&self) -> Holds {
        match self {
            Self::Values | Self::Classes(_) | Self::Uuid => Holds::Values,
            Self::Images | Self::Files => Holds::Images,
            Self::Unread(cause) => Holds::Unread(cause.clone()),
        }
    }

    /// Whether the values are numbers of classes.
    pub fn numbers(&self, field: &Field) -> Numbers {
        let kind = field.data_type();
        match self {
            Self::Classes(_) => Numbers::Classes,
            Self::Values if item(kind).unwrap_or(kind).is_integer() => Numbers::Whole,
            _ => Numbers::No,
        }
    }

    /// What is worth to be told of the column as a whole, as a sentence.
    pub fn notice(&self, field: &Field) -> Option<String> {
        let others = others(field.data_type());
        let told = *self == Self::Images && !others.is_empty();
        told.then(|| format!("of column `{}`, {} is not read", field.name(), listed_names(&others)))
    }

    /// The cell of a row.
    pub fn take(&self, array: &ArrayRef, row: usize) -> Taken {
        match self {
            Self::Values => {
                let cell = texts(array, row);
                let blurred = is_blurred(array, row).then(|| cell.concat());
                let blurred = blurred.map(|told| {
                    format!("is the float {told}, too large to be told from its neighbours; write it as a whole number or as text")
                });
                let beyond = || is_beyond(array, row).then(|| BEYOND.to_string());
                let unread = blurred.or_else(beyond);
                Taken { cell, unread, ..Taken::default() }
            }
            Self::Classes(names) => classes(texts(array, row), names),
            Self::Uuid => Taken { cell: place(array, row).map(uuid).into_iter().collect(), ..Taken::default() },
            Self::Images => found(image(array, row)),
            Self::Files => found(bare(array, row)),
            Self::Unread(cause) => {
                let empty =
                    place(array, row).is_none_or(|(array, row)| items(array, row).is_some_and(|all| all.is_empty()));
                Taken { unread: (!empty).then(|| cause.clone()), ..Taken::default() }
            }
        }
    }
}

/// Cause and cure of a column of a type that is not read.
fn unread(kind: &DataType) -> String {
    let mut inner = kind;
    while let Some(deeper) = item(inner) {
        inner = deeper;
    }
    let cure = match inner.is_numeric() {
        true => "write an image as its encoded file (PNG, JPEG) or as its path, anything else as text",
        false => "write it as text",
    };
    format!("is of type {}, which is not read; {cure}", shortened(&kind.to_string(), 200))
}

fn listed_names(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{}`", shortened(name, 40))).collect::<Vec<_>>().join(", ")
}

fn found(found: Found) -> Taken {
    match found {
        Found::Missing => Taken::default(),
        Found::Empty => Taken { cell: vec![String::new()], ..Taken::default() },
        Found::Path(path) => Taken { cell: vec![path], ..Taken::default() },
        Found::File(bytes, name) => Taken { image: Some((bytes, name)), ..Taken::default() },
        Found::Not(cause) => Taken { unread: Some(cause), ..Taken::default() },
    }
}

/// Names for the numbers of classes; -1 is how `datasets` writes that there is none.
fn classes(numbers: Cell, names: &[String]) -> Taken {
    let mut taken = Taken::default();
    for number in numbers.into_iter().filter(|number| !number.is_empty() && number != "-1") {
        let name = number.parse().ok().and_then(|place: usize| names.get(place));
        if name.is_none() {
            let cause = format!("holds {number}, but the file's metadata name {} classes, from 0", names.len());
            taken.unread = Some(format!("{cause}; write the name of the class itself"));
        }
        taken.cell.push(name.cloned().unwrap_or(number));
    }
    taken
}

/// The usual form of an UUID.
fn uuid((array, row): (&ArrayRef, usize)) -> String {
    let bytes = array.as_fixed_size_binary().value(row);
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for dash in [20, 16, 12, 8] {
        text.insert(dash, '-');
    }
    text
}
