//! What parts the fields of a table.

use ptu_data::{DataError, shortened};

use super::{Csv, Record};
use crate::raw::Entry;
use crate::raw::ends::LineCounter;
use crate::raw::row::listed;
use crate::raw::text::Text;

/// What may part fields.
const SEPARATORS: [u8; 4] = *b",;\t|";

/// How many names of columns stand in a message.
const SHOWN: usize = 5;

/// A line before all others that names the separator, as Excel writes and reads it.
pub struct Named {
    /// The separator.
    pub separator: u8,
    /// The line.
    pub written: String,
    /// Its length in bytes, without its end.
    pub length: usize,
}

/// Whether a text begins with `sep=;` or such, with or without quotation marks around it.
pub fn named(start: &[u8]) -> Option<Named> {
    let line = start.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let written = std::str::from_utf8(line).ok()?;
    let bare = written.trim_matches(['"', ' ']);
    let (word, separator) = bare.split_at_checked(4)?;
    let &[separator] = separator.as_bytes() else { return None };
    let may_part = separator.is_ascii() && !separator.is_ascii_alphanumeric();
    let is_named = word.eq_ignore_ascii_case("sep=") && may_part;
    is_named.then(|| Named { separator, written: written.to_string(), length: line.len() })
}

/// The separator of a table whose text begins so: one that its first line has; of several the one that parts most of all rows as it
/// parts the first.
///
/// # Errors
/// When two of them do that equally well.
pub fn find(start: &[u8], entry: &Entry) -> Result<u8, DataError> {
    let parts = |separator: &u8| first_record(start, *separator).fields > 1;
    let found: Vec<u8> = SEPARATORS.into_iter().filter(parts).collect();
    match found[..] {
        [] => return Ok(b','),
        [only] => return Ok(only),
        _ => {}
    }
    let mut fits: Vec<Fit> = found.into_iter().map(|separator| Fit::of(separator, entry)).collect::<Result<_, _>>()?;
    fits.sort_by(|one, other| other.share.total_cmp(&one.share).then(other.names.len().cmp(&one.names.len())));
    let [first, second, ..] = &fits[..] else { return Ok(b',') };
    // Where none parts it, reading it with any of them tells why.
    if first.share == 0.0 || (first.share, first.names.len()) != (second.share, second.names.len()) {
        return Ok(first.separator);
    }
    let cause = format!(
        "its rows can be parted by {} and by {}; put a line `sep={}` before all others, or rename a column",
        first.told(),
        second.told(),
        char::from(first.separator)
    );
    Err(DataError::Table { path: entry.path(), cause })
}

/// How well a separator parts a table.
struct Fit {
    separator: u8,
    names: Vec<String>,
    /// Of the rows those with as many fields as the first line; none where it cannot part the whole file.
    share: f64,
}

impl Fit {
    fn of(separator: u8, entry: &Entry) -> Result<Self, DataError> {
        let none = |names| Ok(Self { separator, names, share: 0.0 });
        let mut csv = match Csv::begin(Text::open(entry)?, separator) {
            Ok(csv) => csv,
            Err(DataError::Table { .. } | DataError::Row { .. }) => return none(vec![]),
            Err(error) => return Err(error),
        };
        let (mut rows, mut fitting) = (0_u64, 0_u64);
        loop {
            match csv.advance_filled() {
                Ok(true) => {
                    rows += 1;
                    fitting += u64::from(csv.cells().is_ok());
                }
                Ok(false) => break,
                // A quotation mark that is only closed where another mark parts the fields.
                Err(DataError::Row { .. }) => return none(csv.header),
                Err(error) => return Err(error),
            }
        }
        let share = if rows == 0 { 1.0 } else { fitting as f64 / rows as f64 };
        Ok(Self { separator, names: csv.header, share })
    }

    fn told(&self) -> String {
        let names: Vec<String> =
            self.names.iter().take(SHOWN).map(|name| format!("`{}`", shortened(name, 40))).collect();
        format!("`{}` (columns {})", char::from(self.separator).escape_default(), names.join(", "))
    }
}

/// Records that are looked at for names of columns below a title.
const TITLE: usize = 10;

/// What to do about a text whose first line may be a title above the names of the columns: a later line parts into more names.
pub fn title(start: &[u8], separator: u8) -> Option<String> {
    let begin = named(start).map_or(0, |named| named.length);
    let others = SEPARATORS.into_iter().filter(|other| *other != separator);
    std::iter::once(separator).chain(others).find_map(|separator| {
        let records = first_records(&start[begin..], separator, TITLE);
        let width = |record: &Record| record.fields().filter(|field| !field.trim_ascii().is_empty()).count();
        let first = records.iter().find(|record| width(record) > 0)?;
        let own = if width(first) == 1 { 1 } else { first.fields };
        let wider = records.iter().find(|record| width(record) > own)?;
        let names: Vec<String> = wider.fields().map(|name| String::from_utf8_lossy(name).trim().to_string()).collect();
        let mut lines = LineCounter::default();
        lines.pass(&start[..begin + wider.line as usize]);
        let line = lines.line();
        Some(format!("if {} on line {line} are the names of the columns, remove the lines above them", listed(&names)))
    })
}

/// The first record of a text, as far as it goes.
fn first_record(start: &[u8], separator: u8) -> Record {
    first_records(start, separator, 1).pop().unwrap_or_else(|| Record::new(separator))
}

/// The first records of a text, as far as it goes, each with the byte at which it begins in place of its line.
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
