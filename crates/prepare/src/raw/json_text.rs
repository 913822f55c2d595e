//! One JSON object with its values as they are written.
//!
//! `serde_json` gives numbers by way of a float, so that long ones and `1.10` change, unless a feature is on that changes them for
//! every crate that uses it; and it refuses `NaN`, which Python's `json` writes. Strings are read by it.

use std::borrow::Cow;

use super::row::Bad;

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written<'t> {
    /// `null`.
    Missing,
    /// `NaN`: a number that is missing.
    NaN,
    /// A string.
    Text(Cow<'t, str>),
    /// A number, `true`, `false` or `Infinity`, letter by letter.
    Plain(&'t str),
    /// A list.
    List(Vec<Written<'t>>),
    /// An object, or a list with objects or lists in it, letter by letter.
    Nested(&'t str),
}

/// Names and values of an object, in their order.
pub type Fields<'t> = Vec<(Cow<'t, str>, Written<'t>)>;

/// A row of a file and where it stands, or why it is none.
pub type Numbered<'t> = (u64, Result<Fields<'t>, Bad>);

/// Why a text is no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Words that go on from "it".
    cause: String,
    /// What to do about it, where it is known.
    cure: Option<&'static str>,
}

impl Fault {
    fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), cure: None }
    }

    fn cure(self, cure: &'static str) -> Self {
        Self { cure: Some(cure), ..self }
    }

    /// Cause and cure, which is `otherwise` where no better is known, as words that go on from "it".
    pub fn told(&self, otherwise: &str) -> String {
        format!("{}; {}", self.cause, self.cure.unwrap_or(otherwise))
    }
}

/// Reads an object; nothing but white space may stand around it.
///
/// # Errors
/// When it is none, or has a name twice.
pub fn object(text: &str) -> Result<Fields<'_>, Fault> {
    let mut reader = Reader { text, at: 0 };
    if reader.peek() != Some(b'{') {
        return Err(Fault::new("is no JSON object"));
    }
    let fields = reader.object()?;
    match reader.peek() {
        None => Ok(fields),
        Some(b',') => Err(reader.wrong("nothing may follow the object").cure("remove the comma")),
        Some(_) => Err(reader.wrong("nothing may follow the object")),
    }
}

/// Names of an object and how its values begin, as far as the text goes; for a message about what is no row.
pub fn outline(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut reader = Reader { text, at: 0 };
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

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    /// The next character that is no white space; it is read next.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> Result<(), Fault> {
        match self.peek() {
            Some(found) if found == wanted => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.wrong(&format!("`{}` is wanted", char::from(wanted)))),
        }
    }

    /// What is wrong at the place that is read next.
    fn wrong(&self, cause: &str) -> Fault {
        match self.text[self.at..].trim_end().is_empty() {
            true => Fault::new("is no JSON: it ends too early"),
            false => {
                let place = self.text[..self.at].chars().count() + 1;
                Fault::new(format!("is no JSON: {cause} at character {place}"))
            }
        }
    }

    /// [`Reader::wrong`] where something is lacking: what stands there often tells what to do.
    fn lacking(&self, wanted: &str) -> Fault {
        let rest = &self.text[self.at..];
        let fault = self.wrong(wanted);
        let words = [
            (&["'", "\u{201c}", "\u{201d}"][..], "write names and strings between plain `\"`"),
            (&["True"], "write `true`"),
            (&["False"], "write `false`"),
            (&["None", "nan", "NULL", "undefined", "NA"], "write `null`"),
        ];
        let cure = words.into_iter().find(|(words, _)| words.iter().any(|word| rest.starts_with(word)));
        let comma = self.text[..self.at].trim_end().ends_with(',') && rest.starts_with(['}', ']']);
        match cure {
            _ if comma => fault.cure("remove the comma before it"),
            Some((_, cure)) => fault.cure(cure),
            None => fault,
        }
    }

    fn object(&mut self) -> Result<Fields<'t>, Fault> {
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
                _ => return Err(self.wrong("`,` or `}` is wanted")),
            }
        }
        self.at += 1;
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                let cause = format!("has `{}` twice", ptu_data::shortened(pair[0], 40));
                Err(Fault::new(cause).cure("rename one"))
            }
            None => Ok(fields),
        }
    }

    /// A value; of a list its items where it is `outer`.
    fn value(&mut self, outer: bool) -> Result<Written<'t>, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(Written::Text),
            Some(b'[') if outer => self.list(),
            Some(b'[' | b'{') => {
                let begin = self.at;
                self.nested()?;
                Ok(Written::Nested(&self.text[begin..self.at]))
            }
            _ => self.word(),
        }
    }

    fn list(&mut self) -> Result<Written<'t>, Fault> {
        let (mut items, begin) = (vec![], self.at);
        self.take(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Written::List(items));
        }
        loop {
            items.push(self.value(false)?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.wrong("`,` or `]` is wanted")),
            }
        }
        self.at += 1;
        match items.iter().any(|item| matches!(item, Written::Nested(_))) {
            true => Ok(Written::Nested(&self.text[begin..self.at])),
            false => Ok(Written::List(items)),
        }
    }

    /// Passes over an object or a list, however deep.
    fn nested(&mut self) -> Result<(), Fault> {
        let (begin, mut extent) = (self.at, Extent::default());
        for (count, byte) in self.text.as_bytes()[begin..].iter().enumerate() {
            if extent.pass(*byte) {
                self.at = begin + count + 1;
                return Ok(());
            }
        }
        self.at = self.text.len();
        Err(self.wrong(""))
    }

    fn string(&mut self) -> Result<Cow<'t, str>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.lacking("a string is wanted"));
        }
        let (begin, mut escaped) = (self.at, false);
        for (count, byte) in self.text.as_bytes()[begin..].iter().enumerate().skip(1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    let written = &self.text[begin..=begin + count];
                    let read = serde_json::from_str::<Borrowed<'t>>(written);
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

    fn word(&mut self) -> Result<Written<'t>, Fault> {
        let rest = &self.text[self.at..];
        let end = rest.find(|one: char| !(one.is_ascii_alphanumeric() || matches!(one, '+' | '-' | '.')));
        let word = &rest[..end.unwrap_or(rest.len())];
        let value = match word {
            "null" => Written::Missing,
            "NaN" => Written::NaN,
            "true" | "false" | "Infinity" | "-Infinity" => Written::Plain(word),
            number if is_number(number) => Written::Plain(number),
            _ => return Err(self.lacking("a value is wanted")),
        };
        self.at += word.len();
        Ok(value)
    }
}

/// A string, which is only copied where it has escapes.
#[derive(serde::Deserialize)]
struct Borrowed<'t>(#[serde(borrow)] Cow<'t, str>);

/// Whether a word is a number by the grammar of JSON.
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

/// Finds the end of an object or list without reading it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

impl Extent {
    /// Passes over its next byte; whether that was its last.
    pub fn pass(&mut self, byte: u8) -> bool {
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

    /// Whether a string is open.
    pub fn in_string(&self) -> bool {
        self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Written<'_> {
        Written::Text(text.into())
    }

    #[test]
    fn values_stay_as_they_are_written() {
        let numbers =
            ["100000000000000000001", "1.10", "1e5", "-0", "0.30000000000000004", "1E-7", "-12.5e+300", "1e999"];
        for number in numbers {
            let line = format!("{{\"a\":{number}, \"b\" : [ {number} ,true]}}\r");
            let wanted = vec![
                ("a".into(), Written::Plain(number)),
                ("b".into(), Written::List(vec![Written::Plain(number), Written::Plain("true")])),
            ];
            assert_eq!(object(&line).unwrap(), wanted);
        }
        let line =
            r#" {"x":NaN,"y":null,"z":-Infinity,"s":"a\u00e4\n\"{[","e":"","t":"NaN","l":["a",NaN,null],"n":[]} "#;
        let wanted = [
            ("x", Written::NaN),
            ("y", Written::Missing),
            ("z", Written::Plain("-Infinity")),
            ("s", text("aä\n\"{[")),
            ("e", text("")),
            ("t", text("NaN")),
            ("l", Written::List(vec![text("a"), Written::NaN, Written::Missing])),
            ("n", Written::List(vec![])),
        ];
        assert_eq!(object(line).unwrap(), wanted.map(|(name, value)| (Cow::from(name), value)));
        assert_eq!(object("{}").unwrap(), []);
    }

    #[test]
    fn nested_values_are_passed_over_however_deep() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        for nested in ["{\"x\": \"}\\\"]\"}", "[[1], 2]", "[\"]\", {}]", "{\"v\": [NaN, {\"w\": []}]}", &deep] {
            let line = format!("{{\"a\": {nested}, \"b\": 1}}");
            let wanted = [("a".into(), Written::Nested(nested)), ("b".into(), Written::Plain("1"))];
            assert_eq!(object(&line).unwrap(), wanted);
        }
    }

    #[test]
    fn what_is_no_object_is_told() {
        for (line, part) in [
            ("image,text", "is no JSON object; write a row"),
            ("[1, 2]", "is no JSON object; write a row"),
            ("{\"a\": ", "ends too early"),
            ("{\"a\": \"open", "ends too early"),
            ("{\"a\": {\"b\": [1}", "ends too early"),
            ("{\"a\": 1", "ends too early"),
            ("{\"a\" 1}", "`:` is wanted at character 6"),
            ("{\"ä\": 1 2}", "`,` or `}` is wanted at character 9"),
            ("{\"a\": [1 2]}", "`,` or `]` is wanted"),
            ("{\"a\": 1},", "nothing may follow the object at character 9; remove the comma"),
            ("{\"a\": 1}}", "nothing may follow the object at character 9"),
            ("{\"a\": 1, }", "a string is wanted at character 10; remove the comma before it"),
            ("{\"a\": [1,]}", "a value is wanted at character 10; remove the comma before it"),
            ("{a: 1}", "a string is wanted at character 2; write a row"),
            ("{'a': 1}", "a string is wanted at character 2; write names and strings between plain `\"`"),
            ("{\"a\": 'b'}", "a value is wanted at character 7; write names and strings between plain `\"`"),
            ("{\"a\": True}", "; write `true`"),
            ("{\"a\": [1, False]}", "; write `false`"),
            ("{\"a\": None}", "; write `null`"),
            ("{\"a\": \"\\ud83d\"}", "the string is wrong"),
            ("{\"a\": \"b\tc\"}", "the string is wrong"),
            ("{\"a\": 1, \"b\": 2, \"a\": 3}", "has `a` twice; rename one"),
        ] {
            let fault = object(line).unwrap_err().told("write a row");
            assert!(fault.contains(part), "{line}: {fault}");
        }
        for number in ["01", "1.", ".5", "+1", "1e", "--1", "1e5.0", "0x10", "nan", "NULL", "1_000", ""] {
            assert!(
                object(&format!("{{\"a\": {number}}}")).unwrap_err().told("write a row").contains("is wanted"),
                "{number}"
            );
        }
    }

    #[test]
    fn an_outline_shows_what_an_object_holds() {
        let names = |text: &str| -> Vec<String> {
            let begin = |(name, begin): (String, Vec<u8>)| format!("{name} {}", String::from_utf8(begin).unwrap());
            outline(text).into_iter().map(begin).collect()
        };
        assert_eq!(names("{\"train\": [ {\"a\": 1}], \"val\": [], \"n\": 1}"), ["train [{", "val []", "n 1}"]);
        assert_eq!(names("\n{\"image\": {\"0\": \"a.p"), ["image {\""]);
        assert_eq!(names("[1]").len() + names("{").len() + names("").len() + names("{\"a\"").len(), 0);
    }
}
