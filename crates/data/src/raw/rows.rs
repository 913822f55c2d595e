//! Rows of a CSV or JSONL file, each read within a bound, so that no file can take all memory.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::parquet::Parquet;
use super::{Entry, json_list};
use crate::error::{DataError, shortened};

/// The longest row, in bytes.
const ROW_LIMIT: usize = 8 << 20;

/// The most columns.
const COLUMN_LIMIT: usize = 10_000;

/// A line put after the end of a CSV: where it is not a record of its own, a quotation mark swallowed it.
const END: &[u8] = b"\0end of table";

/// Rows of a JSONL file that are looked at for the names of its columns.
const LOOKED_AT: usize = 1_000;

/// Values of one column in one row: none where it is missing, several where a JSON list stands.
pub type Cell = Vec<String>;

/// One row, its cells in the order of the header.
pub struct Row {
    /// Where it starts, from 1.
    pub line: u64,
    /// The cells, or why the row cannot be read.
    pub cells: Result<Vec<Cell>, Bad>,
    /// An image within the row itself.
    pub image: Option<InlineImage>,
}

/// The encoded file of an image that stands in a table.
pub struct InlineImage {
    /// Position of its column.
    pub column: usize,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Row {
    /// The text of a column; empty where it is missing.
    pub fn get(&self, column: usize) -> &str {
        let cells = self.cells.as_ref().ok();
        cells.and_then(|cells| cells.get(column)?.first()).map_or("", |text| text.trim())
    }
}

/// A row that cannot become a record.
#[derive(Debug)]
pub struct Bad {
    /// Where it starts, from 1.
    pub line: u64,
    /// Cause and cure.
    pub cause: String,
}

/// A line of JSONL, or why it is none.
type Object = Result<serde_json::Map<String, Value>, Bad>;

/// The rows of a table.
pub struct Rows {
    header: Vec<String>,
    kind: Kind,
    total: u64,
}

enum Kind {
    Csv(Csv),
    Jsonl(Jsonl),
    /// Items of a JSON list, with the number of the next, from 1.
    List(std::vec::IntoIter<Value>, u64),
    Parquet(Parquet),
}

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

/// A file with one JSON object a line.
pub struct Jsonl {
    path: PathBuf,
    reader: BufReader<Box<dyn Read + Send>>,
    line: u64,
    bytes: u64,
}

impl Rows {
    /// Opens a table: `.jsonl` and `.ndjson` hold one JSON object a line, `.json` a list of them, `.parquet` columns, anything
    /// else is separated by the comma, tab or semicolon that its first line uses.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, is not UTF-8, or has a header that is none.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let wrong = |cause: &str| DataError::Table { path: path.to_path_buf(), cause: cause.to_string() };
        let about = fs::metadata(path).map_err(DataError::io("open", path))?;
        if !about.is_file() {
            return Err(wrong("it is no file; name the CSV or JSONL file itself"));
        }
        let entry = Entry::file(path);
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let (kind, header) = if extension == "parquet" {
            let (parquet, header) = Parquet::open(path)?;
            (Kind::Parquet(parquet), header)
        } else if extension == "json" {
            let items = json_list(&entry)?;
            let keys = items.iter().take(LOOKED_AT).filter_map(Value::as_object).flat_map(|item| item.keys().cloned());
            let header: Vec<String> = keys.collect::<BTreeSet<_>>().into_iter().take(COLUMN_LIMIT).collect();
            (Kind::List(items.into_iter(), 1), header)
        } else if extension == "jsonl" || extension == "ndjson" {
            let mut start = vec![];
            entry.open()?.take(2).read_to_end(&mut start).map_err(DataError::io("read", path))?;
            check_start(&start, path)?;
            (Kind::Jsonl(Jsonl::open(&entry)?), Jsonl::header(&entry)?)
        } else {
            let csv = Csv::open(&entry)?;
            let header = csv.header.clone();
            (Kind::Csv(csv), header)
        };
        Ok(Self { header, kind, total: about.len() })
    }

    /// Names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The next row; `None` after the last.
    ///
    /// # Errors
    /// When the file cannot be read on; what is wrong with one row is told in the row.
    pub fn next(&mut self) -> Result<Option<Row>, DataError> {
        match &mut self.kind {
            Kind::Csv(csv) => csv.next(),
            Kind::Jsonl(jsonl) => jsonl.next(&self.header),
            Kind::List(items, number) => {
                let Some(item) = items.next() else { return Ok(None) };
                let line = *number;
                *number += 1;
                let cells = match item {
                    Value::Object(object) => cells(object, &self.header, line),
                    _ => {
                        Err(Bad { line, cause: "the item is no object; write `{\"image\": .., \"text\": ..}`".into() })
                    }
                };
                Ok(Some(Row { line, cells, image: None }))
            }
            Kind::Parquet(parquet) => parquet.next(),
        }
    }

    /// Share of the file that has been read.
    pub fn share(&self) -> f64 {
        let read = match &self.kind {
            Kind::Csv(csv) => csv.reader.position().byte(),
            Kind::Jsonl(jsonl) => jsonl.bytes,
            Kind::List(items, number) => return *number as f64 / (*number + items.len() as u64) as f64,
            Kind::Parquet(parquet) => return parquet.share(),
        };
        (read as f64 / self.total.max(1) as f64).min(1.0)
    }
}

/// The mark that is most often in the first line: semicolon, tab or comma; the later of equals.
fn delimiter(line: &[u8]) -> u8 {
    *b";\t,".iter().max_by_key(|mark| line.iter().filter(|byte| byte == mark).count()).unwrap_or(&b',')
}

/// Refuses what cannot be read as text.
fn check_start(start: &[u8], path: &Path) -> Result<(), DataError> {
    let wrong = |cause: &str| Err(DataError::Table { path: path.to_path_buf(), cause: cause.to_string() });
    if start.trim_ascii().is_empty() {
        return wrong("it is empty; its first line must name the columns");
    }
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return wrong("it is UTF-16; save it as UTF-8");
    }
    Ok(())
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
            true => Box::new(Utf16 { reader: BufReader::new(file), big, pair: None, waiting: vec![] }),
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
        Ok(Some(Row { line, cells, image: None }))
    }
}

impl Jsonl {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(entry: &Entry) -> Result<Self, DataError> {
        Ok(Self { path: entry.path(), reader: BufReader::new(entry.open()?), line: 0, bytes: 0 })
    }

    /// The number of the line that was read last.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The keys of the first rows.
    fn header(entry: &Entry) -> Result<Vec<String>, DataError> {
        let (mut rows, path) = (Self::open(entry)?, entry.path());
        let (mut header, mut first_bad) = (BTreeSet::new(), None);
        for _ in 0..LOOKED_AT {
            match rows.object()? {
                None => break,
                Some(Ok(object)) => header.extend(object.into_iter().map(|(key, _)| key)),
                Some(Err(bad)) => first_bad = first_bad.or(Some(bad)),
            }
            if header.len() > COLUMN_LIMIT {
                let cause = format!("its rows have more than {COLUMN_LIMIT} different keys; is it a table?");
                return Err(DataError::Table { path, cause });
            }
        }
        match first_bad {
            // Not one row can be read: leaving them all out would only hide why.
            Some(Bad { line, cause }) if header.is_empty() => Err(DataError::Row { path, line, cause }),
            _ => Ok(header.into_iter().collect()),
        }
    }

    /// The next line that is not blank, as an object; `self.line` is its number then.
    ///
    /// # Errors
    /// When the file cannot be read on.
    pub fn object(&mut self) -> Result<Option<Object>, DataError> {
        let path = self.path.clone();
        let path = path.as_path();
        loop {
            let mut text = vec![];
            let limited = (&mut self.reader).take(ROW_LIMIT as u64 + 1).read_until(b'\n', &mut text);
            let read = limited.map_err(DataError::io("read", path))?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.bytes += read as u64;
            let line = self.line;
            let bad = |cause: String| Ok(Some(Err(Bad { line, cause })));
            if read > ROW_LIMIT && !text.ends_with(b"\n") {
                self.bytes += skip_line(&mut self.reader).map_err(DataError::io("read", path))?;
                return bad(format!("the row is longer than {} MiB; leave it out", ROW_LIMIT >> 20));
            }
            let text = text.strip_prefix(b"\xef\xbb\xbf").filter(|_| line == 1).unwrap_or(&text);
            if text.trim_ascii().is_empty() {
                continue;
            }
            return match std::str::from_utf8(text).map(serde_json::from_str) {
                Err(error) => bad(format!("byte {} is not UTF-8; save the table as UTF-8", error.valid_up_to() + 1)),
                Ok(Ok(Value::Object(object))) => Ok(Some(Ok(object))),
                Ok(Ok(_)) => {
                    bad("it is no JSON object; write one object a line, `{\"image\": .., \"text\": ..}`".into())
                }
                Ok(Err(error)) => bad(format!("it is no JSON ({error}); write one object a line")),
            };
        }
    }

    fn next(&mut self, header: &[String]) -> Result<Option<Row>, DataError> {
        let Some(object) = self.object()? else { return Ok(None) };
        let line = self.line;
        let cells = object.and_then(|object| cells(object, header, line));
        Ok(Some(Row { line, cells, image: None }))
    }
}

fn cells(mut object: serde_json::Map<String, Value>, header: &[String], line: u64) -> Result<Vec<Cell>, Bad> {
    header.iter().map(|name| cell(name, object.remove(name).unwrap_or_default(), line)).collect()
}

/// A JSON value as the texts of a cell.
fn cell(name: &str, value: Value, line: u64) -> Result<Cell, Bad> {
    let one = |value: Value| match value {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => {
            let cause = format!("`{}` holds a nested value; write a text, or a list of texts", shortened(name, 40));
            Err(Bad { line, cause })
        }
    };
    match value {
        Value::Null => Ok(vec![]),
        Value::Array(items) => items.into_iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

/// Reads to the end of the line, keeping nothing; returns how many bytes that were.
fn skip_line(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(count);
        skipped += count as u64;
        if end.is_some() || count == 0 {
            return Ok(skipped);
        }
    }
}

/// The columns for a message; a file that is no table has strange ones, so they are shortened.
pub fn listed(header: &[String]) -> String {
    let names: Vec<String> = header.iter().take(30).map(|name| format!("`{}`", shortened(name, 40))).collect();
    let rest = if header.len() > 30 { format!(" and {} more", header.len() - 30) } else { String::new() };
    format!("{}{rest}", names.join(", "))
}

/// A file in UTF-16, after its mark, read as UTF-8; what is no UTF-16 becomes the replacement character.
struct Utf16<R> {
    reader: R,
    big: bool,
    /// The first half of a character of two units.
    pair: Option<u16>,
    waiting: Vec<u8>,
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.waiting.is_empty() {
            match (self.unit()?, self.pair.take()) {
                (None, None) => return Ok(0),
                (None, Some(_)) => self.push([char::REPLACEMENT_CHARACTER]),
                (Some(unit), None) if (0xd800..0xdc00).contains(&unit) => self.pair = Some(unit),
                (Some(unit), first) => {
                    let decoded = char::decode_utf16(first.into_iter().chain([unit]));
                    self.push(decoded.map(|one| one.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<Vec<_>>());
                }
            }
        }
        let count = buffer.len().min(self.waiting.len());
        buffer[..count].copy_from_slice(&self.waiting[..count]);
        self.waiting.drain(..count);
        Ok(count)
    }
}

impl<R: BufRead> Utf16<R> {
    fn unit(&mut self) -> io::Result<Option<u16>> {
        let mut unit = [0; 2];
        match self.reader.read_exact(&mut unit) {
            Ok(()) => Ok(Some(if self.big { u16::from_be_bytes(unit) } else { u16::from_le_bytes(unit) })),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn push(&mut self, characters: impl IntoIterator<Item = char>) {
        for one in characters {
            self.waiting.extend(one.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
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
