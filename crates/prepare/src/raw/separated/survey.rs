//! What a table with a separator has that is not taken as it stands, found by reading all of it once.

use ptu_data::{DataError, shortened};

use super::{Csv, UNNAMED, separator};
use crate::raw::Entry;
use crate::raw::row::{Column, Holds};
use crate::raw::survey::Places;
use crate::raw::text::Text;

/// Of a column that only separators at the ends of lines make.
const NOTHING: &str = "has neither a name nor a value";

/// A table that was read once.
pub struct Surveyed {
    /// At its first row.
    pub csv: Csv,
    /// Its columns.
    pub columns: Vec<Column>,
    /// What is told the user, each a sentence.
    pub notices: Vec<String>,
    /// What may be wrong where its columns are of no use.
    pub hint: Option<String>,
}

impl Csv {
    /// Opens a table for a user, who is told what was passed over; else as [`Csv::open`].
    ///
    /// # Errors
    /// As [`Csv::open`] and [`Csv::next`].
    pub fn surveyed(entry: &Entry) -> Result<Surveyed, DataError> {
        let mut csv = Self::open(entry)?;
        let mut spaced = Places::default();
        if csv.record.quotes.spaced.is_some() {
            spaced.see(csv.record.line);
        }
        let mut filled = vec![false; csv.header.len()];
        while let Some(row) = csv.next()? {
            let Ok(cells) = &row.cells else { continue };
            for (cell, filled) in cells.iter().zip(&mut filled) {
                *filled |= cell.iter().any(|value| !value.trim().is_empty());
            }
            if csv.record.quotes.spaced.is_some() {
                spaced.see(row.line);
            }
        }
        let column = |((place, name), filled): ((usize, &String), &bool)| match !filled && is_unnamed(name, place) {
            true => Column { holds: Holds::Unread(NOTHING.into()), ..Column::values(name.clone()) },
            false => Column::values(name),
        };
        let columns = csv.header.iter().enumerate().zip(&filled).map(column).collect();
        let (notices, hint) = (notices(&csv, &filled, spaced), separator::title(&csv.text.start, csv.separator));
        let csv = Self::begin(Text::open(entry)?, csv.separator)?;
        Ok(Surveyed { csv, columns, notices, hint })
    }
}

/// Whether the first line gives the column at this place no name.
fn is_unnamed(name: &str, place: usize) -> bool {
    name == format!("{UNNAMED}{}", place + 1)
}

fn notices(csv: &Csv, filled: &[bool], spaced: Places) -> Vec<String> {
    let mut notices = vec![];
    if let Some(named) = separator::named(&csv.text.start) {
        notices.push(format!("the first line, `{}`, names the separator and is no row", shortened(&named.written, 10)));
    }
    if csv.blank.count > 0 {
        let places = csv.blank.told(["row without any value", "rows without any value"], "line");
        notices.push(format!("{places} passed over"));
    }
    if spaced.count > 0 {
        let places = spaced.told(["row", "rows"], "line");
        notices.push(format!(
            "{places} with a blank before a quotation mark, which is a part of the value then; remove the blank if the mark \
             encloses the value"
        ));
    }
    for (place, name) in csv.header.iter().enumerate() {
        if is_unnamed(name, place) && filled[place] {
            notices.push(format!("column {} has no name in the first line; it is called `{name}`", place + 1));
        }
    }
    notices
}
