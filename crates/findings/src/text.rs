//! Sentences and words of a report.

use crate::rules::ABBREVIATIONS;

/// The sentences of a text in lower case, each as its words and commas.
///
/// A word is a run of letters and digits. A sentence ends at `.`, `!`, `?`, `;` or an empty line, but not at a full
/// stop between two digits or behind an abbreviation. One line break is a blank, since reports are broken into lines.
pub fn sentences(lower_case: &str) -> Vec<Vec<&str>> {
    let (mut sentences, mut words) = (vec![], vec![]);
    let mut word_start = None;
    let mut before = ' ';
    let mut line_is_empty = false;
    let mut characters = lower_case.char_indices().peekable();
    while let Some((place, character)) = characters.next() {
        if character.is_alphanumeric() {
            word_start.get_or_insert(place);
            line_is_empty = false;
        } else {
            words.extend(word_start.take().map(|start| &lower_case[start..place]));
            let next = characters.peek().map(|(_, next)| *next);
            let ends = match character {
                '!' | '?' | ';' => true,
                '.' => {
                    let number = before.is_ascii_digit() && next.is_some_and(|next| next.is_ascii_digit());
                    !number && !words.last().is_some_and(|word| ABBREVIATIONS.contains(word))
                }
                '\n' => std::mem::replace(&mut line_is_empty, true),
                _ => false,
            };
            if character == ',' {
                words.push(",");
            }
            if ends && !words.is_empty() {
                sentences.push(std::mem::take(&mut words));
            }
            line_is_empty &= character.is_whitespace();
        }
        before = character;
    }
    words.extend(word_start.map(|start| &lower_case[start..]));
    if !words.is_empty() {
        sentences.push(words);
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_they_should() {
        let cases: [(&str, &[&str]); 8] = [
            ("one two. three", &["one two", "three"]),
            ("a 2.5 cm nodule.there", &["a 2 5 cm nodule", "there"]),
            ("edema vs. pneumonia", &["edema vs pneumonia"]),
            ("line\nbreak\n \nnew", &["line break", "new"]),
            ("a, b; c", &["a , b", "c"]),
            ("1. no edema 2. clear", &["1", "no edema 2", "clear"]),
            ("air-space and/or", &["air space and or"]),
            ("... ", &[]),
        ];
        for (text, wanted) in cases {
            let found: Vec<String> = sentences(text).iter().map(|words| words.join(" ")).collect();
            assert_eq!(found, wanted, "{text}");
        }
    }
}
