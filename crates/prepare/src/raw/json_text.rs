//! Reads one JSON object and keeps its values as they are written.
//!
//! `serde_json` converts numbers to floats, which changes long numbers and numbers such as `1.10`. It has a feature that avoids
//! this, but the feature would apply to every crate that uses `serde_json`. It also refuses `NaN`, which Python's `json` writes.
//! So only strings are read with `serde_json`.

use std::borrow::Cow;

use super::row::RowError;

/// The value of a field, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonValue<'t> {
    /// `null`.
    Missing,
    /// `NaN`, which is how a missing number is written.
    NaN,
    /// A string.
    Text(Cow<'t, str>),
    /// A number, `true`, `false` or `Infinity`, exactly as it is written.
    Plain(&'t str),
    /// A list of values that are not nested.
    List(Vec<JsonValue<'t>>),
    /// An object, or a list that contains objects or lists, exactly as it is written.
    Nested(&'t str),
}

/// The names and values of an object, in their order.
pub type Fields<'t> = Vec<(Cow<'t, str>, JsonValue<'t>)>;

/// The number of a row, and its fields or the reason why it cannot be read.
pub type NumberedFields<'t> = (u64, Result<Fields<'t>, RowError>);

/// Why a text is not a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The cause, as words that follow "it".
    cause: String,
    /// What to do, if this is known.
    cure: Option<&'static str>,
}

impl JsonError {
    fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), cure: None }
    }

    fn with_cure(self, cure: &'static str) -> Self {
        Self { cure: Some(cure), ..self }
    }

    /// The cause and what to do, as words that follow "it". If nothing better is known, `otherwise` says what to do.
    pub fn message(&self, otherwise: &str) -> String {
        format!("{}; {}", self.cause, self.cure.unwrap_or(otherwise))
    }
}

/// Reads an object; only white space may be around it.
///
/// # Errors
/// When the text is not an object, or when a name occurs twice.
pub fn object(text: &str) -> Result<Fields<'_>, JsonError> {
    let mut reader = JsonReader { text, at: 0 };
    if reader.peek() != Some(b'{') {
        return Err(JsonError::new("is not a JSON object"));
    }
    let fields = reader.object()?;
    match reader.peek() {
        None => Ok(fields),
        Some(b',') => Err(reader.wrong("nothing may follow the object").with_cure("remove the comma")),
        Some(_) => Err(reader.wrong("nothing may follow the object")),
    }
}

/// The names of an object and the first two characters of each value, up to the end or the first error of the text; for messages
/// about objects that are not rows.
pub fn outline(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut reader = JsonReader { text, at: 0 };
    let mut found = vec![];
    if reader.peek() != Some(b'{') {
        return found;
    }
    reader.at += 1;
    while reader.peek() == Some(b'"') {
        let Ok(name) = reader.string() else { break };
        if reader.take(b':').is_err() || reader.peek().is_none() {
            break;
        }
        let begin = text.as_bytes()[reader.at..].iter().filter(|byte| !byte.is_ascii_whitespace());
        found.push((name.into_owned(), begin.take(2).copied().collect()));
        if reader.value(true).is_err() || reader.take(b',').is_err() {
            break;
        }
    }
    found
}

/// Reads JSON from a text at a position.
struct JsonReader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> JsonReader<'t> {
    /// Skips white space and returns the next byte without reading it.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, expected: u8) -> Result<(), JsonError> {
        match self.peek() {
            Some(found) if found == expected => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.wrong(&format!("`{}` is expected", char::from(expected)))),
        }
    }

    /// The error that `cause` is wrong at the current position.
    fn wrong(&self, cause: &str) -> JsonError {
        match self.text[self.at..].trim_end().is_empty() {
            true => JsonError::new("is not valid JSON: it ends too early"),
            false => {
                let place = self.text[..self.at].chars().count() + 1;
                JsonError::new(format!("is not valid JSON: {cause} at character {place}"))
            }
        }
    }

    /// Like [`JsonReader::wrong`], for something that is missing here. The text at this position often shows what to do.
    fn missing(&self, cause: &str) -> JsonError {
        let rest = &self.text[self.at..];
        let error = self.wrong(cause);
        let words = [
            (&["'", "\u{201c}", "\u{201d}"][..], "write names and strings between plain `\"`"),
            (&["True"], "write `true`"),
            (&["False"], "write `false`"),
            (&["None", "nan", "NULL", "undefined", "NA"], "write `null`"),
        ];
        let cure = words.into_iter().find(|(words, _)| words.iter().any(|word| rest.starts_with(word)));
        let comma = self.text[..self.at].trim_end().ends_with(',') && rest.starts_with(['}', ']']);
        match cure {
            _ if comma => error.with_cure("remove the comma before it"),
            Some((_, cure)) => error.with_cure(cure),
            None => error,
        }
    }

    fn object(&mut self) -> Result<Fields<'t>, JsonError> {
        let mut fields: Fields<'t> = vec![];
        self.take(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(fields);
        }
        loop {
            let name = self.string()?;
            self.take(b':')?;
            let value = self.value(true)?;
            fields.push((name, value));
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.wrong("`,` or `}` is expected")),
            }
        }
        self.at += 1;
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                let cause = format!("has `{}` twice", ptu_data::shortened(pair[0], 40));
                Err(JsonError::new(cause).with_cure("rename one"))
            }
            None => Ok(fields),
        }
    }

    /// A value. If `outer` is true, a list is read with its items; a list inside another value is kept as text.
    fn value(&mut self, outer: bool) -> Result<JsonValue<'t>, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(JsonValue::Text),
            Some(b'[') if outer => self.list(),
            Some(b'[' | b'{') => {
                let begin = self.at;
                self.nested()?;
                Ok(JsonValue::Nested(&self.text[begin..self.at]))
            }
            _ => self.word(),
        }
    }

    fn list(&mut self) -> Result<JsonValue<'t>, JsonError> {
        let (mut items, begin) = (vec![], self.at);
        self.take(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(JsonValue::List(items));
        }
        loop {
            items.push(self.value(false)?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.wrong("`,` or `]` is expected")),
            }
        }
        self.at += 1;
        match items.iter().any(|item| matches!(item, JsonValue::Nested(_))) {
            true => Ok(JsonValue::Nested(&self.text[begin..self.at])),
            false => Ok(JsonValue::List(items)),
        }
    }

    /// Skips an object or a list, without a limit for its depth.
    fn nested(&mut self) -> Result<(), JsonError> {
        let (begin, mut scanner) = (self.at, NestingScanner::default());
        for (count, byte) in self.text.as_bytes()[begin..].iter().enumerate() {
            if scanner.advance(*byte) {
                self.at = begin + count + 1;
                return Ok(());
            }
        }
        self.at = self.text.len();
        Err(self.wrong(""))
    }

    fn string(&mut self) -> Result<Cow<'t, str>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.missing("a string is expected"));
        }
        let (begin, mut escaped) = (self.at, false);
        for (count, byte) in self.text.as_bytes()[begin..].iter().enumerate().skip(1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    let written = &self.text[begin..=begin + count];
                    let read = serde_json::from_str::<BorrowedString<'t>>(written);
                    let read = read.map_err(|error| self.wrong(&format!("the string is wrong ({error})")))?;
                    self.at = begin + count + 1;
                    return Ok(read.0);
                }
                _ => {}
            }
        }
        self.at = self.text.len();
        Err(self.wrong(""))
    }

    fn word(&mut self) -> Result<JsonValue<'t>, JsonError> {
        let rest = &self.text[self.at..];
        let end = rest.find(|one: char| !(one.is_ascii_alphanumeric() || matches!(one, '+' | '-' | '.')));
        let word = &rest[..end.unwrap_or(rest.len())];
        let value = match word {
            "null" => JsonValue::Missing,
            "NaN" => JsonValue::NaN,
            "true" | "false" | "Infinity" | "-Infinity" => JsonValue::Plain(word),
            number if is_number(number) => JsonValue::Plain(number),
            _ => return Err(self.missing("a value is expected")),
        };
        self.at += word.len();
        Ok(value)
    }
}

/// A string that is only copied if it has escape sequences.
#[derive(serde::Deserialize)]
struct BorrowedString<'t>(#[serde(borrow)] Cow<'t, str>);

/// Whether a word is a number according to the grammar of JSON.
fn is_number(word: &str) -> bool {
    let word = word.strip_prefix('-').unwrap_or(word);
    let digits = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let (base, exponent) = match word.split_once(['e', 'E']) {
        Some((base, exponent)) => (base, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (word, None),
    };
    let (whole, fraction) = match base.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (base, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

/// Finds the end of an object or a list without reading its values.
#[derive(Clone, Copy, Debug, Default)]
pub struct NestingScanner {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

impl NestingScanner {
    /// Processes the next byte; returns true if it is the last byte of the object or list.
    pub fn advance(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    /// Whether the current position is inside a string.
    pub fn in_string(&self) -> bool {
        self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> JsonValue<'_> {
        JsonValue::Text(text.into())
    }

    #[test]
    fn values_stay_as_they_are_written() {
        let numbers =
            ["100000000000000000001", "1.10", "1e5", "-0", "0.30000000000000004", "1E-7", "-12.5e+300", "1e999"];
        for number in numbers {
            let line = format!("{{\"a\":{number}, \"b\" : [ {number} ,true]}}\r");
            let wanted = vec![
                ("a".into(), JsonValue::Plain(number)),
                ("b".into(), JsonValue::List(vec![JsonValue::Plain(number), JsonValue::Plain("true")])),
            ];
            assert_eq!(object(&line).unwrap(), wanted);
        }
        let line =
            r#" {"x":NaN,"y":null,"z":-Infinity,"s":"a\u00e4\n\"{[","e":"","t":"NaN","l":["a",NaN,null],"n":[]} "#;
        let wanted = [
            ("x", JsonValue::NaN),
            ("y", JsonValue::Missing),
            ("z", JsonValue::Plain("-Infinity")),
            ("s", text("aä\n\"{[")),
            ("e", text("")),
            ("t", text("NaN")),
            ("l", JsonValue::List(vec![text("a"), JsonValue::NaN, JsonValue::Missing])),
            ("n", JsonValue::List(vec![])),
        ];
        assert_eq!(object(line).unwrap(), wanted.map(|(name, value)| (Cow::from(name), value)));
        assert_eq!(object("{}").unwrap(), []);
    }

    #[test]
    fn nested_values_of_any_depth_are_kept_as_text() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        for nested in ["{\"x\": \"}\\\"]\"}", "[[1], 2]", "[\"]\", {}]", "{\"v\": [NaN, {\"w\": []}]}", &deep] {
            let line = format!("{{\"a\": {nested}, \"b\": 1}}");
            let wanted = [("a".into(), JsonValue::Nested(nested)), ("b".into(), JsonValue::Plain("1"))];
            assert_eq!(object(&line).unwrap(), wanted);
        }
    }

    #[test]
    fn errors_say_what_is_wrong_and_what_to_do() {
        for (line, part) in [
            ("image,text", "is not a JSON object; write a row"),
            ("[1, 2]", "is not a JSON object; write a row"),
            ("{\"a\": ", "ends too early"),
            ("{\"a\": \"open", "ends too early"),
            ("{\"a\": {\"b\": [1}", "ends too early"),
            ("{\"a\": 1", "ends too early"),
            ("{\"a\" 1}", "`:` is expected at character 6"),
            ("{\"ä\": 1 2}", "`,` or `}` is expected at character 9"),
            ("{\"a\": [1 2]}", "`,` or `]` is expected"),
            ("{\"a\": 1},", "nothing may follow the object at character 9; remove the comma"),
            ("{\"a\": 1}}", "nothing may follow the object at character 9"),
            ("{\"a\": 1, }", "a string is expected at character 10; remove the comma before it"),
            ("{\"a\": [1,]}", "a value is expected at character 10; remove the comma before it"),
            ("{a: 1}", "a string is expected at character 2; write a row"),
            ("{'a': 1}", "a string is expected at character 2; write names and strings between plain `\"`"),
            ("{\"a\": 'b'}", "a value is expected at character 7; write names and strings between plain `\"`"),
            ("{\"a\": True}", "; write `true`"),
            ("{\"a\": [1, False]}", "; write `false`"),
            ("{\"a\": None}", "; write `null`"),
            ("{\"a\": \"\\ud83d\"}", "the string is wrong"),
            ("{\"a\": \"b\tc\"}", "the string is wrong"),
            ("{\"a\": 1, \"b\": 2, \"a\": 3}", "has `a` twice; rename one"),
        ] {
            let error = object(line).unwrap_err().message("write a row");
            assert!(error.contains(part), "{line}: {error}");
        }
        for number in ["01", "1.", ".5", "+1", "1e", "--1", "1e5.0", "0x10", "nan", "NULL", "1_000", ""] {
            assert!(
                object(&format!("{{\"a\": {number}}}")).unwrap_err().message("write a row").contains("is expected"),
                "{number}"
            );
        }
    }

    #[test]
    fn an_outline_has_the_names_and_the_beginnings_of_values() {
        let names = |text: &str| -> Vec<String> {
            let begin = |(name, begin): (String, Vec<u8>)| format!("{name} {}", String::from_utf8(begin).unwrap());
            outline(text).into_iter().map(begin).collect()
        };
        assert_eq!(names("{\"train\": [ {\"a\": 1}], \"val\": [], \"n\": 1}"), ["train [{", "val []", "n 1}"]);
        assert_eq!(names("\n{\"image\": {\"0\": \"a.p"), ["image {\""]);
        assert_eq!(names("[1]").len() + names("{").len() + names("").len() + names("{\"a\"").len(), 0);
    }
}
