//! Characters by their part in a token.

/// The characters of a text, with line breaks as spaces, and a soft hyphen left out inside of a word.
pub(super) fn normalized(text: &str) -> Vec<char> {
    let mut characters = Vec::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\u{ad}' => {
                let inside =
                    characters.last().copied().is_some_and(is_word) && rest.peek().copied().is_some_and(is_word);
                if !inside {
                    characters.push('-');
                }
            }
            '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => characters.push(' '),
            _ => characters.push(character),
        }
    }
    characters
}

/// Whether a character is a space of any kind.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace()
}

/// Whether a character is a letter, or a mark that belongs to the letter before it.
pub(super) fn is_letter(character: char) -> bool {
    character.is_ascii_alphabetic()
        || (!character.is_ascii()
            && character.is_alphabetic()
            && !is_symbol(character)
            && !is_dropped_letter(character))
        || matches!(character, '\u{300}'..='\u{36f}')
}

/// Whether a character is a letter or a digit.
pub(super) fn is_word(character: char) -> bool {
    character.is_ascii_digit() || is_letter(character)
}

/// Whether a character is a hyphen that joins words.
pub(super) fn is_hyphen(character: char) -> bool {
    matches!(character, '-' | '\u{58a}' | '\u{2010}' | '\u{2011}')
}

/// Whether a character is an apostrophe.
pub(super) fn is_apostrophe(character: char) -> bool {
    matches!(character, '\'' | '\u{2019}' | '\u{92}')
}

/// Letters and Roman numerals that the tokenizer does not know and leaves out.
fn is_dropped_letter(character: char) -> bool {
    matches!(character, '\u{2160}'..='\u{2188}') || character > '\u{ffff}'
}

/// Whether a character that is neither a space nor part of a word is a token of its own. The tokenizer leaves out all
/// others: controls, private characters, most marks of scripts that it does not know.
pub(super) fn is_symbol(character: char) -> bool {
    matches!(character,
        '!'..='/' | ':'..='@' | '['..='`' | '{'..='~' | '\u{80}' | '\u{91}'..='\u{94}' | '\u{96}' | '\u{97}'
        | '\u{a1}'..='\u{a9}' | '\u{ab}'..='\u{b4}' | '\u{b6}'..='\u{b9}' | '\u{bb}'..='\u{bf}' | '×' | '÷')
        || OTHER_SYMBOLS.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

/// Ranges of symbols beyond Latin 1 that are tokens: general punctuation, super- and subscripts, currencies, arrows,
/// mathematical and technical symbols, shapes, dingbats.
const OTHER_SYMBOLS: [(char, char); 56] = [
    ('\u{37e}', '\u{37e}'),
    ('\u{387}', '\u{387}'),
    ('\u{589}', '\u{589}'),
    ('\u{5be}', '\u{5be}'),
    ('\u{5c0}', '\u{5c0}'),
    ('\u{5c3}', '\u{5c3}'),
    ('\u{5c6}', '\u{5c6}'),
    ('\u{5f3}', '\u{5f4}'),
    ('\u{606}', '\u{60c}'),
    ('\u{61b}', '\u{61b}'),
    ('\u{61e}', '\u{61f}'),
    ('\u{66a}', '\u{66a}'),
    ('\u{66d}', '\u{66d}'),
    ('\u{6d4}', '\u{6d4}'),
    ('\u{700}', '\u{70d}'),
    ('\u{7f6}', '\u{7f8}'),
    ('\u{964}', '\u{965}'),
    ('\u{e3f}', '\u{e3f}'),
    ('\u{e4f}', '\u{e4f}'),
    ('\u{1fbd}', '\u{1fbd}'),
    ('\u{2013}', '\u{2023}'),
    ('\u{2026}', '\u{2026}'),
    ('\u{2030}', '\u{203b}'),
    ('\u{203e}', '\u{2042}'),
    ('\u{2044}', '\u{2044}'),
    ('\u{2070}', '\u{2070}'),
    ('\u{2074}', '\u{207e}'),
    ('\u{2080}', '\u{208e}'),
    ('\u{20a0}', '\u{20a0}'),
    ('\u{20a4}', '\u{20a4}'),
    ('\u{20ac}', '\u{20ac}'),
    ('\u{2100}', '\u{2101}'),
    ('\u{2103}', '\u{2106}'),
    ('\u{2108}', '\u{2109}'),
    ('\u{2114}', '\u{2114}'),
    ('\u{2116}', '\u{2118}'),
    ('\u{211e}', '\u{2123}'),
    ('\u{2125}', '\u{2125}'),
    ('\u{2127}', '\u{2127}'),
    ('\u{2129}', '\u{2129}'),
    ('\u{212e}', '\u{212e}'),
    ('\u{213a}', '\u{213b}'),
    ('\u{2140}', '\u{2144}'),
    ('\u{214a}', '\u{214d}'),
    ('\u{214f}', '\u{214f}'),
    ('\u{2153}', '\u{215e}'),
    ('\u{2190}', '\u{2bff}'),
    ('\u{3001}', '\u{3002}'),
    ('\u{3012}', '\u{3012}'),
    ('\u{30fb}', '\u{30fb}'),
    ('\u{ff01}', '\u{ff0f}'),
    ('\u{ff1a}', '\u{ff20}'),
    ('\u{ff3b}', '\u{ff40}'),
    ('\u{ff5b}', '\u{ff65}'),
    ('\u{ffe0}', '\u{ffe1}'),
    ('\u{ffe5}', '\u{ffe6}'),
];
