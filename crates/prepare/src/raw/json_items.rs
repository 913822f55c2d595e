//! The items of a JSON list, one after another, so that a long list takes no more memory than its longest item.

use ptu_data::DataError;

use super::Entry;
use super::ends::{LineCounter, filled};
use super::json_text::{Extent, Numbered, object};
use super::row::{Bad, ROW_LIMIT, Row};
use super::survey::{Keys, row};
use super::text::Text;

/// A file with a list of objects.
pub struct Items {
    text: Text,
    lines: LineCounter,
    /// Items that were begun.
    number: u64,
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

    /// Share of the file that was read.
    pub fn share(&self) -> f64 {
        self.text.share()
    }

    /// What all items have.
    ///
    /// # Errors
    /// When the file cannot be read, is no list, or has too many different keys, or when not one item can be read.
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
            Some(Bad { line, cause }) if keys.is_empty() => {
                Err(wrong(format!("not one item can be read, item {line}: {cause}")))
            }
            _ => Ok(keys),
        }
    }

    /// The next row, its cells in the order of `header`; `None` after the last. Its line is its number in the list.
    ///
    /// # Errors
    /// When the file cannot be read on, or is no list from here on.
    pub fn next(&mut self, header: &[String]) -> Result<Option<Row>, DataError> {
        let Some((number, fields)) = self.fields()? else { return Ok(None) };
        Ok(Some(Row::read(number, fields.map(|fields| row(number, header, fields)))))
    }

    /// The next item and its number.
    fn fields(&mut self) -> Result<Option<Numbered<'_>>, DataError> {
        let Some(line) = self.find()? else { return Ok(None) };
        let too_long = !self.extract()?;
        let number = self.number;
        let bad = |cause: String| Err(Bad { line: number, cause });
        let fields = match std::str::from_utf8(&self.bytes) {
            _ if too_long => {
                bad(format!("the item on line {line} is longer than {} MiB; leave it out", ROW_LIMIT >> 20))
            }
            Err(_) => bad(format!("the item on line {line} is not UTF-8; save the file as UTF-8")),
            Ok(text) => object(text).or_else(|fault| {
                let told = fault.told("write `{\"image\": .., \"text\": ..}`");
                bad(format!("the item on line {line} {told}"))
            }),
        };
        Ok(Some((number, fields)))
    }

    /// Goes to the next item; the line on which it begins.
    fn find(&mut self) -> Result<Option<u64>, DataError> {
        if self.ended {
            return Ok(None);
        }
        let first = self.number == 0;
        match (self.peek()?, first) {
            (Some(b'['), true) | (Some(b','), false) => self.consume(1)?,
            (Some(b']'), false) => return self.end(),
            (None, _) => return Err(self.wrong("it ends too early; was the download cut off?")),
            _ => return Err(self.wrong(if first { "`[` is wanted" } else { "`,` or `]` is wanted after an item" })),
        }
        match self.peek()? {
            Some(b']') if first => self.end(),
            None => Err(self.wrong("it ends too early; was the download cut off?")),
            Some(b']') => Err(self.wrong("nothing follows the last comma; remove it")),
            Some(b',') => Err(self.wrong("an item is wanted between two commas; remove one of them")),
            Some(_) => {
                self.number += 1;
                Ok(Some(self.lines.line()))
            }
        }
    }

    fn end(&mut self) -> Result<Option<u64>, DataError> {
        self.consume(1)?;
        self.ended = true;
        match self.peek()? {
            None => Ok(None),
            Some(_) => Err(self.wrong("something follows the list")),
        }
    }

    /// Takes the item that comes next; whether it is not too long to be kept.
    fn extract(&mut self) -> Result<bool, DataError> {
        self.bytes.clear();
        let (mut extent, mut whole, mut short, mut nested) = (Extent::default(), false, true, None);
        while !whole {
            let buffer = filled(&mut self.text.reader).map_err(DataError::io("read", &self.text.path))?;
            if buffer.is_empty() {
                return Err(self.wrong("it ends too early; was the download cut off?"));
            }
            let nested = *nested.get_or_insert(matches!(buffer[0], b'{' | b'['));
            let mut count = 0;
            for byte in buffer {
                // What is neither object nor list ends before what parts it from the next.
                if !nested && !extent.in_string() && matches!(byte, b',' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
                    whole = true;
                    break;
                }
                count += 1;
                if extent.pass(*byte) && nested {
                    whole = true;
                    break;
                }
            }
            short &= self.bytes.len() + count <= ROW_LIMIT;
            if short {
                self.bytes.extend_from_slice(&buffer[..count]);
            }
            self.consume(count)?;
        }
        Ok(short)
    }

    /// The next character that is no white space; it is read next.
    fn peek(&mut self) -> Result<Option<u8>, DataError> {
        loop {
            let buffer = filled(&mut self.text.reader).map_err(DataError::io("read", &self.text.path))?;
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

    /// Passes over bytes that the buffer holds.
    fn consume(&mut self, count: usize) -> Result<(), DataError> {
        let buffer = filled(&mut self.text.reader).map_err(DataError::io("read", &self.text.path))?;
        self.lines.pass(&buffer[..count]);
        std::io::BufRead::consume(&mut self.text.reader, count);
        Ok(())
    }

    fn wrong(&self, cause: &str) -> DataError {
        let cause = format!("it is no JSON list of objects: on line {} {cause}", self.lines.line());
        DataError::Table { path: self.text.path.clone(), cause }
    }
}
