//! Finds the separator of the fields of a table.

use ptu_data::{DataError, shortened};

use super::{Csv, Record};
use crate::raw::Entry;
use crate::raw::ends::LineCounter;
use crate::raw::row::listed;
use crate::raw::text::Text;

/// The possible separators.
const SEPARATORS: [u8; 4] = *b",;\t|";

/// The largest number of column names in a message.
const MAX_NAMES_SHOWN: usize = 5;

/// A line at the start of a file that names the separator, as Excel writes and reads it (`sep=;`).
pub struct SeparatorLine {
    /// The separator.
    pub separator: u8,
    /// The line as it is written.
    pub written: String,
    /// Its length in bytes, without the line end.
    pub length: usize,
}

/// The first line of a text, if it names the separator (such as `sep=;`), with or without quotation marks around it.
pub fn separator_line(start: &[u8]) -> Option<SeparatorLine> {
    let line = start.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let written = std::str::from_utf8(line).ok()?;
    let bare = written.trim_matches(['"', ' ']);
    let (word, separator) = bare.split_at_checked(4)?;
    let &[separator] = separator.as_bytes() else { return None };
    let can_separate = separator.is_ascii() && !separator.is_ascii_alphanumeric();
    let is_named = word.eq_ignore_ascii_case("sep=") && can_separate;
    is_named.then(|| SeparatorLine { separator, written: written.to_string(), length: line.len() })
}

/// Finds the separator of a table; `start` is the beginning of its text. If the first line contains several possible separators,
/// the separator is the one with which most rows of the file have as many fields as the first line.
///
/// # Errors
/// When two separators fit equally well.
pub fn detect(start: &[u8], entry: &Entry) -> Result<u8, DataError> {
    let occurs = |separator: &u8| first_record(start, *separator).fields > 1;
    let found: Vec<u8> = SEPARATORS.into_iter().filter(occurs).collect();
    match found[..] {
        [] => return Ok(b','),
        [only] => return Ok(only),
        _ => {}
    }
    let mut fits: Vec<SeparatorFit> =
        found.into_iter().map(|separator| SeparatorFit::of(separator, entry)).collect::<Result<_, _>>()?;
    fits.sort_by(|one, other| other.share.total_cmp(&one.share).then(other.names.len().cmp(&one.names.len())));
    let [first, second, ..] = &fits[..] else { return Ok(b',') };
    // If no separator fits, reading the table with any of them gives the error.
    if first.share == 0.0 || (first.share, first.names.len()) != (second.share, second.names.len()) {
        return Ok(first.separator);
    }
    let cause = format!(
        "its rows can be split by {} and by {}; write a line `sep={}` at the start of the file, or rename a column",
        first.describe(),
        second.describe(),
        char::from(first.separator)
    );
    Err(DataError::Table { path: entry.path(), cause })
}

/// How well a separator fits a table.
struct SeparatorFit {
    separator: u8,
    names: Vec<String>,
    /// The share of the rows with as many fields as the first line; 0 if the file cannot be read with this separator.
    share: f64,
}

impl SeparatorFit {
    fn of(separator: u8, entry: &Entry) -> Result<Self, DataError> {
        let no_fit = |names| Ok(Self { separator, names, share: 0.0 });
        let mut csv = match Csv::with_separator(Text::open(entry)?, separator) {
            Ok(csv) => csv,
            Err(DataError::Table { .. } | DataError::Row { .. }) => return no_fit(vec![]),
            Err(error) => return Err(error),
        };
        let (mut rows, mut fitting) = (0_u64, 0_u64);
        loop {
            match csv.read_filled_record() {
                Ok(true) => {
                    rows += 1;
                    fitting += u64::from(csv.cells().is_ok());
                }
                Ok(false) => break,
                // With this separator, a quotation mark is not closed; with another one, it may be closed.
                Err(DataError::Row { .. }) => return no_fit(csv.header),
                Err(error) => return Err(error),
            }
        }
        let share = if rows == 0 { 1.0 } else { fitting as f64 / rows as f64 };
        Ok(Self { separator, names: csv.header, share })
    }

    fn describe(&self) -> String {
        let names: Vec<String> =
            self.names.iter().take(MAX_NAMES_SHOWN).map(|name| format!("`{}`", shortened(name, 40))).collect();
        format!("`{}` (columns {})", char::from(self.separator).escape_default(), names.join(", "))
    }
}

/// The number of records in which the names of the columns are searched if the first line is a title.
const TITLE_SEARCH_RECORDS: usize = 10;

/// What to do if the first line may be a title above the names of the columns: this is so if a later line has more fields.
pub fn title_hint(start: &[u8], separator: u8) -> Option<String> {
    let begin = separator_line(start).map_or(0, |line| line.length);
    let others = SEPARATORS.into_iter().filter(|other| *other != separator);
    std::iter::once(separator).chain(others).find_map(|separator| {
        let records = first_records(&start[begin..], separator, TITLE_SEARCH_RECORDS);
        let width = |record: &Record| record.fields().filter(|field| !field.trim_ascii().is_empty()).count();
        let first = records.iter().find(|record| width(record) > 0)?;
        let own = if width(first) == 1 { 1 } else { first.fields };
        let wider = records.iter().find(|record| width(record) > own)?;
        let names: Vec<String> = wider.fields().map(|name| String::from_utf8_lossy(name).trim().to_string()).collect();
        let mut lines = LineCounter::default();
        lines.advance(&start[..begin + wider.line as usize]);
        let line = lines.line();
        Some(format!("if {} on line {line} are the names of the columns, remove the lines above them", listed(&names)))
    })
}

/// The first record of a text, which may be incomplete.
fn first_record(start: &[u8], separator: u8) -> Record {
    first_records(start, separator, 1).pop().unwrap_or_else(|| Record::new(separator))
}

/// At most `most` first records of a text, which may be incomplete. The `line` of each is the byte at which it begins instead.
fn first_records(start: &[u8], separator: u8, most: usize) -> Vec<Record> {
    let mut parser = csv_core::ReaderBuilder::new().delimiter(separator).build();
    let (mut records, mut at) = (vec![], 0);
    while records.len() < most && at < start.len() {
        let rest = &start[at..];
        let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        at += blank;
        let rest = &rest[blank..];
        let size = rest.len() + 1;
        let mut record =
            Record { line: at as u64, bytes: vec![0; size], ends: vec![0; size], ..Record::new(separator) };
        let (result, read, written, ended) = parser.read_record(rest, &mut record.bytes, &mut record.ends);
        record.fields = ended;
        if result == csv_core::ReadRecordResult::InputEmpty && read == rest.len() {
            let (.., ended) = parser.read_record(&[], &mut record.bytes[written..], &mut record.ends[ended..]);
            record.fields += ended;
        }
        at += read;
        if record.fields > 0 {
            records.push(record);
        }
    }
    records
}
