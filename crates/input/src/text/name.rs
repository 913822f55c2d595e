//! The normal form in which names are compared, so that names that look the same are equal.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The form in which names (ids, patients, labels, columns, paths) are compared. It is in NFC, so that an accented letter is
/// the same as one or as two characters (Unicode, UAX 15), and it has no blanks and invisible characters at its ends.
///
/// Names are stored as they were written. This form is only used to compare them.
///
/// ```
/// use ptu_input::text::name_key;
///
/// assert_eq!(name_key("Mu\u{308}ller"), name_key("\u{feff}M\u{fc}ller "));
/// assert_ne!(name_key("muller"), name_key("Muller"));
/// ```
pub fn name_key(name: &str) -> Cow<'_, str> {
    let name = name.trim_matches(is_invisible);
    if is_nfc(name) { Cow::Borrowed(name) } else { Cow::Owned(name.nfc().collect()) }
}

/// Whether a character is invisible at the end of a word: blanks, control characters, byte order and direction marks, fillers.
fn is_invisible(character: char) -> bool {
    let invisible = matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    invisible || character.is_whitespace() || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_are_equal() {
        // Composed and decomposed forms of UAX 15, table 1 and figures 3 to 5.
        for (one, other) in [
            ("\u{c5}", "A\u{30a}"),
            ("\u{212b}", "A\u{30a}"),
            ("\u{f4}", "o\u{302}"),
            ("\u{1e9b}\u{323}", "\u{17f}\u{323}\u{307}"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
            ("p1", "\u{feff}\u{200b}p1\u{a0}\u{200d}\t"),
        ] {
            assert_eq!(name_key(one), name_key(other), "{one:?}");
            assert_eq!(name_key(&name_key(other)), name_key(other), "{other:?}");
        }
        // Names differ by a ligature, by case, and by invisible characters within a word.
        for (one, other) in [("\u{fb01}", "fi"), ("A", "a"), ("a\u{200d}b", "ab"), ("p 1", "p1")] {
            assert_ne!(name_key(one), name_key(other), "{one:?}");
        }
        assert!(matches!(name_key("plain"), Cow::Borrowed("plain")));
        assert_eq!(name_key(" \u{200b} "), "");
    }
}
