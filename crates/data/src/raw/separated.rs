//! Tables with a separator, in UTF-8 or UTF-16.

use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Entry;
use super::row::{Bad, COLUMN_LIMIT, ROW_LIMIT, Row, check_start, listed};
use super::utf16::Utf16;
use crate::error::DataError;

/// A line put after the end of a CSV: where it is not a record of its own, a quotation mark swallowed it.
const END: &[u8] = b"\0end of table";

/// A CSV file whose first line names the columns.
pub struct Csv {
    path: PathBuf,
    header: Vec<String>,
    reader: csv::Reader<Bounded>,
    left: Arc<AtomicUsize>,
    record: csv::ByteRecord,
    /// Whether lines end with `\r\n`.
    crlf: bool,
}

impl Csv {
    /// Opens a CSV; its first line tells the separator and names the columns.
    ///
    /// # Errors
    /// When it cannot be read, is empty, is not UTF-8, or has a header that is none.
    pub fn open(entry: &Entry) -> Result<Self, DataError> {
        let path = entry.path();
        let mut file = entry.open()?;
        let mut start = vec![];
        let mut begin = |file: &mut dyn Read, bytes: u64| {
            start.clear();
            file.take(bytes).read_to_end(&mut start).map_err(DataError::io("read", &path)).map(|_| start.clone())
        };
        let mark = begin(&mut file, 2)?;
        // What a spreadsheet calls Unicode text.
        let big = mark == [0xfe, 0xff];
        let mut file: Box<dyn Read + Send> = match big || mark == [0xff, 0xfe] {
            true => Box::new(Utf16::new(BufReader::new(file), big)),
            false => Box::new(io::Cursor::new(mark).chain(file)),
        };
        let start = begin(&mut file, 64 << 10)?;
        check_start(&start, &path)?;
        let left = Arc::new(AtomicUsize::new(ROW_LIMIT));
        let line = start.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let (crlf, delimiter) = (line.ends_with(b"\r\n"), delimiter(line));
        let mut end = if crlf { b"\r\n".to_vec() } else { b"\n".to_vec() };
        end.extend_from_slice(END);
        let file = Box::new(io::Cursor::new(start).chain(file).chain(io::Cursor::new(end)));
        let reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .delimiter(delimiter)
            .from_reader(Bounded { file, left: Arc::clone(&left) });
        let mut csv = Self { path, header: vec![], reader, left, record: csv::ByteRecord::new(), crlf };
        csv.header = csv.read_header()?;
        Ok(csv)
    }

    /// Names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// How much of the file was read.
    pub fn read_bytes(&self) -> u64 {
        self.reader.position().byte()
    }

    /// Positions of columns, found by name without regard to case or surrounding blanks.
    ///
    /// # Errors
    /// When one is not there.
    pub fn need<const N: usize>(&self, names: [&str; N]) -> Result<[usize; N], DataError> {
        let missing: Vec<&str> = names.into_iter().filter(|name| self.column(name).is_none()).collect();
        if !missing.is_empty() {
            let cause = format!(
                "there is no column `{}`; it has {}; is it of another version?",
                missing.join("`, `"),
                listed(&self.header)
            );
            return Err(DataError::Table { path: self.path.clone(), cause });
        }
        Ok(names.map(|name| self.column(name).unwrap_or_default()))
    }

    /// Position of a column that may be there.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column.eq_ignore_ascii_case(name))
    }

    /// Reads the next record; false at the end.
    fn advance(&mut self) -> Result<bool, DataError> {
        self.left.store(ROW_LIMIT, Ordering::Relaxed);
        let line = self.reader.position().line() + u64::from(self.crlf);
        let path = self.path.clone();
        let wrong = |line, cause| DataError::Row { path: path.clone(), line, cause };
        let read = self.reader.read_byte_record(&mut self.record);
        let read = read.map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(source) if source.kind() == io::ErrorKind::FileTooLarge => {
                wrong(line, format!("the row is longer than {} MiB; is a quotation mark not closed?", ROW_LIMIT >> 20))
            }
            csv::ErrorKind::Io(source) => DataError::Io { action: "read", path: path.clone(), source },
            other => wrong(line, format!("{other:?}")),
        })?;
        match self.record.iter().next_back() {
            Some(END) if self.record.len() == 1 => Ok(false),
            Some(last) if last.ends_with(END) => {
                let cause =
                    "a quotation mark is not closed, so that the row takes all that follows; close it".to_string();
                // No end of a line stands after this record.
                Err(wrong(self.line() + u64::from(!self.crlf), cause))
            }
            _ => Ok(read),
        }
    }

    /// The line on which the current record starts.
    ///
    /// The reader's own position before a record is no help: it comes before blank lines, and before the `\n` of the
    /// `\r\n` that ended the last record.
    fn line(&self) -> u64 {
        let within = self.record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        let end = self.reader.position().line();
        end.saturating_sub(within + u64::from(!self.crlf))
    }

    fn read_header(&mut self) -> Result<Vec<String>, DataError> {
        let path = self.path.clone();
        let wrong = |cause: String| DataError::Table { path: path.clone(), cause };
        self.advance()?;
        if self.record.len() > COLUMN_LIMIT {
            return Err(wrong(format!("it has more than {COLUMN_LIMIT} columns; is it a table?")));
        }
        let name = |field: &[u8]| match std::str::from_utf8(field) {
            Ok(name) => Ok(name.trim_start_matches('\u{feff}').trim().to_string()),
            Err(_) => Err(wrong("its first line is not UTF-8; it must be a CSV or JSONL in UTF-8".to_string())),
        };
        self.record.iter().map(name).collect()
    }

    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// When the file cannot be read on; what is wrong with one row is told in the row.
    pub fn next(&mut self) -> Result<Option<Row>, DataError> {
        if !self.advance()? {
            return Ok(None);
        }
        let header = &self.header;
        let line = self.line();
        let bad = |cause: String| Bad { line, cause };
        let (found, wanted) = (self.record.len(), header.len());
        let cells = if found == wanted {
            let cell = |(field, name): (&[u8], &String)| match std::str::from_utf8(field) {
                Ok(text) => Ok(vec![text.to_string()]),
                Err(error) => Err(bad(format!(
                    "column `{name}` is not UTF-8 (byte {} of it); save the table as UTF-8",
                    error.valid_up_to() + 1
                ))),
            };
            self.record.iter().zip(header).map(cell).collect()
        } else {
            let cause =
                format!("the row has {found} fields, the header {wanted}; quote fields that hold the separator");
            Err(bad(cause))
        };
        Ok(Some(Row { line, cells, images: vec![], unread: vec![] }))
    }
}

/// The mark that is most often in the first line: semicolon, tab or comma; the later of equals.
fn delimiter(line: &[u8]) -> u8 {
    *b";\t,".iter().max_by_key(|mark| line.iter().filter(|byte| byte == mark).count()).unwrap_or(&b',')
}

/// A file that refuses to be read on when a row takes too much of it: the parser itself knows no limit.
struct Bounded {
    file: Box<dyn Read + Send>,
    left: Arc<AtomicUsize>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.left.load(Ordering::Relaxed) {
            0 => Err(io::ErrorKind::FileTooLarge.into()),
            left => {
                let read = self.file.read(buffer)?;
                self.left.store(left.saturating_sub(read), Ordering::Relaxed);
                Ok(read)
            }
        }
    }
}
