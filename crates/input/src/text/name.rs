//! Names that people take for the same.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A name in the form in which names (ids, patients, labels, columns, paths) are compared: NFC, so that a letter with its accent in
/// one or in two characters is the same (Unicode, UAX 15), and without the blanks and invisible marks around it.
///
/// Names are kept as they are written; only whether two are the same is asked of this form.
///
/// ```
/// use ptu_input::text::name_key;
///
/// assert_eq!(name_key("Mu\u{308}ller"), name_key("\u{feff}M\u{fc}ller "));
/// assert_ne!(name_key("muller"), name_key("Muller"));
/// ```
pub fn name_key(name: &str) -> Cow<'_, str> {
    let name = name.trim_matches(unseen);
    if is_nfc(name) { Cow::Borrowed(name) } else { Cow::Owned(name.nfc().collect()) }
}

/// Whether nothing of a character is seen at the edge of a word: blanks, controls, marks of order and of direction, fillers.
fn unseen(mark: char) -> bool {
    let invisible = matches!(
        mark,
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
    invisible || mark.is_whitespace() || mark.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_as_people_see_them() {
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
        // A ligature, case, and marks within a word tell names apart.
        for (one, other) in [("\u{fb01}", "fi"), ("A", "a"), ("a\u{200d}b", "ab"), ("p 1", "p1")] {
            assert_ne!(name_key(one), name_key(other), "{one:?}");
        }
        assert!(matches!(name_key("plain"), Cow::Borrowed("plain")));
        assert_eq!(name_key(" \u{200b} "), "");
    }
}
