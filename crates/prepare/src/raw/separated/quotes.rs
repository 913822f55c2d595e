//! Finds quotation marks in places where RFC 4180 does not allow them. The CSV parser removes or keeps them without an error.

/// Follows the quotation marks of a record in the same way as the parser.
#[derive(Clone, Copy, Debug)]
pub struct Quotes {
    separator: u8,
    state: State,
    /// The position of the current field, from 0.
    field: usize,
    /// The first field with text after its closing quotation mark; the parser would lose quotation marks of this field.
    pub text_after_quote: Option<usize>,
    /// The first field with spaces before its first quotation mark; for the parser, this mark does not open a quoted field.
    pub blank_before_quote: Option<usize>,
}

/// The position in the record, relative to fields and quotation marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte of a field.
    Start,
    /// After spaces at the beginning of a field.
    Blank,
    /// In a field that is not quoted.
    Bare,
    /// Between quotation marks.
    Quoted,
    /// After a quotation mark that closes the field, or that is the first of a doubled one.
    Closed,
    /// After spaces that follow the closing quotation mark.
    After,
}

impl Quotes {
    /// Begins at the start of a record.
    pub fn new(separator: u8) -> Self {
        Self { separator, state: State::Start, field: 0, text_after_quote: None, blank_before_quote: None }
    }

    /// Processes the next bytes of the record.
    pub fn advance(&mut self, bytes: &[u8]) {
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
                self.blank_before_quote.get_or_insert(self.field);
                State::Bare
            }
            (State::Start | State::Blank | State::Bare, _) => State::Bare,
            (State::Closed | State::After, _) if blank => State::After,
            (State::Closed | State::After, _) => {
                self.text_after_quote.get_or_insert(self.field);
                State::Bare
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misplaced_quotation_marks_are_found() {
        for (record, text_after_quote, blank_before_quote) in [
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
                record.as_bytes().chunks(step).for_each(|bytes| quotes.advance(bytes));
                assert_eq!(
                    (quotes.text_after_quote, quotes.blank_before_quote),
                    (text_after_quote, blank_before_quote),
                    "{record}"
                );
            }
        }
    }
}
