//! Text as spreadsheets write it when they call it Unicode.

use std::io::{self, BufRead, Read};

/// A file in UTF-16, after its mark, read as UTF-8; what is no UTF-16 becomes the replacement character.
pub struct Utf16<R> {
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
    /// Of two bytes a unit, the larger one first where it is `big`.
    pub fn new(reader: R, big: bool) -> Self {
        Self { reader, big, pair: None, waiting: vec![] }
    }

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
