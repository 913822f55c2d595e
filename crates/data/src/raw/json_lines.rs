//! Tables with one JSON object a line.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use serde_json::Value;

use super::Entry;
use super::row::{Bad, COLUMN_LIMIT, Cell, LOOKED_AT, ROW_LIMIT, Row};
use crate::error::{DataError, shortened};

/// A line of JSONL, or why it is none.
pub type Object = Result<serde_json::Map<String, Value>, Bad>;

/// A file with one JSON object a line.
pub struct Jsonl {
    path: PathBuf,
    reader: BufReader<Box<dyn Read + Send>>,
    line: u64,
    bytes: u64,
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

    /// How much of the file was read.
    pub fn read_bytes(&self) -> u64 {
        self.bytes
    }

    /// The keys of the first rows.
    ///
    /// # Errors
    /// When the file cannot be read, or none of these rows.
    pub fn header(entry: &Entry) -> Result<Vec<String>, DataError> {
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

    /// The next row, its cells in the order of `header`; `None` after the last.
    ///
    /// # Errors
    /// As [`Jsonl::object`].
    pub fn next(&mut self, header: &[String]) -> Result<Option<Row>, DataError> {
        let Some(object) = self.object()? else { return Ok(None) };
        let line = self.line;
        let cells = object.and_then(|object| cells(object, header, line));
        Ok(Some(Row { line, cells, images: vec![], unread: vec![] }))
    }
}

/// The values of an object in the order of the header.
pub fn cells(mut object: serde_json::Map<String, Value>, header: &[String], line: u64) -> Result<Vec<Cell>, Bad> {
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
