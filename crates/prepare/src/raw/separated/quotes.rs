//! Quotation marks that stand where RFC 4180 has none: the parser drops or keeps them without a word.

/// Follows the quotation marks of a record as the parser does.
#[derive(Clone, Copy, Debug)]
pub struct Quotes {
    separator: u8,
    state: State,
    /// The field that is read, from 0.
    field: usize,
    /// The first field in which something follows the closing mark, so that marks of it are lost.
    pub follows: Option<usize>,
    /// The first field in which blanks stand before the opening mark, so that it opens nothing.
    pub spaced: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the first byte of a field.
    Start,
    /// After blanks with which a field begins.
    Blank,
    /// In a field without marks.
    Bare,
    /// Between marks.
    Quoted,
    /// After a mark that closes the field, or is the first of two.
    Closed,
    /// After blanks behind the closing mark.
    After,
}

impl Quotes {
    /// At the start of a record.
    pub fn new(separator: u8) -> Self {
        Self { separator, state: State::Start, field: 0, follows: None, spaced: None }
    }

    /// Passes over bytes of the record.
    pub fn pass(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.byte(*byte));
    }

    fn byte(&mut self, byte: u8) {
        let ends = byte == self.separator || matches!(byte, b'\r' | b'\n');
        let blank = matches!(byte, b' ' | b'\t');
        self.state = match (self.state, byte) {
            (State::Quoted, b'"') => State::Closed,
            (State::Quoted, _) => State::Quoted,
            (State::Start | State::Closed, b'"') => State::Quoted,
            _ if ends => {
                self.field += usize::from(byte == self.separator);
                State::Start
            }
            (State::Start | State::Blank, _) if blank => State::Blank,
            (State::Blank, b'"') => {
                self.spaced.get_or_insert(self.field);
                State::Bare
            }
            (State::Start | State::Blank | State::Bare, _) => State::Bare,
            (State::Closed | State::After, _) if blank => State::After,
            (State::Closed | State::After, _) => {
                self.follows.get_or_insert(self.field);
                State::Bare
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_are_lost_or_open_nothing_are_seen() {
        for (record, follows, spaced) in [
            ("a,b\n", None, None),
            ("a,\"b\"\"c\"\"\",\"\"\r\n", None, None),
            ("a,\"x,\ny\" ,5\" wide", None, None),
            ("a,\"say \"\"x\"\" and \"y\" z\"\n", Some(1), None),
            ("\"a\"b,\"c\"d", Some(0), None),
            ("\"a\" \"b\"", Some(0), None),
            ("a, \"b, c\"", None, Some(1)),
            ("a,\t\"b\"", None, Some(1)),
        ] {
            for step in 1..4 {
                let mut quotes = Quotes::new(b',');
                record.as_bytes().chunks(step).for_each(|bytes| quotes.pass(bytes));
                assert_eq!((quotes.follows, quotes.spaced), (follows, spaced), "{record}");
            }
        }
    }
}
