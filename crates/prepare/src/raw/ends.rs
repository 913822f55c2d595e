//! Line ends. As in editors, `\n`, `\r\n` and `\r` all end a line, even if one file has several of them.

use std::io::{self, BufRead};

/// Counts the lines of a text.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineCounter {
    /// The number of line ends so far.
    ended: u64,
    /// Whether the last byte was `\r`; then a `\n` that follows does not end another line.
    carriage: bool,
}

impl LineCounter {
    /// Counts the line ends in the next bytes.
    pub fn advance(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.ended += u64::from(*byte == b'\r' || *byte == b'\n' && !self.carriage);
            self.carriage = *byte == b'\r';
        }
    }

    /// The line of the next byte, from 1. (Too large by 1 if the next byte is the `\n` of a `\r\n`.)
    pub fn line(&self) -> u64 {
        self.ended + 1
    }
}

/// The next bytes in the buffer of a reader; empty at the end. An interrupted call is repeated.
pub fn next_buffer(reader: &mut impl BufRead) -> io::Result<&[u8]> {
    // The borrow checker does not allow returning the buffer from inside the loop.
    while let Err(error) = reader.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    reader.fill_buf()
}

/// The result of reading a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineRead {
    /// There was no further line.
    End,
    /// The line is complete.
    Whole,
    /// The line is longer than the limit; the rest of it was skipped.
    TooLong,
}

/// Reads a line of at most `limit` bytes into `line`, without its line end.
pub fn read_line(reader: &mut impl BufRead, limit: usize, line: &mut Vec<u8>) -> io::Result<LineRead> {
    line.clear();
    let (mut any, mut long) = (false, false);
    loop {
        let buffer = next_buffer(reader)?;
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
        if carriage && next_buffer(reader)?.first() == Some(&b'\n') {
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
            // The result does not depend on how the bytes are split.
            for step in 1..4 {
                let mut counter = LineCounter::default();
                bytes.as_bytes().chunks(step).for_each(|some| counter.advance(some));
                assert_eq!(counter.line(), line, "{bytes:?} by {step}");
            }
        }
    }

    #[test]
    fn lines_are_read_with_all_kinds_of_line_ends() {
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
