//! Quoting of arguments in commands that are printed for the user to copy.

use std::path::Path;

/// Quotes a word for a POSIX shell: unchanged if it has no special characters, else in single quotation marks.
pub fn word(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@%+".contains(letter);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// Quotes a path. A path that begins with `-` gets `./` in front, so that it is not read as an option.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    word(&if text.starts_with('-') { format!("./{text}") } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_stays_one_word() {
        for (text, expected) in [
            ("runs/own", "runs/own"),
            ("my runs", "'my runs'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("$HOME;rm", "'$HOME;rm'"),
            ("gr\u{f6}\u{df}e", "'gr\u{f6}\u{df}e'"),
        ] {
            assert_eq!(word(text), expected);
        }
        assert_eq!(quoted(Path::new("-x")), "./-x");
    }
}
