//! Where lines end: as editors number them, at `\n`, `\r\n` and `\r` alike, also where one file has several of these.

use std::io::{self, BufRead};

/// Counts lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineCounter {
    /// Ends that were passed.
    ended: u64,
    /// Whether the last byte was `\r`, which a `\n` may follow.
    carriage: bool,
}

impl LineCounter {
    /// Passes over bytes.
    pub fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.ended += u64::from(*byte == b'\r' || *byte == b'\n' && !self.carriage);
            self.carriage = *byte == b'\r';
        }
    }

    /// The line of the next byte, from 1, unless it is the `\n` of a `\r\n`.
    pub fn line(&self) -> u64 {
        self.ended + 1
    }
}

/// What a reader holds next; a call that was interrupted is made again.
pub fn filled(reader: &mut impl BufRead) -> io::Result<&[u8]> {
    // The borrow checker does not let a buffer be returned out of a loop.
    while let Err(error) = reader.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    reader.fill_buf()
}

/// A line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineRead {
    /// Nothing was left.
    End,
    /// It is whole.
    Whole,
    /// It is longer than was asked for; the rest of it was passed over.
    TooLong,
}

/// Reads a line without its end, keeping at most `limit` bytes of it.
pub fn read_line(reader: &mut impl BufRead, limit: usize, line: &mut Vec<u8>) -> io::Result<LineRead> {
    line.clear();
    let (mut any, mut long) = (false, false);
    loop {
        let buffer = filled(reader)?;
        if buffer.is_empty() {
            break;
        }
        any = true;
        let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let text = &buffer[..end.unwrap_or(buffer.len())];
        long |= line.len() + text.len() > limit;
        if !long {
            line.extend_from_slice(text);
        }
        let carriage = end.is_some_and(|end| buffer[end] == b'\r');
        let count = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(count);
        if carriage && filled(reader)?.first() == Some(&b'\n') {
            reader.consume(1);
        }
        if end.is_some() {
            break;
        }
    }
    Ok(match (any, long) {
        (false, _) => LineRead::End,
        (true, false) => LineRead::Whole,
        (true, true) => LineRead::TooLong,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_an_editor_numbers_them() {
        for (bytes, line) in [("a\nb\nc", 3), ("a\r\nb\r\n", 3), ("a\rb\r\rc", 4), ("a\r\nb\nc\rd", 4), ("\n\r\n", 3)] {
            // However the bytes come.
            for step in 1..4 {
                let mut counter = LineCounter::default();
                bytes.as_bytes().chunks(step).for_each(|some| counter.pass(some));
                assert_eq!(counter.line(), line, "{bytes:?} by {step}");
            }
        }
    }

    #[test]
    fn lines_are_read_whatever_ends_them() {
        let text = "one\r\n\ntwo\r\rthree is long\r\nfour";
        for capacity in 1..9 {
            let mut reader = io::BufReader::with_capacity(capacity, text.as_bytes());
            let (mut line, mut all) = (vec![], vec![]);
            loop {
                match read_line(&mut reader, 5, &mut line).unwrap() {
                    LineRead::End => break,
                    LineRead::Whole => all.push(String::from_utf8(line.clone()).unwrap()),
                    LineRead::TooLong => all.push("too long".into()),
                }
            }
            assert_eq!(all, ["one", "", "two", "", "too long", "four"], "{capacity}");
        }
    }
}
