//! Reads the lines of a text file without quoted fields. The length of a line is limited.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use ptu_data::DataError;

use super::Entry;

/// The longest line, in bytes.
const LINE_LIMIT: u64 = 8 << 20;

/// A reader of lines. A line ends only with `\n` or `\r\n`.
pub struct Lines {
    path: PathBuf,
    reader: BufReader<Box<dyn Read + Send>>,
    number: u64,
}

/// One line.
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// The line without its line end.
    pub text: String,
    /// Whether it was read as Latin-1, because it is not UTF-8.
    pub latin: bool,
}

impl Line {
    /// The fields between separators.
    pub fn fields(&self, separator: char) -> Vec<&str> {
        self.text.split(separator).collect()
    }
}

impl Lines {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(entry: &Entry) -> Result<Self, DataError> {
        Ok(Self { path: entry.path(), reader: BufReader::new(entry.open()?), number: 0 })
    }

    /// The next line; `None` after the last.
    ///
    /// # Errors
    /// When the file cannot be read further, or when a line is longer than 8 MiB.
    pub fn next(&mut self) -> Result<Option<Line>, DataError> {
        let mut bytes = vec![];
        let read = (&mut self.reader).take(LINE_LIMIT + 1).read_until(b'\n', &mut bytes);
        let read = read.map_err(DataError::io("read", &self.path))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read as u64 > LINE_LIMIT {
            let cause = format!("the line is longer than {} MiB; is it a text file?", LINE_LIMIT >> 20);
            return Err(DataError::Row { path: self.path.clone(), line: self.number, cause });
        }
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").filter(|_| self.number == 1).unwrap_or(bytes);
        let (text, latin) = match std::str::from_utf8(bytes) {
            Ok(text) => (text.to_string(), false),
            Err(_) => (bytes.iter().map(|byte| char::from(*byte)).collect(), true),
        };
        Ok(Some(Line { number: self.number, text, latin }))
    }

    /// Calls a function with each of the remaining lines.
    ///
    /// # Errors
    /// As [`Lines::next`].
    pub fn each(&mut self, mut take: impl FnMut(Line)) -> Result<(), DataError> {
        while let Some(line) = self.next()? {
            take(line);
        }
        Ok(())
    }
}
