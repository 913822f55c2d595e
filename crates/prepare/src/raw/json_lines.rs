//! Tables with one JSON object per line (JSONL).

use ptu_data::DataError;
use serde_json::Value;

use super::Entry;
use super::ends::{LineRead, read_line};
use super::json_text::{NumberedFields, object};
use super::row::{ROW_LIMIT, Row, RowError};
use super::survey::{Keys, row};
use super::text::Text;

/// An object of a JSONL file, or the reason why the line is not an object.
pub type Object = Result<serde_json::Map<String, Value>, RowError>;

/// A reader of a file with one JSON object per line.
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

    /// The share of the file that was read, from 0 to 1.
    pub fn share(&self) -> f64 {
        self.text.share()
    }

    /// The keys of all rows.
    ///
    /// # Errors
    /// When the file cannot be read, when none of its rows can be read, or when it has too many different keys.
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
            // No row can be read. If all rows were skipped, the reason would stay hidden.
            Some(RowError { line, cause }) if keys.is_empty() => Err(DataError::Row { path, line, cause }),
            _ => Ok(keys),
        }
    }

    /// The next line that is not blank, as an object; [`Jsonl::line`] is then its number.
    ///
    /// # Errors
    /// When the file cannot be read further.
    pub fn object(&mut self) -> Result<Option<Object>, DataError> {
        let Some(read) = self.next_line()? else { return Ok(None) };
        let line = self.line;
        let bad = |cause: String| RowError { line, cause };
        Ok(Some(self.line_text(read).and_then(|text| match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(bad(format!("it is not a JSON object; {CURE}"))),
            Err(error) => Err(bad(format!("it is not valid JSON ({error}); {CURE}"))),
        })))
    }

    /// The next row, with its cells in the order of `header`; `None` after the last row.
    ///
    /// # Errors
    /// As [`Jsonl::object`].
    pub fn next(&mut self, header: &[String]) -> Result<Option<Row>, DataError> {
        let Some((line, fields)) = self.fields()? else { return Ok(None) };
        Ok(Some(Row::read(line, fields.map(|fields| row(line, header, fields)))))
    }

    /// The number and the fields of the next line that is not blank.
    fn fields(&mut self) -> Result<Option<NumberedFields<'_>>, DataError> {
        let Some(read) = self.next_line()? else { return Ok(None) };
        let line = self.line;
        let object =
            |text| object(text).map_err(|error| RowError { line, cause: format!("it {}", error.message(CURE)) });
        Ok(Some((line, self.line_text(read).and_then(object))))
    }

    /// Reads the next line that is not blank into `self.bytes`; returns whether it is complete or too long, or `None` at the end.
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

    /// The line that was read last, as text.
    fn line_text(&self, read: LineRead) -> Result<&str, RowError> {
        let bad = |cause: String| RowError { line: self.line, cause };
        if read == LineRead::TooLong {
            return Err(bad(format!("the row is longer than {} MiB; remove it", ROW_LIMIT >> 20)));
        }
        // If several files were joined, there can be a byte order mark in the middle of the file.
        let bytes = self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.bytes);
        std::str::from_utf8(bytes)
            .map_err(|error| bad(format!("byte {} is not UTF-8; save the table as UTF-8", error.valid_up_to() + 1)))
    }
}

/// What to do if a line is not an object.
pub const CURE: &str = "write one object per line, `{\"image\": .., \"text\": ..}`";
