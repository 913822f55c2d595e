//! Tables with a separator, in UTF-8 or UTF-16.

mod quotes;
mod separator;
mod survey;

use std::io::BufRead;

use csv_core::ReadRecordResult;
use ptu_data::{DataError, shortened};

use super::Entry;
use super::ends::{LineCounter, filled};
use super::row::{Bad, COLUMN_LIMIT, Cell, Content, ROW_LIMIT, Row, listed};
use super::survey::Places;
use super::text::Text;
pub use survey::Surveyed;

use quotes::Quotes;

/// The byte order mark, with which programs begin a file.
const MARK: &str = "\u{feff}";

/// A line put after the end of a CSV: where it is not a record of its own, a quotation mark swallowed it.
const END: &[u8] = b"\n\0end of table";

/// What a column without a name is called, with its number.
const UNNAMED: &str = "column ";

/// Of a field in which quotation marks are lost, as words that go on from its name.
const FOLLOWED: &str =
    "has text after its closing quotation mark; double each mark within a value (`\"a \"\"b\"\" c\"`)";

/// A CSV file whose first line names the columns.
pub struct Csv {
    text: Text,
    parser: csv_core::Reader,
    /// Of the bytes that were parsed.
    lines: LineCounter,
    record: Record,
    /// What comes after the file.
    tail: &'static [u8],
    separator: u8,
    header: Vec<String>,
    /// Columns up to the last that has a name of its own.
    named: usize,
    /// Rows without anything in them.
    blank: Places,
}

/// One record of fields.
struct Record {
    /// The line on which it starts.
    line: u64,
    quotes: Quotes,
    bytes: Vec<u8>,
    /// Where each field ends.
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

    /// Whether no field holds anything.
    fn is_blank(&self) -> bool {
        self.fields().all(|field| field.trim_ascii().is_empty())
    }
}

impl Csv {
    /// Opens a CSV; its first line names the columns.
    ///
    /// The separator is the comma, tab, semicolon or bar that the first line has. Where it has several of them, it is the one that
    /// parts most rows of the whole file into as many fields as the first line. A line `sep=;` before all others names it.
    ///
    /// # Errors
    /// When it cannot be read, is empty, is not UTF-8, or has a header that is none.
    pub fn open(entry: &Entry) -> Result<Self, DataError> {
        let text = Text::open(entry)?;
        let separator = match separator::named(&text.start) {
            Some(named) => named.separator,
            None => separator::find(&text.start, entry)?,
        };
        Self::begin(text, separator)
    }

    /// Reads the header of a text with this separator.
    fn begin(text: Text, separator: u8) -> Result<Self, DataError> {
        let named = separator::named(&text.start);
        let mut csv = Self {
            text,
            parser: csv_core::ReaderBuilder::new().delimiter(separator).build(),
            lines: LineCounter::default(),
            record: Record::new(separator),
            tail: END,
            separator,
            header: vec![],
            named: 0,
            blank: Places::default(),
        };
        csv.pass_over(named.map_or(0, |named| named.length))?;
        csv.header = csv.read_header()?;
        Ok(csv)
    }

    /// Share of the file that was read.
    pub fn share(&self) -> f64 {
        self.text.share()
    }

    /// Positions of columns, found by name without regard to case or surrounding blanks.
    ///
    /// # Errors
    /// When one is not there.
    pub fn need<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N], DataError> {
        let missing: Vec<&str> = names.into_iter().filter(|name| self.column(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(self.wrong(format!(
                "there is no column `{}`; it has {}; is it of another version?",
                missing.join("`, `"),
                listed(&self.header)
            )));
        }
        Ok(names.map(|name| self.column(name).unwrap_or_default()))
    }

    /// Position of a column that may be there.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column.eq_ignore_ascii_case(name))
    }

    fn wrong(&self, cause: String) -> DataError {
        DataError::Table { path: self.text.path.clone(), cause }
    }

    /// Passes over bytes that are no record.
    fn pass_over(&mut self, mut count: usize) -> Result<(), DataError> {
        while count > 0 {
            let path = &self.text.path;
            let buffer = filled(&mut self.text.reader).map_err(DataError::io("read", path))?;
            let passed = buffer.len().min(count);
            if passed == 0 {
                break;
            }
            self.lines.pass(&buffer[..passed]);
            self.text.reader.consume(passed);
            count -= passed;
        }
        Ok(())
    }

    /// Goes to the next record and keeps its line: before it are blank lines, and the `\n` of the `\r\n` that ended the last one.
    fn find(&mut self) -> Result<(), DataError> {
        loop {
            let buffer = filled(&mut self.text.reader).map_err(DataError::io("read", &self.text.path))?;
            let blank = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let more = blank > 0 && blank == buffer.len();
            self.pass_over(blank)?;
            if !more {
                self.record.line = self.lines.line();
                return Ok(());
            }
        }
    }

    /// Reads the next record; false at the end.
    fn advance(&mut self) -> Result<bool, DataError> {
        self.find()?;
        let (line, mut taken, mut kept) = (self.record.line, 0, 0);
        self.record.fields = 0;
        self.record.quotes = Quotes::new(self.separator);
        loop {
            let buffer = filled(&mut self.text.reader).map_err(DataError::io("read", &self.text.path))?;
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
                self.lines.pass(&buffer[..read]);
                quotes.pass(&buffer[..read]);
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
        let is_end = |field: &[u8]| self.tail.is_empty() && field.ends_with(&END[1..]);
        match self.record.fields().next_back() {
            None => Ok(false),
            Some(last) if is_end(last) && self.record.fields == 1 && last.len() == END.len() - 1 => Ok(false),
            Some(last) if is_end(last) => {
                let cause = "a quotation mark is not closed, so that the row takes all that follows; close it".into();
                Err(DataError::Row { path: self.text.path.clone(), line, cause })
            }
            Some(_) => Ok(true),
        }
    }

    /// Reads the next record that holds something; false at the end.
    fn advance_filled(&mut self) -> Result<bool, DataError> {
        while self.advance()? {
            if !self.record.is_blank() {
                return Ok(true);
            }
            self.blank.see(self.record.line);
        }
        Ok(false)
    }

    fn read_header(&mut self) -> Result<Vec<String>, DataError> {
        if !self.advance_filled()? {
            return Err(self.wrong("it is empty; its first line must name the columns".into()));
        }
        if self.record.fields > COLUMN_LIMIT {
            return Err(self.wrong(format!("it has more than {COLUMN_LIMIT} columns; is it a table?")));
        }
        let name = |(place, field): (usize, &[u8])| match std::str::from_utf8(field) {
            Ok(name) => Ok(match name.trim_start_matches('\u{feff}').trim() {
                "" => format!("{UNNAMED}{}", place + 1),
                name => name.to_string(),
            }),
            Err(_) => Err(self.wrong("its first line is not UTF-8; it must be a CSV or JSONL in UTF-8".into())),
        };
        if let Some(place) = self.record.quotes.follows {
            return Err(self.wrong(format!("the name of its column {} {FOLLOWED}", place + 1)));
        }
        let header: Vec<String> = self.record.fields().enumerate().map(name).collect::<Result<_, _>>()?;
        let named = self.record.fields().rposition(|field| !field.trim_ascii().is_empty());
        self.named = named.map_or(0, |last| last + 1);
        Ok(header)
    }

    /// The next row; `None` after the last. Rows without anything in them are passed over.
    ///
    /// # Errors
    /// When the file cannot be read on; what is wrong with one row is told in the row.
    pub fn next(&mut self) -> Result<Option<Row>, DataError> {
        if !self.advance_filled()? {
            return Ok(None);
        }
        let line = self.record.line;
        Ok(Some(Row::read(line, self.cells().map(Content::of).map_err(|cause| Bad { line, cause }))))
    }

    /// Cells of the record: as many as the header has, where none is lost and none that has a name is made up.
    fn cells(&self) -> Result<Vec<Cell>, String> {
        if let Some(place) = self.record.quotes.follows {
            return Err(match self.header.get(place) {
                Some(name) => format!("column `{}` {FOLLOWED}", shortened(name, 40)),
                None => format!("field {} {FOLLOWED}", place + 1),
            });
        }
        let (found, wanted) = (self.record.fields, self.header.len());
        let beyond = self.record.fields().skip(wanted).any(|field| !field.trim_ascii().is_empty());
        if found < self.named || beyond {
            let cure = match self.record.quotes.spaced {
                Some(_) => "remove the blank before the quotation mark",
                None if found < self.named => {
                    "write the separators of empty fields too, and quote fields that hold the separator or a line end"
                }
                None => "quote fields that hold the separator",
            };
            return Err(format!("the row has {found} fields, the header {wanted}; {cure}"));
        }
        // Where files were put together, the mark of the second one's beginning stands before its first name.
        let bare = |field: &'_ [u8]| field.strip_prefix(MARK.as_bytes()).unwrap_or(field).trim_ascii().to_vec();
        let mut names = self.record.fields().zip(&self.header);
        if wanted > 1 && names.all(|(field, name)| bare(field) == name.as_bytes()) {
            return Err(
                "the row repeats the names of the columns, as files that were put together do; remove it".into()
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
