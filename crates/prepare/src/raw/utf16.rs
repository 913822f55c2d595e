//! Text as spreadsheets write it when they call it Unicode.

use std::io::{self, BufRead, Read};

/// A file in UTF-16, after its mark, read as UTF-8. What is no UTF-16 becomes bytes that are no UTF-8 either, so that whoever reads
/// them tells it as what it is: half a character, or half a unit at the end.
pub struct Utf16<R> {
    reader: R,
    big: bool,
    /// The first half of a character of two units.
    pair: Option<u16>,
    /// What did not fit into the last buffer.
    waiting: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.waiting.len() < buffer.len() && !self.ended {
            match self.unit()? {
                Unit::Whole(unit) => self.push(unit),
                Unit::Half => self.waiting.push(0xff),
                Unit::End => {
                    self.flush();
                    self.ended = true;
                }
            }
        }
        let count = buffer.len().min(self.waiting.len());
        buffer[..count].copy_from_slice(&self.waiting[..count]);
        self.waiting.drain(..count);
        Ok(count)
    }
}

enum Unit {
    Whole(u16),
    /// One byte before the end.
    Half,
    End,
}

impl<R: BufRead> Utf16<R> {
    /// Of two bytes a unit, the larger one first where it is `big`.
    pub fn new(reader: R, big: bool) -> Self {
        Self { reader, big, pair: None, waiting: vec![], ended: false }
    }

    fn unit(&mut self) -> io::Result<Unit> {
        let (mut unit, mut filled) = ([0; 2], 0);
        while filled < 2 {
            match self.reader.read(&mut unit[filled..]) {
                Ok(0) if filled == 0 => return Ok(Unit::End),
                Ok(0) => return Ok(Unit::Half),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Unit::Whole(if self.big { u16::from_be_bytes(unit) } else { u16::from_le_bytes(unit) }))
    }

    fn push(&mut self, unit: u16) {
        let second = (0xdc00..0xe000).contains(&unit);
        if !second || self.pair.is_none() {
            self.flush();
        }
        if (0xd800..0xdc00).contains(&unit) {
            self.pair = Some(unit);
            return;
        }
        let units = self.pair.take().into_iter().chain([unit]);
        match char::decode_utf16(units).next() {
            Some(Ok(one)) => self.waiting.extend(one.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => self.waiting.extend(half(unit)),
        }
    }

    /// The first half of a character whose second one does not come.
    fn flush(&mut self) {
        self.waiting.extend(self.pair.take().into_iter().flat_map(half));
    }
}

/// Half a character as UTF-8 would write it if that were allowed.
fn half(unit: u16) -> [u8; 3] {
    [0xe0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3f) as u8, 0x80 | (unit & 0x3f) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], big: bool) -> Vec<u8> {
        let mut all = vec![];
        // A buffer of one byte: what a unit gives has to wait.
        Utf16::new(io::BufReader::with_capacity(1, bytes), big).read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn characters_are_read_whole_and_halves_are_no_utf8() {
        let units: Vec<u16> = "a€\u{1f600}b".encode_utf16().collect();
        let bytes = |big: bool| -> Vec<u8> {
            units.iter().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for big in [false, true] {
            assert_eq!(read(&bytes(big), big), "a€\u{1f600}b".as_bytes());
        }
        for halves in [&b"a\0\x3d\xd8"[..], b"\0\xdea\0", b"\x3d\xd8\x3d\xd8\0\xde", b"\x3d\xd8a\0", b"a\0b"] {
            let text = read(halves, false);
            assert!(std::str::from_utf8(&text).is_err(), "{halves:?} {text:?}");
        }
        assert_eq!(read(b"\x3d\xd8\x3d\xd8\0\xde", false), [&half(0xd83d)[..], "\u{1f600}".as_bytes()].concat());
    }
}
