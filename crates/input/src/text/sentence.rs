//! Splitting of report texts into sentences, and the normal form in which texts are compared.

/// Abbreviations: a full stop after them is not the end of a sentence.
const ABBREVIATIONS: [&str; 23] = [
    "dr", "drs", "mr", "mrs", "ms", "prof", "st", "vs", "approx", "fig", "figs", "ref", "refs", "cf", "resp", "incl",
    "ca", "e.g", "i.e", "eg", "ie", "viz", "al",
];

/// Abbreviations before numbers ("no. 3", "vol. 2"): a full stop after them is not the end of a sentence if a number follows.
const BEFORE_NUMBERS: [&str; 7] = ["no", "nos", "vol", "p", "pp", "ser", "im"];

/// A line of at least this many characters was probably broken at a page margin, and its sentence continues.
const WRAPPED: usize = 50;

/// The sentences of a text, trimmed, in order; none is empty or without a letter or digit.
///
/// `.`, `!` and `?` end a sentence when white space follows, unless the stop belongs to an abbreviation ("Dr. Smith", "e.g.",
/// "approx."), an initial, or the number of a list item ("1. No effusion."). Blank lines end one; so does a line break,
/// unless the sentence continues on the next line (it starts in lower case, or the line was as long as a page margin allows).
/// In that case the sentence contains the line break.
pub fn sentences(text: &str) -> Vec<&str> {
    let (mut parts, mut start) = (vec![], 0);
    for (at, letter) in text.char_indices() {
        let end = at + letter.len_utf8();
        let ends = match letter {
            '.' | '!' | '?' => stop_ends(text, start, at, end),
            '\n' => line_ends(text, start, at, end),
            _ => false,
        };
        if ends {
            // Closing quotes and brackets belong to the sentence before.
            let closed = end + text[end..].len() - text[end..].trim_start_matches(CLOSING).len();
            parts.push(&text[start.min(closed)..closed]);
            start = closed;
        }
    }
    parts.push(&text[start.min(text.len())..]);
    parts.into_iter().map(str::trim).filter(|sentence| sentence.contains(char::is_alphanumeric)).collect()
}

const CLOSING: [char; 7] = ['"', '\'', ')', ']', '}', '\u{201d}', '\u{2019}'];

/// Whether the stop in `at..end` ends the sentence that began at `start`.
fn stop_ends(text: &str, start: usize, at: usize, end: usize) -> bool {
    if at < start {
        return false;
    }
    let after = text[end..].trim_start_matches(CLOSING);
    if after.chars().next().is_some_and(|next| !next.is_whitespace()) {
        return false;
    }
    if !text[at..end].starts_with('.') {
        return true;
    }
    let next = after.trim_start().chars().next();
    // "(approx. 1 in.) is seen": the stop ends the text in brackets or quotes, but not the sentence around it.
    if after.len() < text.len() - end && next.is_some_and(char::is_lowercase) {
        return false;
    }
    let before = &text[start..at];
    let word = before.rsplit(|letter: char| letter.is_whitespace() || "([\"'/".contains(letter)).next().unwrap_or("");
    let lower = word.to_lowercase();
    let starts = before.trim_start().len() == word.len();
    // "2." at the start of a sentence is the number of a list item, and its text follows.
    if starts && !word.is_empty() && word.len() <= 3 && word.chars().all(|letter| letter.is_ascii_digit()) {
        return next.is_none();
    }
    if ABBREVIATIONS.contains(&lower.as_str()) {
        return next.is_none();
    }
    if BEFORE_NUMBERS.contains(&lower.as_str()) {
        return !next.is_some_and(|next| next.is_ascii_digit());
    }
    if word.chars().count() == 1 && word.chars().all(char::is_uppercase) {
        let previous = before[..before.len() - word.len()].trim_end().rsplit(char::is_whitespace).next().unwrap_or("");
        return !(next.is_some_and(char::is_uppercase) && may_precede_name(previous));
    }
    // "U.S.", "p.m.", "b.i.d.": single letters with stops between them end a sentence only before a capital letter.
    if word.contains('.')
        && word.split('.').all(|part| part.chars().count() == 1 && !part.starts_with(char::is_numeric))
    {
        return next.is_none_or(char::is_uppercase);
    }
    true
}

/// Whether a single letter after this word is an initial ("by J. Smith", "Mary J. Smith", "Dr. J. Smith", and where a
/// sentence begins), not a name of its own ("vitamin C.").
fn may_precede_name(word: &str) -> bool {
    word.is_empty()
        || word.ends_with('.')
        || word.starts_with(char::is_uppercase)
        || ["by", "with", "to", "and", "from", "per"].contains(&word)
}

/// Whether the line break in `at..end` ends the sentence that began at `start`.
fn line_ends(text: &str, start: usize, at: usize, end: usize) -> bool {
    if at < start {
        return false;
    }
    let (sentence, next_line) = (text[start..at].trim(), text[end..].lines().next().unwrap_or("").trim());
    if sentence.is_empty() || next_line.is_empty() || is_item(next_line) || sentence.ends_with(':') {
        return true;
    }
    let line = sentence.rsplit('\n').next().unwrap_or("");
    // A full stop at the end of the line belongs to an abbreviation; otherwise the sentence would have ended there.
    let continues =
        sentence.ends_with('.') || next_line.starts_with(char::is_lowercase) || line.chars().count() >= WRAPPED;
    !continues
}

/// Whether a line is an item of a list: "1. ", "2) ", "- ", "* ", "\u{2022} ".
fn is_item(line: &str) -> bool {
    let rest = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let numbered = rest.len() < line.len() && line.len() - rest.len() <= 3 && rest.starts_with(['.', ')']);
    let marked = line.starts_with(['-', '*', '\u{2022}']);
    (numbered && rest[1..].starts_with(char::is_whitespace)) || (marked && line.chars().nth(1) == Some(' '))
}

/// The text in lower case, trimmed, with each run of white space replaced by one space.
pub fn normalised(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !all.is_empty() {
            all.push(' ');
        }
        all.push_str(&word.to_lowercase());
    }
    all
}

/// A 64-bit hash of the [`normalised`] text: equal texts have equal hashes.
pub fn text_hash(text: &str) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(normalised(text).as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_split_at_full_stops() {
        let text = "The heart is enlarged. No pneumothorax! Is there an effusion? no acute disease. See above.";
        let expected =
            ["The heart is enlarged.", "No pneumothorax!", "Is there an effusion?", "no acute disease.", "See above."];
        assert_eq!(sentences(text), expected);
    }

    #[test]
    fn stops_within_a_sentence_do_not_split_it() {
        for whole in [
            "Dr. Smith was told by J. R. Miller at 5 p.m. on the phone.",
            "A nodule of 2.5 cm (approx. 1 in.) is seen, e.g. in Fig. 3.",
            "Discussed with A. Jones, i.e. the resident.",
            "Compared with image no. 3 of St. Mary's hospital vs. the prior study",
            "1. No effusion.",
            "Smith et al. found 3.5 mm.",
        ] {
            assert_eq!(sentences(whole), [whole]);
        }
    }

    #[test]
    fn similar_stops_do_split() {
        assert_eq!(
            sentences("The nodule measures 5. The heart is normal."),
            ["The nodule measures 5.", "The heart is normal."]
        );
        assert_eq!(
            sentences("Is it enlarged? No. The heart is normal."),
            ["Is it enlarged?", "No.", "The heart is normal."]
        );
        assert_eq!(sentences("It is hepatitis C. The liver is large."), ["It is hepatitis C.", "The liver is large."]);
        assert_eq!(sentences("Seen at 5 p.m. The line is in place."), ["Seen at 5 p.m.", "The line is in place."]);
        assert_eq!(sentences("(Normal.) \u{201c}Fine.\u{201d} Good"), ["(Normal.)", "\u{201c}Fine.\u{201d}", "Good"]);
    }

    #[test]
    fn list_items_stay_whole() {
        let text = "IMPRESSION:\n1. No effusion. 2. Heart of normal size.\n3. Stable\n- old fracture\n* tube";
        let expected =
            ["IMPRESSION:", "1. No effusion.", "2. Heart of normal size.", "3. Stable", "- old fracture", "* tube"];
        assert_eq!(sentences(text), expected);
    }

    #[test]
    fn lines_and_paragraphs() {
        assert_eq!(sentences("No effusion\n\nseen today"), ["No effusion", "seen today"]);
        assert_eq!(sentences("FINDINGS\nLungs are clear"), ["FINDINGS", "Lungs are clear"]);
        assert_eq!(
            sentences("There is no focal\n consolidation. Fine."),
            ["There is no focal\n consolidation.", "Fine."]
        );
        let wrapped = "There is a small opacity projecting over the level of the\nT4 vertebral body.";
        assert_eq!(sentences(wrapped), [wrapped]);
        assert_eq!(sentences("Seen by Dr.\nSmith."), ["Seen by Dr.\nSmith."]);
        assert_eq!(sentences("Clear.\r\n\r\nNormal.\r\n"), ["Clear.", "Normal."]);
    }

    #[test]
    fn a_text_without_letters_has_no_sentences() {
        for text in ["", " \n\t ", "...", "- \n . ! ?", "\u{2026}"] {
            assert!(sentences(text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn all_letters_of_any_text_are_in_its_sentences() {
        let alphabet: Vec<char> = "ab C1.!?\n )\"\u{e9}\u{201d}-:e.g.".chars().collect();
        let mut random = ptu_random::Key::new(3).stream(ptu_random::Place::Sample, 0);
        for _ in 0..2000 {
            let length = random.below(40);
            let text: String = (0..length).map(|_| *random.choose(&alphabet).unwrap()).collect();
            let letters = |text: &str| text.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>();
            let found = sentences(&text);
            assert_eq!(letters(&found.concat()), letters(&text), "{text:?}");
            assert!(found.iter().all(|sentence| !sentence.trim().is_empty() && sentence.trim() == *sentence));
        }
        assert_eq!(sentences(&"no effusion. ".repeat(80_000)).len(), 80_000);
        assert_eq!(sentences(&"a\n".repeat(200_000)).len(), 1);
        assert_eq!(sentences(&".".repeat(1 << 20)).len(), 0);
    }

    #[test]
    fn equal_texts_are_recognised() {
        assert_eq!(normalised("  No\tacute \n DISEASE. "), "no acute disease.");
        assert_eq!(normalised(" \n"), "");
        assert_eq!(text_hash("No acute disease."), text_hash(" no  acute\ndisease. "));
        assert_ne!(text_hash("No acute disease."), text_hash("no acute disease"));
    }
}
