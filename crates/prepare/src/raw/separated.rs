//! Tables with a separator (CSV and similar), in UTF-8 or UTF-16.

mod quotes;
mod separator;
mod survey;

use std::io::BufRead;

use csv_core::ReadRecordResult;
use ptu_data::{DataError, shortened};

use super::Entry;
use super::ends::{LineCounter, next_buffer};
use super::row::{COLUMN_LIMIT, Cell, ROW_LIMIT, Row, RowContent, RowError, listed};
use super::survey::Occurrences;
use super::text::Text;
pub use survey::ScannedCsv;

use quotes::Quotes;

/// The byte order mark, which many programs write at the beginning of a file.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A line that is parsed after the end of the file. If it does not become a record of its own, a quotation mark was not closed.
const END_MARKER: &[u8] = b"\n\0end of table";

/// The beginning of the name of a column without a name; the number of the column follows.
const UNNAMED_PREFIX: &str = "column ";

/// The message for a field with text after its closing quotation mark, as words that follow the name of the field.
const TEXT_AFTER_QUOTE: &str =
    "has text after its closing quotation mark; double each quotation mark within a value (`\"a \"\"b\"\" c\"`)";

/// A CSV file whose first line names the columns.
pub struct Csv {
    text: Text,
    parser: csv_core::Reader,
    /// Counts the lines of the bytes that were parsed.
    lines: LineCounter,
    record: Record,
    /// What is still to be parsed after the end of the file, see [`END_MARKER`].
    tail: &'static [u8],
    separator: u8,
    header: Vec<String>,
    /// The number of columns up to the last one that has a name in the file.
    named_columns: usize,
    /// Rows in which all fields are empty.
    blank_rows: Occurrences,
}

/// One record: the fields of a row or of the header.
struct Record {
    /// The line on which it starts.
    line: u64,
    quotes: Quotes,
    bytes: Vec<u8>,
    /// Where each field ends in `bytes`.
    ends: Vec<usize>,
    fields: usize,
}

impl Record {
    fn new(separator: u8) -> Self {
        Self { line: 0, quotes: Quotes::new(separator), bytes: vec![], ends: vec![], fields: 0 }
    }

    fn fields(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator + Clone {
        (0..self.fields).map(|field| {
            let begin = field.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.bytes[begin..self.ends[field]]
        })
    }

    /// Whether all fields are empty.
    fn is_blank(&self) -> bool {
        self.fields().all(|field| field.trim_ascii().is_empty())
    }
}

impl Csv {
    /// Opens a CSV file; its first line names the columns.
    ///
    /// The separator is the comma, tab, semicolon or vertical bar that the first line contains. If the line contains several of
    /// them, the separator is the one with which most rows of the file have as many fields as the first line. A line such as
    /// `sep=;` at the start of the file names the separator.
    ///
    /// # Errors
    /// When it cannot be read, is empty, is not UTF-8, or has a header that cannot be used.
    pub fn open(entry: &Entry) -> Result<Self, DataError> {
        let text = Text::open(entry)?;
        let separator = match separator::separator_line(&text.start) {
            Some(line) => line.separator,
            None => separator::detect(&text.start, entry)?,
        };
        Self::with_separator(text, separator)
    }

    /// Opens a text with this separator and reads its header.
    fn with_separator(text: Text, separator: u8) -> Result<Self, DataError> {
        let line = separator::separator_line(&text.start);
        let mut csv = Self {
            text,
            parser: csv_core::ReaderBuilder::new().delimiter(separator).build(),
            lines: LineCounter::default(),
            record: Record::new(separator),
            tail: END_MARKER,
            separator,
            header: vec![],
            named_columns: 0,
            blank_rows: Occurrences::default(),
        };
        csv.skip_bytes(line.map_or(0, |line| line.length))?;
        csv.header = csv.read_header()?;
        Ok(csv)
    }

    /// The share of the file that was read, from 0 to 1.
    pub fn share(&self) -> f64 {
        self.text.share()
    }

    /// The positions of columns by name. Upper and lower case, and surrounding spaces, are not distinguished.
    ///
    /// # Errors
    /// When a column does not exist.
    pub fn need<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N], DataError> {
        let missing: Vec<&str> = names.into_iter().filter(|name| self.column(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(self.wrong(format!(
                "there is no column `{}`; it has {}; does it belong to another version of the data set?",
                missing.join("`, `"),
                listed(&self.header)
            )));
        }
        Ok(names.map(|name| self.column(name).unwrap_or_default()))
    }

    /// The position of a column, if it exists.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column.eq_ignore_ascii_case(name))
    }

    fn wrong(&self, cause: String) -> DataError {
        DataError::Table { path: self.text.path.clone(), cause }
    }

    /// Skips bytes that do not belong to a record.
    fn skip_bytes(&mut self, mut count: usize) -> Result<(), DataError> {
        while count > 0 {
            let path = &self.text.path;
            let buffer = next_buffer(&mut self.text.reader).map_err(DataError::io("read", path))?;
            let passed = buffer.len().min(count);
            if passed == 0 {
                break;
            }
            self.lines.advance(&buffer[..passed]);
            self.text.reader.consume(passed);
            count -= passed;
        }
        Ok(())
    }

    /// Moves to the next record and stores its line. Blank lines, and the `\n` of the `\r\n` that ended the last record, are
    /// skipped.
    fn find_record(&mut self) -> Result<(), DataError> {
        loop {
            let buffer = next_buffer(&mut self.text.reader).map_err(DataError::io("read", &self.text.path))?;
            let blank = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let more = blank > 0 && blank == buffer.len();
            self.skip_bytes(blank)?;
            if !more {
                self.record.line = self.lines.line();
                return Ok(());
            }
        }
    }

    /// Reads the next record; returns false at the end.
    fn read_record(&mut self) -> Result<bool, DataError> {
        self.find_record()?;
        let (line, mut taken, mut kept) = (self.record.line, 0, 0);
        self.record.fields = 0;
        self.record.quotes = Quotes::new(self.separator);
        loop {
            let buffer = next_buffer(&mut self.text.reader).map_err(DataError::io("read", &self.text.path))?;
            let last = buffer.is_empty();
            let input = if last { self.tail } else { buffer };
            let Record { bytes, ends, fields, quotes, .. } = &mut self.record;
            let (result, read, written, ended) =
                self.parser.read_record(input, &mut bytes[kept..], &mut ends[*fields..]);
            kept += written;
            *fields += ended;
            taken += read;
            if last {
                self.tail = &self.tail[read..];
            } else {
                self.lines.advance(&buffer[..read]);
                quotes.advance(&buffer[..read]);
                self.text.reader.consume(read);
            }
            match result {
                ReadRecordResult::Record | ReadRecordResult::End => break,
                ReadRecordResult::OutputFull => bytes.resize((2 * bytes.len()).max(1 << 10), 0),
                ReadRecordResult::OutputEndsFull => ends.resize((2 * ends.len()).max(16), 0),
                ReadRecordResult::InputEmpty => {}
            }
            if taken > ROW_LIMIT {
                let cause = format!("the row is longer than {} MiB; is a quotation mark not closed?", ROW_LIMIT >> 20);
                return Err(DataError::Row { path: self.text.path.clone(), line, cause });
            }
        }
        let is_end = |field: &[u8]| self.tail.is_empty() && field.ends_with(&END_MARKER[1..]);
        match self.record.fields().next_back() {
            None => Ok(false),
            Some(last) if is_end(last) && self.record.fields == 1 && last.len() == END_MARKER.len() - 1 => Ok(false),
            Some(last) if is_end(last) => {
                let cause =
                    "a quotation mark is not closed, so the rest of the file belongs to this row; close it".into();
                Err(DataError::Row { path: self.text.path.clone(), line, cause })
            }
            Some(_) => Ok(true),
        }
    }

    /// Reads the next record that is not empty; returns false at the end.
    fn read_filled_record(&mut self) -> Result<bool, DataError> {
        while self.read_record()? {
            if !self.record.is_blank() {
                return Ok(true);
            }
            self.blank_rows.add(self.record.line);
        }
        Ok(false)
    }

    fn read_header(&mut self) -> Result<Vec<String>, DataError> {
        if !self.read_filled_record()? {
            return Err(self.wrong("it is empty; its first line must name the columns".into()));
        }
        if self.record.fields > COLUMN_LIMIT {
            return Err(self.wrong(format!("it has more than {COLUMN_LIMIT} columns; is it a table?")));
        }
        let name = |(place, field): (usize, &[u8])| match std::str::from_utf8(field) {
            Ok(name) => Ok(match name.trim_start_matches('\u{feff}').trim() {
                "" => format!("{UNNAMED_PREFIX}{}", place + 1),
                name => name.to_string(),
            }),
            Err(_) => Err(self.wrong("its first line is not UTF-8; it must be a CSV or JSONL in UTF-8".into())),
        };
        if let Some(place) = self.record.quotes.text_after_quote {
            return Err(self.wrong(format!("the name of its column {} {TEXT_AFTER_QUOTE}", place + 1)));
        }
        let header: Vec<String> = self.record.fields().enumerate().map(name).collect::<Result<_, _>>()?;
        let named = self.record.fields().rposition(|field| !field.trim_ascii().is_empty());
        self.named_columns = named.map_or(0, |last| last + 1);
        Ok(header)
    }

    /// The next row; `None` after the last. Rows in which all fields are empty are skipped.
    ///
    /// # Errors
    /// When the file cannot be read further. A problem in a single row is reported in the row instead.
    pub fn next(&mut self) -> Result<Option<Row>, DataError> {
        if !self.read_filled_record()? {
            return Ok(None);
        }
        let line = self.record.line;
        Ok(Some(Row::read(line, self.cells().map(RowContent::of).map_err(|cause| RowError { line, cause }))))
    }

    /// The cells of the record, as many as the header has. Only empty fields may be removed or added to reach this number, and only
    /// columns without a name may get an added field.
    fn cells(&self) -> Result<Vec<Cell>, String> {
        if let Some(place) = self.record.quotes.text_after_quote {
            return Err(match self.header.get(place) {
                Some(name) => format!("column `{}` {TEXT_AFTER_QUOTE}", shortened(name, 40)),
                None => format!("field {} {TEXT_AFTER_QUOTE}", place + 1),
            });
        }
        let (found, wanted) = (self.record.fields, self.header.len());
        let beyond = self.record.fields().skip(wanted).any(|field| !field.trim_ascii().is_empty());
        if found < self.named_columns || beyond {
            let cure = match self.record.quotes.blank_before_quote {
                Some(_) => "remove the space before the quotation mark",
                None if found < self.named_columns => {
                    "write the separators of empty fields too, and quote fields that contain the separator or a line end"
                }
                None => "quote fields that contain the separator",
            };
            return Err(format!("the row has {found} fields, the header {wanted}; {cure}"));
        }
        // If several files were joined, the byte order mark of a later file is before its first name.
        let without_mark =
            |field: &'_ [u8]| field.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(field).trim_ascii().to_vec();
        let mut names = self.record.fields().zip(&self.header);
        if wanted > 1 && names.all(|(field, name)| without_mark(field) == name.as_bytes()) {
            return Err(
                "the row repeats the names of the columns, probably because files were joined; remove it".into()
            );
        }
        let cell = |(field, name): (&[u8], &String)| match std::str::from_utf8(field) {
            Ok(text) => Ok(vec![text.to_string()]),
            Err(error) => Err(format!(
                "column `{name}` is not UTF-8 (byte {} of it); save the table as UTF-8",
                error.valid_up_to() + 1
            )),
        };
        let mut cells: Vec<Cell> = self.record.fields().zip(&self.header).map(cell).collect::<Result<_, _>>()?;
        cells.resize(wanted, vec![String::new()]);
        Ok(cells)
    }
}
