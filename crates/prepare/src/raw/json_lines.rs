//! Tables with one JSON object a line.

use ptu_data::DataError;
use serde_json::Value;

use super::Entry;
use super::ends::{LineRead, read_line};
use super::json_text::{Numbered, object};
use super::row::{Bad, ROW_LIMIT, Row};
use super::survey::{Keys, row};
use super::text::Text;

/// A line of JSONL, or why it is none.
pub type Object = Result<serde_json::Map<String, Value>, Bad>;

/// A file with one JSON object a line.
pub struct Jsonl {
    text: Text,
    line: u64,
    bytes: Vec<u8>,
}

impl Jsonl {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(entry: &Entry) -> Result<Self, DataError> {
        Ok(Self { text: Text::open(entry)?, line: 0, bytes: vec![] })
    }

    /// The number of the line that was read last.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Share of the file that was read.
    pub fn share(&self) -> f64 {
        self.text.share()
    }

    /// What all rows have.
    ///
    /// # Errors
    /// When the file cannot be read, not one of its rows can, or when it has too many different keys.
    pub fn keys(entry: &Entry) -> Result<Keys, DataError> {
        let (mut rows, mut keys) = (Self::open(entry)?, Keys::default());
        let (path, mut first_bad) = (entry.path(), None);
        while let Some((line, fields)) = rows.fields()? {
            match fields {
                Ok(fields) => {
                    keys.row(line, &fields).map_err(|cause| DataError::Table { path: path.clone(), cause })?
                }
                Err(bad) => first_bad = first_bad.or(Some(bad)),
            }
        }
        match first_bad {
            // Not one row can be read: leaving them all out would only hide why.
            Some(Bad { line, cause }) if keys.is_empty() => Err(DataError::Row { path, line, cause }),
            _ => Ok(keys),
        }
    }

    /// The next line that is not blank, as an object; `self.line` is its number then.
    ///
    /// # Errors
    /// When the file cannot be read on.
    pub fn object(&mut self) -> Result<Option<Object>, DataError> {
        let Some(read) = self.next_line()? else { return Ok(None) };
        let line = self.line;
        let bad = |cause: String| Bad { line, cause };
        Ok(Some(self.written(read).and_then(|text| match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(bad(format!("it is no JSON object; {CURE}"))),
            Err(error) => Err(bad(format!("it is no JSON ({error}); {CURE}"))),
        })))
    }

    /// The next row, its cells in the order of `header`; `None` after the last.
    ///
    /// # Errors
    /// As [`Jsonl::object`].
    pub fn next(&mut self, header: &[String]) -> Result<Option<Row>, DataError> {
        let Some((line, fields)) = self.fields()? else { return Ok(None) };
        Ok(Some(Row::read(line, fields.map(|fields| row(line, header, fields)))))
    }

    /// The next line that is not blank, and its fields.
    fn fields(&mut self) -> Result<Option<Numbered<'_>>, DataError> {
        let Some(read) = self.next_line()? else { return Ok(None) };
        let line = self.line;
        let object = |text| object(text).map_err(|fault| Bad { line, cause: format!("it {}", fault.told(CURE)) });
        Ok(Some((line, self.written(read).and_then(object))))
    }

    /// Reads the next line that is not blank into `self.bytes`; whether it is whole.
    fn next_line(&mut self) -> Result<Option<LineRead>, DataError> {
        loop {
            let read = read_line(&mut self.text.reader, ROW_LIMIT, &mut self.bytes);
            let read = read.map_err(DataError::io("read", &self.text.path))?;
            if read == LineRead::End {
                return Ok(None);
            }
            self.line += 1;
            if read == LineRead::TooLong || !self.bytes.trim_ascii().is_empty() {
                return Ok(Some(read));
            }
        }
    }

    /// The line that was read, as text.
    fn written(&self, read: LineRead) -> Result<&str, Bad> {
        let bad = |cause: String| Bad { line: self.line, cause };
        if read == LineRead::TooLong {
            return Err(bad(format!("the row is longer than {} MiB; leave it out", ROW_LIMIT >> 20)));
        }
        // A mark in the midst of a file that was put together of several.
        let bytes = self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.bytes);
        std::str::from_utf8(bytes)
            .map_err(|error| bad(format!("byte {} is not UTF-8; save the table as UTF-8", error.valid_up_to() + 1)))
    }
}

/// What a line has to be.
pub const CURE: &str = "write one object a line, `{\"image\": .., \"text\": ..}`";
