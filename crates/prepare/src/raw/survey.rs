//! What a table of JSON objects has: the keys of all rows, and what stands under them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use ptu_data::shortened;

use super::encoded::of_base64;
use super::json_text::{Fields, Written, object};
use super::row::{COLUMN_LIMIT, Cell, Column, Content, Holds, InlineImage, ROW_LIMIT, Unread};

/// Of a value that is no text, no list of texts and no image.
const NESTED: &str = "holds a nested value; write a text or a list of texts, and of an image its path";

/// Of an image whose bytes are none.
const NO_BYTES: &str = "holds `bytes` that are no image in base64; write the path of the image's file";

/// The keys of rows.
#[derive(Debug, Default)]
pub struct Keys {
    seen: BTreeMap<String, Seen>,
    /// Of all names together.
    bytes: usize,
}

/// What stands under one key.
#[derive(Debug, Default)]
struct Seen {
    /// Values that are there.
    values: u64,
    nested: Places,
    nan: Places,
    images: u64,
}

/// Where something was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places {
    /// How often.
    pub count: u64,
    /// The first of them.
    pub first: u64,
}

impl Places {
    /// It was seen here.
    pub fn see(&mut self, place: u64) {
        if self.count == 0 {
            self.first = place;
        }
        self.count += 1;
    }

    /// `1 value (line 7)`, `3 values (the first: line 7)`.
    pub fn told(&self, [one, many]: [&str; 2], unit: &str) -> String {
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
        self.seen.is_empty()
    }

    /// Adds those of a row.
    ///
    /// # Errors
    /// When there are too many.
    pub fn row(&mut self, place: u64, fields: &Fields<'_>) -> Result<(), String> {
        for (name, value) in fields {
            if !self.seen.contains_key(name.as_ref()) {
                self.bytes += name.len();
                if self.seen.len() >= COLUMN_LIMIT || self.bytes > ROW_LIMIT {
                    return Err(format!("its rows have more than {COLUMN_LIMIT} different keys; is it a table?"));
                }
                self.seen.insert(name.to_string(), Seen::default());
            }
            let Some(seen) = self.seen.get_mut(name.as_ref()) else { continue };
            seen.values += u64::from(*value != Written::Missing);
            match value {
                Written::Nested(text) if image(text).is_some() => seen.images += 1,
                Written::Nested(_) => seen.nested.see(place),
                Written::NaN => seen.nan.see(place),
                Written::List(items) if items.contains(&Written::NaN) => seen.nan.see(place),
                _ => {}
            }
        }
        Ok(())
    }

    /// The columns, by name.
    pub fn columns(&self) -> Vec<Column> {
        let column = |(name, seen): (&String, &Seen)| {
            let unread = seen.nested.count > 0 && seen.nested.count == seen.values;
            let holds = match seen.images {
                _ if unread => Holds::Unread(NESTED.into()),
                0 => Holds::Values,
                _ => Holds::Images,
            };
            Column { holds, ..Column::values(name.clone()) }
        };
        self.seen.iter().map(column).collect()
    }

    /// What was not taken as it stands; `unit` is what rows are counted in.
    pub fn notices(&self, unit: &str) -> Vec<String> {
        let mut notices = vec![];
        for (name, seen) in &self.seen {
            let name = shortened(name, 40);
            if seen.nan.count > 0 {
                let places = seen.nan.told(["value", "values"], unit);
                notices.push(format!("column `{name}`: `NaN` is taken as missing, {places}"));
            }
            if seen.nested.count > 0 && seen.nested.count < seen.values {
                let places = seen.nested.told(["nested value", "nested values"], unit);
                notices.push(format!("column `{name}`: {places} of {} values; such are not read", seen.values));
            }
        }
        notices
    }
}

/// An image as `datasets` writes it: an object of `bytes` and `path`, or of one of them.
struct Image<'t> {
    /// Its file in base64.
    bytes: Option<Cow<'t, str>>,
    path: Option<Cow<'t, str>>,
}

/// The image that an object is. `None` of any other object or list.
fn image(text: &str) -> Option<Image<'_>> {
    let mut image = Image { bytes: None, path: None };
    let fields = object(text).ok().filter(|fields| !fields.is_empty())?;
    for (name, value) in fields {
        let value = match value {
            Written::Text(text) => Some(text).filter(|text| !text.trim().is_empty()),
            Written::Missing => None,
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

/// What an object holds in the order of the header.
pub fn row(line: u64, header: &[String], fields: Fields<'_>) -> Content {
    let mut fields: HashMap<_, _> = fields.into_iter().collect();
    let mut content = Content::default();
    for (column, name) in header.iter().enumerate() {
        let cell = match fields.remove(name.as_str()) {
            None | Some(Written::Missing | Written::NaN) => vec![],
            Some(Written::Nested(text)) => content.nested(line, column, text),
            Some(Written::List(items)) => {
                let cell: Cell = items.into_iter().filter_map(one).collect();
                // A list without values is there, and holds nothing.
                if cell.is_empty() { vec![String::new()] } else { cell }
            }
            Some(value) => one(value).into_iter().collect(),
        };
        content.cells.push(cell);
    }
    content
}

impl Content {
    /// The cell of an object or a list, which may be an image.
    fn nested(&mut self, line: u64, column: usize, text: &str) -> Cell {
        let Some(Image { bytes, path }) = image(text) else {
            self.unread.push(Unread { column, cause: NESTED.into() });
            return vec![];
        };
        let Some(bytes) = bytes else { return vec![path.unwrap_or_default().into_owned()] };
        let Some(bytes) = of_base64(&bytes) else {
            self.unread.push(Unread { column, cause: NO_BYTES.into() });
            return vec![];
        };
        self.images.push(InlineImage { column, bytes, named: path.is_some() });
        vec![path.map_or_else(|| format!("row-{line}"), Cow::into_owned)]
    }
}

fn one(value: Written<'_>) -> Option<String> {
    match value {
        Written::Text(text) => Some(text.into_owned()),
        Written::Plain(word) => Some(word.to_string()),
        Written::Missing | Written::NaN | Written::Nested(_) | Written::List(_) => None,
    }
}
