//! Text in UTF-16, which spreadsheet programs write when the user exports "Unicode text".

use std::io::{self, BufRead, Read};

/// Converts UTF-16, without its byte order mark, to UTF-8. A surrogate without its partner, or a single byte at the end, becomes
/// bytes that are not valid UTF-8 either, so that the reader of the UTF-8 reports an error.
pub struct Utf16<R> {
    reader: R,
    big_endian: bool,
    /// The first surrogate of a character that consists of two code units.
    high_surrogate: Option<u16>,
    /// Bytes that did not fit into the last buffer.
    pending: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pending.len() < buffer.len() && !self.ended {
            match self.unit()? {
                Unit::Whole(unit) => self.push(unit),
                Unit::OddByte => self.pending.push(0xff),
                Unit::End => {
                    self.flush();
                    self.ended = true;
                }
            }
        }
        let count = buffer.len().min(self.pending.len());
        buffer[..count].copy_from_slice(&self.pending[..count]);
        self.pending.drain(..count);
        Ok(count)
    }
}

/// A code unit, or what is left at the end of the text.
enum Unit {
    Whole(u16),
    /// A single byte at the end of the text.
    OddByte,
    End,
}

impl<R: BufRead> Utf16<R> {
    /// Reads code units of two bytes; with `big_endian`, the more significant byte comes first.
    pub fn new(reader: R, big_endian: bool) -> Self {
        Self { reader, big_endian, high_surrogate: None, pending: vec![], ended: false }
    }

    fn unit(&mut self) -> io::Result<Unit> {
        let (mut unit, mut filled) = ([0; 2], 0);
        while filled < 2 {
            match self.reader.read(&mut unit[filled..]) {
                Ok(0) if filled == 0 => return Ok(Unit::End),
                Ok(0) => return Ok(Unit::OddByte),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Unit::Whole(if self.big_endian { u16::from_be_bytes(unit) } else { u16::from_le_bytes(unit) }))
    }

    fn push(&mut self, unit: u16) {
        let is_low_surrogate = (0xdc00..0xe000).contains(&unit);
        if !is_low_surrogate || self.high_surrogate.is_none() {
            self.flush();
        }
        if (0xd800..0xdc00).contains(&unit) {
            self.high_surrogate = Some(unit);
            return;
        }
        let units = self.high_surrogate.take().into_iter().chain([unit]);
        match char::decode_utf16(units).next() {
            Some(Ok(one)) => self.pending.extend(one.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => self.pending.extend(surrogate_bytes(unit)),
        }
    }

    /// Writes the first surrogate of a character if its second surrogate is missing.
    fn flush(&mut self) {
        self.pending.extend(self.high_surrogate.take().into_iter().flat_map(surrogate_bytes));
    }
}

/// A surrogate encoded like a character in UTF-8. These bytes are not valid UTF-8.
fn surrogate_bytes(unit: u16) -> [u8; 3] {
    [0xe0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3f) as u8, 0x80 | (unit & 0x3f) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], big: bool) -> Vec<u8> {
        let mut all = vec![];
        // A buffer of one byte, so that bytes of a character are pending.
        Utf16::new(io::BufReader::with_capacity(1, bytes), big).read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn characters_are_converted_and_single_surrogates_are_not_utf8() {
        let units: Vec<u16> = "a€\u{1f600}b".encode_utf16().collect();
        let bytes = |big: bool| -> Vec<u8> {
            units.iter().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for big in [false, true] {
            assert_eq!(read(&bytes(big), big), "a€\u{1f600}b".as_bytes());
        }
        for damaged in [&b"a\0\x3d\xd8"[..], b"\0\xdea\0", b"\x3d\xd8\x3d\xd8\0\xde", b"\x3d\xd8a\0", b"a\0b"] {
            let text = read(damaged, false);
            assert!(std::str::from_utf8(&text).is_err(), "{damaged:?} {text:?}");
        }
        assert_eq!(
            read(b"\x3d\xd8\x3d\xd8\0\xde", false),
            [&surrogate_bytes(0xd83d)[..], "\u{1f600}".as_bytes()].concat()
        );
    }
}
