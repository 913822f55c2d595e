//! What a table with a separator has that is not taken as it stands, found by reading all of it once.

use super::{Csv, UNNAMED, separator};
use crate::error::{DataError, shortened};
use crate::raw::Entry;
use crate::raw::row::Row;
use crate::raw::survey::Places;
use crate::raw::text::Text;

impl Csv {
    /// Opens a table for a user, who is told what was passed over; else as [`Csv::open`].
    ///
    /// # Errors
    /// As [`Csv::open`] and [`Csv::next`].
    pub fn surveyed(entry: &Entry) -> Result<(Self, Vec<String>), DataError> {
        let mut csv = Self::open(entry)?;
        let (separator, names) = (csv.separator, csv.header.clone());
        let mut seen: Vec<Seen> = names.iter().map(|_| Seen::default()).collect();
        while let Some(row) = csv.next()? {
            let Ok(cells) = &row.cells else { continue };
            for (cell, seen) in cells.iter().zip(&mut seen) {
                for value in cell.iter().filter(|value| !value.trim().is_empty()) {
                    seen.values += 1;
                    if is_nan(value) {
                        seen.nan.see(row.line);
                    }
                }
            }
        }
        let notices = notices(&csv, &names, &seen);
        Ok((Self::begin(Text::open(entry)?, separator)?, notices))
    }

    /// The next row, in which `NaN` is missing.
    ///
    /// # Errors
    /// As [`Csv::next`].
    pub fn next_for_user(&mut self) -> Result<Option<Row>, DataError> {
        let mut row = self.next()?;
        if let Some(Row { cells: Ok(cells), .. }) = &mut row {
            cells.iter_mut().flatten().filter(|value| is_nan(value)).for_each(String::clear);
        }
        Ok(row)
    }
}

/// What stands in one column.
#[derive(Default)]
struct Seen {
    values: u64,
    nan: Places,
}

/// Whether this is how programs write a number that is missing; no name and no word is written so.
fn is_nan(value: &str) -> bool {
    matches!(value.trim(), "NaN" | "nan")
}

fn notices(csv: &Csv, names: &[String], seen: &[Seen]) -> Vec<String> {
    let mut notices = vec![];
    if let Some(named) = separator::named(&csv.text.start) {
        notices.push(format!("the first line, `{}`, names the separator and is no row", shortened(&named.written, 10)));
    }
    if csv.blank.count > 0 {
        let places = csv.blank.told(["row without any value", "rows without any value"], "line");
        notices.push(format!("{places} passed over"));
    }
    for (place, (name, seen)) in names.iter().zip(seen).enumerate() {
        if *name == format!("{UNNAMED}{}", place + 1) && seen.values > 0 {
            notices.push(format!("column {} has no name in the first line; it is called `{name}`", place + 1));
        }
        if seen.nan.count > 0 {
            let places = seen.nan.told(["value", "values"], "line");
            notices.push(format!("column `{}`: `NaN` is taken as missing, {places}", shortened(name, 40)));
        }
    }
    notices
}
