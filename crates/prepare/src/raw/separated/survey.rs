//! Reads a table with a separator once as a whole, to find its empty columns and the notices for the user.

use ptu_data::{DataError, shortened};

use super::{Csv, UNNAMED_PREFIX, separator};
use crate::raw::Entry;
use crate::raw::row::{Column, ColumnContent};
use crate::raw::survey::Occurrences;
use crate::raw::text::Text;

/// The message for a column that exists only because of separators at the ends of lines.
const EMPTY_COLUMN: &str = "has neither a name nor a value";

/// A table that was read once as a whole, and is open to be read again.
pub struct ScannedCsv {
    /// The table, before its first row.
    pub csv: Csv,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Notices for the user, one sentence each.
    pub notices: Vec<String>,
    /// What may be wrong with the file if its columns cannot be used.
    pub hint: Option<String>,
}

impl Csv {
    /// Like [`Csv::open`], but reads the whole table once to find its empty columns and the notices for the user.
    ///
    /// # Errors
    /// As [`Csv::open`] and [`Csv::next`].
    pub fn open_scanned(entry: &Entry) -> Result<ScannedCsv, DataError> {
        let mut csv = Self::open(entry)?;
        let mut spaced = Occurrences::default();
        if csv.record.quotes.blank_before_quote.is_some() {
            spaced.add(csv.record.line);
        }
        let mut filled = vec![false; csv.header.len()];
        while let Some(row) = csv.next()? {
            let Ok(cells) = &row.cells else { continue };
            for (cell, filled) in cells.iter().zip(&mut filled) {
                *filled |= cell.iter().any(|value| !value.trim().is_empty());
            }
            if csv.record.quotes.blank_before_quote.is_some() {
                spaced.add(row.line);
            }
        }
        let column = |((place, name), filled): ((usize, &String), &bool)| match !filled && is_unnamed(name, place) {
            true => Column { holds: ColumnContent::Unread(EMPTY_COLUMN.into()), ..Column::values(name.clone()) },
            false => Column::values(name),
        };
        let columns = csv.header.iter().enumerate().zip(&filled).map(column).collect();
        let (notices, hint) = (notices(&csv, &filled, spaced), separator::title_hint(&csv.text.start, csv.separator));
        let csv = Self::with_separator(Text::open(entry)?, csv.separator)?;
        Ok(ScannedCsv { csv, columns, notices, hint })
    }
}

/// Whether the column at this position has no name in the first line.
fn is_unnamed(name: &str, place: usize) -> bool {
    name == format!("{UNNAMED_PREFIX}{}", place + 1)
}

/// The notices for the user.
fn notices(csv: &Csv, filled: &[bool], spaced: Occurrences) -> Vec<String> {
    let mut notices = vec![];
    if let Some(line) = separator::separator_line(&csv.text.start) {
        notices
            .push(format!("the first line, `{}`, names the separator and is not a row", shortened(&line.written, 10)));
    }
    if csv.blank_rows.count > 0 {
        let places = csv.blank_rows.describe(["row without any value", "rows without any value"], "line");
        notices.push(format!("{places} skipped"));
    }
    if spaced.count > 0 {
        let places = spaced.describe(["row", "rows"], "line");
        notices.push(format!(
            "{places} with a space before a quotation mark, so the mark is read as a part of the value; remove the \
             space if the mark encloses the value"
        ));
    }
    for (place, name) in csv.header.iter().enumerate() {
        if is_unnamed(name, place) && filled[place] {
            notices.push(format!("column {} has no name in the first line; it is called `{name}`", place + 1));
        }
    }
    notices
}
