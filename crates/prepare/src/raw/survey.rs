//! The columns of a table of JSON objects: the keys of all rows, and the kinds of their values.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use ptu_data::shortened;

use super::encoded::decode_base64_image;
use super::json_text::{Fields, JsonValue, object};
use super::row::{COLUMN_LIMIT, Cell, Column, ColumnContent, InlineImage, ROW_LIMIT, RowContent, Unread};

/// The message for a value that is not a text, a list of texts or an image.
const NESTED_VALUE: &str = "holds a nested value; write a text or a list of texts, or, for an image, its path";

/// The message for an image object whose `bytes` are not an image.
const INVALID_BYTES: &str = "holds `bytes` that are not an image in base64; write the path of the image file";

/// The keys of all rows.
#[derive(Debug, Default)]
pub struct Keys {
    by_name: BTreeMap<String, KeySummary>,
    /// The length of all names together, in bytes.
    name_bytes: usize,
}

/// Counts of the values of one key.
#[derive(Debug, Default)]
struct KeySummary {
    /// The number of values that are not missing.
    values: u64,
    /// Nested values that are not images.
    nested: Occurrences,
    nan: Occurrences,
    /// The number of image objects.
    images: u64,
}

/// How often, and where first, something occurs in a table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Occurrences {
    /// The number of occurrences.
    pub count: u64,
    /// The line, or the number in the list, of the first occurrence.
    pub first: u64,
}

impl Occurrences {
    /// Adds an occurrence at this line or number.
    pub fn add(&mut self, place: u64) {
        if self.count == 0 {
            self.first = place;
        }
        self.count += 1;
    }

    /// The count and the first place in words: `1 value (line 7)`, `3 values (the first: line 7)`.
    pub fn describe(&self, [one, many]: [&str; 2], unit: &str) -> String {
        let (count, first) = (self.count, self.first);
        match count {
            1 => format!("1 {one} ({unit} {first})"),
            _ => format!("{count} {many} (the first: {unit} {first})"),
        }
    }
}

impl Keys {
    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Adds the keys and values of a row.
    ///
    /// # Errors
    /// When there are too many different keys.
    pub fn row(&mut self, place: u64, fields: &Fields<'_>) -> Result<(), String> {
        for (name, value) in fields {
            if !self.by_name.contains_key(name.as_ref()) {
                self.name_bytes += name.len();
                if self.by_name.len() >= COLUMN_LIMIT || self.name_bytes > ROW_LIMIT {
                    return Err(format!("its rows have more than {COLUMN_LIMIT} different keys; is it a table?"));
                }
                self.by_name.insert(name.to_string(), KeySummary::default());
            }
            let Some(key) = self.by_name.get_mut(name.as_ref()) else { continue };
            key.values += u64::from(*value != JsonValue::Missing);
            match value {
                JsonValue::Nested(text) if parse_image(text).is_some() => key.images += 1,
                JsonValue::Nested(_) => key.nested.add(place),
                JsonValue::NaN => key.nan.add(place),
                JsonValue::List(items) if items.contains(&JsonValue::NaN) => key.nan.add(place),
                _ => {}
            }
        }
        Ok(())
    }

    /// The columns, by name.
    pub fn columns(&self) -> Vec<Column> {
        let column = |(name, key): (&String, &KeySummary)| {
            let unread = key.nested.count > 0 && key.nested.count == key.values;
            let holds = match key.images {
                _ if unread => ColumnContent::Unread(NESTED_VALUE.into()),
                0 => ColumnContent::Values,
                _ => ColumnContent::Images,
            };
            Column { holds, ..Column::values(name.clone()) }
        };
        self.by_name.iter().map(column).collect()
    }

    /// Sentences about values that were not read as they are written. `unit` is the word for the number of a row, `line` or `item`.
    pub fn notices(&self, unit: &str) -> Vec<String> {
        let mut notices = vec![];
        for (name, key) in &self.by_name {
            let name = shortened(name, 40);
            if key.nan.count > 0 {
                let places = key.nan.describe(["value", "values"], unit);
                notices.push(format!("column `{name}`: `NaN` is treated as missing, {places}"));
            }
            if key.nested.count > 0 && key.nested.count < key.values {
                let places = key.nested.describe(["nested value", "nested values"], unit);
                notices.push(format!("column `{name}`: {places} of {} values; such values are not read", key.values));
            }
        }
        notices
    }
}

/// An image as `datasets` writes it: an object with `bytes`, `path`, or both.
struct ImageObject<'t> {
    /// The image file in base64.
    bytes: Option<Cow<'t, str>>,
    path: Option<Cow<'t, str>>,
}

/// Reads an object as an image; `None` for any other object or list.
fn parse_image(text: &str) -> Option<ImageObject<'_>> {
    let mut image = ImageObject { bytes: None, path: None };
    let fields = object(text).ok().filter(|fields| !fields.is_empty())?;
    for (name, value) in fields {
        let value = match value {
            JsonValue::Text(text) => Some(text).filter(|text| !text.trim().is_empty()),
            JsonValue::Missing => None,
            _ => return None,
        };
        match name.as_ref() {
            "bytes" => image.bytes = value,
            "path" => image.path = value,
            _ => return None,
        }
    }
    Some(image)
}

/// The content of an object as a row, with the cells in the order of the header.
pub fn row(line: u64, header: &[String], fields: Fields<'_>) -> RowContent {
    let mut fields: HashMap<_, _> = fields.into_iter().collect();
    let mut content = RowContent::default();
    for (column, name) in header.iter().enumerate() {
        let cell = match fields.remove(name.as_str()) {
            None | Some(JsonValue::Missing | JsonValue::NaN) => vec![],
            Some(JsonValue::Nested(text)) => content.nested(line, column, text),
            Some(JsonValue::List(items)) => {
                let cell: Cell = items.into_iter().filter_map(scalar_text).collect();
                // A list without values is not a missing value: its cell has an empty text.
                if cell.is_empty() { vec![String::new()] } else { cell }
            }
            Some(value) => scalar_text(value).into_iter().collect(),
        };
        content.cells.push(cell);
    }
    content
}

impl RowContent {
    /// The cell of an object or a nested list. If the value is an image, it is added to the images of the row.
    fn nested(&mut self, line: u64, column: usize, text: &str) -> Cell {
        let Some(ImageObject { bytes, path }) = parse_image(text) else {
            self.unread.push(Unread { column, cause: NESTED_VALUE.into() });
            return vec![];
        };
        let Some(bytes) = bytes else { return vec![path.unwrap_or_default().into_owned()] };
        let Some(bytes) = decode_base64_image(&bytes) else {
            self.unread.push(Unread { column, cause: INVALID_BYTES.into() });
            return vec![];
        };
        self.images.push(InlineImage { column, bytes, named: path.is_some() });
        vec![path.map_or_else(|| format!("row-{line}"), Cow::into_owned)]
    }
}

/// The text of a string, a number or a truth value; `None` for other values.
fn scalar_text(value: JsonValue<'_>) -> Option<String> {
    match value {
        JsonValue::Text(text) => Some(text.into_owned()),
        JsonValue::Plain(word) => Some(word.to_string()),
        JsonValue::Missing | JsonValue::NaN | JsonValue::Nested(_) | JsonValue::List(_) => None,
    }
}
