//! The longest match among the rules, position by position.

use super::character::{is_space, is_symbol, is_word};
use super::mark::written;
use super::matched::Match;
use super::{apostrophe, mark, word};

/// A rule: what it finds at the beginning of the characters.
type Rule = fn(&[char]) -> Option<Match>;

/// All rules, in order of precedence.
const RULES: [Rule; 21] = [
    apostrophe::negated_word,
    apostrophe::two_words,
    apostrophe::contraction,
    apostrophe::elision,
    apostrophe::inside_word,
    apostrophe::year,
    word::ampersand,
    word::abbreviation,
    word::letter_with_period,
    word::before_comma,
    word::dotted,
    word::hyphenated,
    word::slashed,
    word::fraction,
    word::telephone,
    word::number,
    mark::address,
    mark::web_address,
    mark::tag,
    mark::face,
    mark::run_of_marks,
];

/// All tokens of the characters, lower-cased.
pub(super) fn tokens(characters: &[char]) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while start < characters.len() {
        let rest = &characters[start..];
        let first = rest[0];
        if is_space(first) {
            start += 1;
            continue;
        }
        if let Some((length, value)) = mark::entity(rest) {
            tokens.extend(value.map(str::to_owned));
            start += length;
            continue;
        }
        let longest = RULES
            .iter()
            .filter_map(|rule| rule(rest))
            .reduce(|best, found| if found.length > best.length { found } else { best });
        match longest {
            Some(found) => {
                tokens.push(written(&rest[..found.token]));
                start += found.token;
            }
            None => {
                if is_symbol(first) || is_word(first) {
                    tokens.push(written(&rest[..1]));
                }
                start += 1;
            }
        }
    }
    tokens
}
