//! Words of a command that is printed to be copied.

use std::path::Path;

/// A word as a POSIX shell reads it: as it is where it holds nothing special, else in single quotation marks.
pub fn word(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@%+".contains(letter);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// A path as a word; one that begins with `-` could be taken for an option, so it begins with `./`.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    word(&if text.starts_with('-') { format!("./{text}") } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        for (text, due) in [
            ("runs/own", "runs/own"),
            ("my runs", "'my runs'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("$HOME;rm", "'$HOME;rm'"),
            ("gr\u{f6}\u{df}e", "'gr\u{f6}\u{df}e'"),
        ] {
            assert_eq!(word(text), due);
        }
        assert_eq!(quoted(Path::new("-x")), "./-x");
    }
}
