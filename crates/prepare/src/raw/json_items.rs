//! Reads the items of a JSON list one after another, so that a long list needs no more memory than its longest item.

use ptu_data::DataError;

use super::Entry;
use super::ends::{LineCounter, next_buffer};
use super::json_text::{NestingScanner, NumberedFields, object};
use super::row::{ROW_LIMIT, Row, RowError};
use super::survey::{Keys, row};
use super::text::Text;

/// A reader of a file with a list of objects.
pub struct Items {
    text: Text,
    lines: LineCounter,
    /// The number of the item that was read last, from 1.
    number: u64,
    /// The text of this item.
    bytes: Vec<u8>,
    ended: bool,
}

impl Items {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(entry: &Entry) -> Result<Self, DataError> {
        let text = Text::open(entry)?;
        Ok(Self { text, lines: LineCounter::default(), number: 0, bytes: vec![], ended: false })
    }

    /// The share of the file that was read, from 0 to 1.
    pub fn share(&self) -> f64 {
        self.text.share()
    }

    /// The keys of all items.
    ///
    /// # Errors
    /// When the file cannot be read, is not a list, or has too many different keys, or when none of its items can be read.
    pub fn keys(entry: &Entry) -> Result<Keys, DataError> {
        let (mut items, mut keys) = (Self::open(entry)?, Keys::default());
        let (path, mut first_bad) = (entry.path(), None);
        let wrong = |cause| DataError::Table { path: path.clone(), cause };
        while let Some((number, fields)) = items.fields()? {
            match fields {
                Ok(fields) => keys.row(number, &fields).map_err(&wrong)?,
                Err(bad) => first_bad = first_bad.or(Some(bad)),
            }
        }
        match first_bad {
            Some(RowError { line, cause }) if keys.is_empty() => {
                Err(wrong(format!("no item can be read; item {line}: {cause}")))
            }
            _ => Ok(keys),
        }
    }

    /// The next row, with its cells in the order of `header`; `None` after the last row. Its line is its number in the list.
    ///
    /// # Errors
    /// When the file cannot be read further, or when the list is damaged here.
    pub fn next(&mut self, header: &[String]) -> Result<Option<Row>, DataError> {
        let Some((number, fields)) = self.fields()? else { return Ok(None) };
        Ok(Some(Row::read(number, fields.map(|fields| row(number, header, fields)))))
    }

    /// The number and the fields of the next item.
    fn fields(&mut self) -> Result<Option<NumberedFields<'_>>, DataError> {
        let Some(line) = self.find_item()? else { return Ok(None) };
        let too_long = !self.read_item()?;
        let number = self.number;
        let bad = |cause: String| Err(RowError { line: number, cause });
        let fields = match std::str::from_utf8(&self.bytes) {
            _ if too_long => bad(format!("the item on line {line} is longer than {} MiB; remove it", ROW_LIMIT >> 20)),
            Err(_) => bad(format!("the item on line {line} is not UTF-8; save the file as UTF-8")),
            Ok(text) => object(text).or_else(|error| {
                let message = error.message("write `{\"image\": .., \"text\": ..}`");
                bad(format!("the item on line {line} {message}"))
            }),
        };
        Ok(Some((number, fields)))
    }

    /// Moves to the next item; returns the line on which it begins, or `None` at the end of the list.
    fn find_item(&mut self) -> Result<Option<u64>, DataError> {
        if self.ended {
            return Ok(None);
        }
        let first = self.number == 0;
        match (self.peek()?, first) {
            (Some(b'['), true) | (Some(b','), false) => self.consume(1)?,
            (Some(b']'), false) => return self.end_list(),
            (None, _) => return Err(self.wrong("it ends too early; was the download interrupted?")),
            _ => {
                return Err(self.wrong(if first { "`[` is expected" } else { "`,` or `]` is expected after an item" }));
            }
        }
        match self.peek()? {
            Some(b']') if first => self.end_list(),
            None => Err(self.wrong("it ends too early; was the download interrupted?")),
            Some(b']') => Err(self.wrong("no item follows the last comma; remove the comma")),
            Some(b',') => Err(self.wrong("no item is between two commas; remove one of them")),
            Some(_) => {
                self.number += 1;
                Ok(Some(self.lines.line()))
            }
        }
    }

    /// Checks that nothing follows the list.
    fn end_list(&mut self) -> Result<Option<u64>, DataError> {
        self.consume(1)?;
        self.ended = true;
        match self.peek()? {
            None => Ok(None),
            Some(_) => Err(self.wrong("there is text after the list; remove it")),
        }
    }

    /// Reads the next item into `self.bytes`; returns false if it is longer than [`ROW_LIMIT`].
    fn read_item(&mut self) -> Result<bool, DataError> {
        self.bytes.clear();
        let (mut scanner, mut whole, mut fits, mut nested) = (NestingScanner::default(), false, true, None);
        while !whole {
            let buffer = next_buffer(&mut self.text.reader).map_err(DataError::io("read", &self.text.path))?;
            if buffer.is_empty() {
                return Err(self.wrong("it ends too early; was the download interrupted?"));
            }
            let nested = *nested.get_or_insert(matches!(buffer[0], b'{' | b'['));
            let mut count = 0;
            for byte in buffer {
                // A value that is not an object or a list ends before the comma, bracket or white space that follows it.
                if !nested && !scanner.in_string() && matches!(byte, b',' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
                    whole = true;
                    break;
                }
                count += 1;
                if scanner.advance(*byte) && nested {
                    whole = true;
                    break;
                }
            }
            fits &= self.bytes.len() + count <= ROW_LIMIT;
            if fits {
                self.bytes.extend_from_slice(&buffer[..count]);
            }
            self.consume(count)?;
        }
        Ok(fits)
    }

    /// Skips white space and returns the next byte without reading it.
    fn peek(&mut self) -> Result<Option<u8>, DataError> {
        loop {
            let buffer = next_buffer(&mut self.text.reader).map_err(DataError::io("read", &self.text.path))?;
            match buffer.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
                _ if buffer.is_empty() => return Ok(None),
                Some(blanks) => {
                    let found = buffer[blanks];
                    self.consume(blanks)?;
                    return Ok(Some(found));
                }
                None => {
                    let blanks = buffer.len();
                    self.consume(blanks)?;
                }
            }
        }
    }

    /// Skips bytes that are in the buffer.
    fn consume(&mut self, count: usize) -> Result<(), DataError> {
        let buffer = next_buffer(&mut self.text.reader).map_err(DataError::io("read", &self.text.path))?;
        self.lines.advance(&buffer[..count]);
        std::io::BufRead::consume(&mut self.text.reader, count);
        Ok(())
    }

    fn wrong(&self, cause: &str) -> DataError {
        let cause = format!("it is not a JSON list of objects: on line {}, {cause}", self.lines.line());
        DataError::Table { path: self.text.path.clone(), cause }
    }
}
