//! What a table of JSON objects has: the keys of all rows, and what stands under them.

use std::collections::{BTreeMap, HashMap};

use super::json_text::{Fields, Written};
use super::row::{COLUMN_LIMIT, Cell, Column, Holds, ROW_LIMIT, Unread};
use crate::error::shortened;

/// Of a value that is no text and no list of texts.
const NESTED: &str = "holds a nested value; write a text, or a list of texts";

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
                Written::Nested => seen.nested.see(place),
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
            let holds = if unread { Holds::Unread(NESTED.into()) } else { Holds::Values };
            Column { name: name.clone(), holds }
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

/// Cells of an object in the order of the header, and what could not be read.
pub fn row(header: &[String], fields: Fields<'_>) -> (Vec<Cell>, Vec<Unread>) {
    let mut fields: HashMap<_, _> = fields.into_iter().collect();
    let mut unread = vec![];
    let cells = header.iter().enumerate().map(|(column, name)| match fields.remove(name.as_str()) {
        None | Some(Written::Missing | Written::NaN) => vec![],
        Some(Written::Nested) => {
            unread.push(Unread { column, cause: NESTED.into() });
            vec![]
        }
        Some(Written::List(items)) => items.into_iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
    });
    (cells.collect(), unread)
}

fn one(value: Written<'_>) -> Option<String> {
    match value {
        Written::Text(text) => Some(text.into_owned()),
        Written::Plain(word) => Some(word.to_string()),
        Written::Missing | Written::NaN | Written::Nested | Written::List(_) => None,
    }
}
