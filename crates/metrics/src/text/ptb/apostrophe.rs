//! Rules for words with an apostrophe, and for words that the Penn Treebank takes apart.

use super::character::{is_apostrophe, is_letter, is_word};
use super::matched::Match;
use super::word::{begins_with, ends_at, lower, plain, run};

/// Words of which the Penn Treebank makes two, and the length of the first.
const TWO_WORDS: [(&str, usize); 6] =
    [("cannot", 3), ("gonna", 3), ("gotta", 3), ("lemme", 3), ("gimme", 3), ("wanna", 3)];

/// Endings that are a token of their own after a word: `'s` of `patient's`.
const ENDINGS: [&str; 7] = ["s", "d", "m", "n", "ll", "re", "ve"];

/// Words that begin with an apostrophe, as far as they are read, and the length of the token with its apostrophe.
const BEGINNINGS: [(&str, usize); 6] = [("tis", 2), ("twas", 2), ("till", 5), ("til", 4), ("em", 3), ("cause", 6)];

/// The word before `n't`: `do` of `don't`; also `n't` itself.
pub(super) fn negated_word(characters: &[char]) -> Option<Match> {
    let letters = run(characters, is_letter);
    let negates = matches!(characters.get(letters..), Some([mark, 't' | 'T', ..]) if is_apostrophe(*mark));
    if !negates || letters == 0 || !matches!(characters[letters - 1], 'n' | 'N') {
        return None;
    }
    let token = if letters == 1 { 3 } else { letters - 1 };
    Some(Match { length: letters + 2, token })
}

/// The first half of a word that the Penn Treebank takes apart: `can` of `cannot`.
pub(super) fn two_words(characters: &[char]) -> Option<Match> {
    let (word, token) = TWO_WORDS.iter().find(|(word, _)| begins_with(characters, word))?;
    let rest = &characters[word.len()..];
    (ends_at(rest, 0) && ending(rest).is_none()).then_some(Match { length: word.len(), token: *token })
}

/// Endings and beginnings with an apostrophe: `'s`, `'tis`, `'n'`.
pub(super) fn contraction(characters: &[char]) -> Option<Match> {
    if !characters.first().copied().is_some_and(is_apostrophe) {
        return None;
    }
    let rest = &characters[1..];
    if let Some(length) = ending(characters) {
        let quoted = length == 2 && begins_with(rest, "n") && rest.get(1).copied().is_some_and(is_apostrophe);
        return Match::whole(length + usize::from(quoted));
    }
    if characters[0] != '\'' && (begins_with(rest, "tis") || begins_with(rest, "twas")) {
        return None;
    }
    let (word, token) = BEGINNINGS.iter().find(|(word, _)| begins_with(rest, word))?;
    Some(Match { length: 1 + word.len(), token: *token })
}

/// Length of an ending at the beginning of the characters, with its apostrophe.
fn ending(characters: &[char]) -> Option<usize> {
    let (first, rest) = characters.split_first()?;
    let is_ending = |ending: &&&str| begins_with(rest, ending) && ends_at(rest, ending.len());
    is_apostrophe(*first).then(|| ENDINGS.iter().find(is_ending)).flatten().map(|ending| 1 + ending.len())
}

/// A letter or two before an apostrophe and a word: `l'` of `l'x`, `y'` of `y'all`, `ol'`.
pub(super) fn elision(characters: &[char]) -> Option<Match> {
    let letters = run(characters, |character| character.is_ascii_alphabetic());
    if !characters.get(letters).copied().is_some_and(is_apostrophe) {
        return None;
    }
    let followed = characters.get(letters + 1).copied().is_some_and(is_letter);
    match lower(&characters[..letters]).as_str() {
        "d" | "j" | "l" => Match::whole(2),
        "y" if followed => Match::whole(2),
        "ol" => Match::whole(3),
        _ => None,
    }
}

/// Words with an apostrophe inside: `O'Brien`, `d'une`, `ma'am`, `o'clock`.
pub(super) fn inside_word(characters: &[char]) -> Option<Match> {
    let letters = run(characters, is_letter);
    if letters == 0 || !characters.get(letters).copied().is_some_and(is_apostrophe) {
        return None;
    }
    let rest = &characters[letters + 1..];
    let is_vowel = |character: char| matches!(character.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u');
    let after = rest.first().copied().filter(|first| is_letter(*first))?;
    let first = characters[0];
    if letters == 1 {
        let joins =
            matches!(first, 'd' | 'l' | 'n' | 'o') || (first.is_ascii_uppercase() && !matches!(first, 'I' | 'Y'));
        let length = plain(rest);
        if joins && length >= 2 {
            return Match::whole(2 + super::word::hyphenated(rest).map_or(length, |found| found.length));
        }
        let known = ["est", "mon", "er"].iter().find(|word| begins_with(rest, word));
        let joins = match known {
            Some(&"er") => matches!(first, 'e' | 'E'),
            Some(_) => matches!(first, 'c' | 'C'),
            None => false,
        };
        return known.filter(|_| joins).and_then(|word| Match::whole(2 + word.len()));
    }
    let before = characters[letters - 1];
    let joins = (is_vowel(before) || matches!(before, 'y' | 'Y')) && is_vowel(after);
    Match::whole(if joins { letters + 1 + run(rest, is_word) } else { 0 })
}

/// Years and decades: `'97`, `'90s`.
pub(super) fn year(characters: &[char]) -> Option<Match> {
    if !characters.first().copied().is_some_and(is_apostrophe) {
        return None;
    }
    match characters[1..] {
        [a, b, 's', ..] if a.is_ascii_digit() && b.is_ascii_digit() => Match::whole(4),
        [a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit() => {
            Match::whole(if characters.get(3).is_none_or(|next| next.is_whitespace()) { 3 } else { 0 })
        }
        _ => None,
    }
}
