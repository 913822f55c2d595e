//! Rules for words, numbers and abbreviations.

use super::character::{is_hyphen, is_letter, is_word};
use super::matched::Match;

/// Abbreviations of letters that keep their period, lower-cased.
const ABBREVIATIONS: &str = " al az cf co ct dr ft ga jr ky la lt md mo mr ms mt pa ph rd rt sq sr st va vs vt wm \
    adj adm adv ala apr aug ave bhd cie col cos cpl dak dec det drs ens esq est etc ext feb fla fri gen gov hon inc ind jan \
    jos jul jun kan ltd maj mar mfg mme mon mrs mtg neb nev nov oct pfc plc pte pty pvt rep rev sen sep seq sfc sgt spc ste \
    sys tel thu tue wed wis wyo alex ariz assn asst atty bldg blvd brig bros capt cmdr colo conn corp dept elec govs insp \
    intl invt kans mich minn mlle mont msgr natl okla penn ppte ppty pres prof ptes ptys reps sens sept supt tenn tues univ \
    wisc assoc attys calif comdr lieut pptes pptys profs supts thurs treas messrs ";

/// Abbreviations that keep their period only with a capital letter, since they are words otherwise.
const CAPITALIZED_ABBREVIATIONS: &str = " Ark ARK Del DEL Ill ILL Ore ORE Tex TEX Mass Miss Wash ";

/// Abbreviations that keep their period before a number.
const BEFORE_NUMBERS: &str = " ca no op pp art fig nos figs prop ";

/// Words that, capitalized after the period of a single letter, begin a sentence: the period then ends the one before.
const SENTENCE_STARTS: &str = " a about according additionally after an as at but earlier he her here however if in it last \
    many more now once one other our she since so some such that the their then there these they this we what when while yet \
    you ";

/// No rule that may be given up in the end looks further than this, so that time stays linear in the length of a text.
pub(super) const FURTHEST: usize = 500;

/// Whether ` word ` occurs in a list that has spaces around its words.
fn is_listed(list: &str, word: &str) -> bool {
    !word.is_empty() && list.contains(&format!(" {word} "))
}

/// Whether the characters begin with a lower-cased ASCII word, whatever their case.
pub(super) fn begins_with(characters: &[char], word: &str) -> bool {
    let mut rest = characters.iter();
    word.chars().all(|expected| rest.next().is_some_and(|found| found.to_ascii_lowercase() == expected))
}

/// Number of characters at the beginning for which the condition holds.
pub(super) fn run(characters: &[char], condition: impl Fn(char) -> bool) -> usize {
    characters.iter().take_while(|character| condition(**character)).count()
}

/// Length of the letters and digits at the beginning.
pub(super) fn plain(characters: &[char]) -> usize {
    run(characters, is_word)
}

/// Whether no letter or digit stands at the place.
pub(super) fn ends_at(characters: &[char], place: usize) -> bool {
    !characters.get(place).copied().is_some_and(is_word)
}

fn digits(characters: &[char]) -> usize {
    run(characters, |character| character.is_ascii_digit())
}

/// Length of letters and digits joined by single underscores.
fn underscored(characters: &[char]) -> usize {
    let mut length = plain(characters);
    while length > 0 && characters.get(length) == Some(&'_') {
        match plain(&characters[length + 1..]) {
            0 => break,
            more => length += 1 + more,
        }
    }
    length
}

/// The length after `length`, extended by parts that each begin with a hyphen.
fn with_hyphens(characters: &[char], mut length: usize, part: impl Fn(&[char]) -> usize) -> usize {
    while characters.get(length).copied().is_some_and(is_hyphen) {
        match part(&characters[length + 1..]) {
            0 => break,
            more => length += 1 + more,
        }
    }
    length
}

/// Words joined by hyphens: `left-sided`, `T1-T2`; also a single word.
fn hyphens(characters: &[char]) -> usize {
    match underscored(characters) {
        0 => 0,
        first => with_hyphens(characters, first, underscored),
    }
}

/// Words joined by hyphens, or a number or abbreviation joined to a word: `12.5-cm`, `p.m.-x`.
pub(super) fn hyphenated(characters: &[char]) -> Option<Match> {
    let words = hyphens(characters);
    if words == 0 {
        return None;
    }
    let base = run(&characters[..characters.len().min(FURTHEST)], |it| is_word(it) || matches!(it, '.' | ','));
    let joined = with_hyphens(characters, base, plain);
    let initials = ending_in_initials(characters, base);
    Match::whole(words.max(if joined > base { joined } else { 0 }).max(initials))
}

/// The length with hyphens where the last part is initials with their periods: `a.m.-p.m.`; 0 if it is not.
fn ending_in_initials(characters: &[char], mut length: usize) -> usize {
    loop {
        if !characters.get(length).copied().is_some_and(is_hyphen) {
            return 0;
        }
        let part = &characters[length + 1..];
        match (initials(part), plain(part)) {
            (more, _) if more > 2 => return length + 1 + more,
            (_, 0) => return 0,
            (_, more) => length += 1 + more,
        }
    }
}

/// Length of single letters with their periods.
fn initials(characters: &[char]) -> usize {
    let pair =
        |place: usize| characters.get(place).copied().is_some_and(is_letter) && characters.get(place + 1) == Some(&'.');
    2 * (0..).step_by(2).take_while(|place| pair(*place)).count()
}

/// Two or three words around slashes: `and/or`, `a/b-c`, `1/2/2010`.
pub(super) fn slashed(characters: &[char]) -> Option<Match> {
    let part = |characters: &[char]| {
        let mut length = run(characters, |character| character.is_ascii_alphanumeric());
        for _ in 0..2 {
            if length == 0 || characters.get(length) != Some(&'-') {
                break;
            }
            match run(&characters[length + 1..], |character| character.is_ascii_alphabetic()) {
                0 => break,
                more => length += 1 + more,
            }
        }
        length
    };
    let mut length = part(characters);
    if length == 0 {
        return None;
    }
    for _ in 0..2 {
        let Some(slash) = slash(&characters[length..]) else { break };
        match part(&characters[length + slash..]) {
            0 => break,
            more => length += slash + more,
        }
    }
    Match::whole(length)
}

/// Length of a slash, which may be escaped.
fn slash(characters: &[char]) -> Option<usize> {
    match characters {
        ['\\', '/', ..] => Some(2),
        ['/', ..] => Some(1),
        _ => None,
    }
}

/// Words around a period, question or exclamation mark without a space: `limits.The`, `p.m`; each begins with a letter.
pub(super) fn dotted(characters: &[char]) -> Option<Match> {
    let part = |characters: &[char]| match characters.first() {
        Some(first) if is_letter(*first) => plain(characters),
        _ => 0,
    };
    let mut length = part(characters);
    if length == 0 {
        return None;
    }
    while matches!(characters.get(length), Some('.' | '?' | '!')) {
        match part(&characters[length + 1..]) {
            0 => break,
            more => length += 1 + more,
        }
    }
    Match::whole(length)
}

/// Single letters that keep their periods: `s.o.b.`, `T.`; not a letter before a word that begins a sentence.
pub(super) fn letter_with_period(characters: &[char]) -> Option<Match> {
    match initials(characters) {
        2 if starts_sentence(&characters[2..]) => None,
        length => Match::whole(length),
    }
}

/// Whether spaces and then a word follow that begins a sentence.
fn starts_sentence(characters: &[char]) -> bool {
    let spaces = run(characters, |character| character == ' ');
    let word = &characters[spaces..];
    let length = run(word, |character| character.is_ascii_alphabetic());
    if spaces == 0 || length == 0 || word.get(length).is_some_and(|next| *next != ' ') || !word[0].is_ascii_uppercase()
    {
        return false;
    }
    let rest_alike =
        word[1..length].iter().all(char::is_ascii_lowercase) || word[1..length].iter().all(char::is_ascii_uppercase);
    rest_alike && is_listed(SENTENCE_STARTS, &lower(&word[..length]))
}

/// Known abbreviations with their period: `Dr.`, `CT.`, `no. 5`.
pub(super) fn abbreviation(characters: &[char]) -> Option<Match> {
    let length = run(characters, |character| character.is_ascii_alphabetic());
    if characters.len() >= 5 && lower(&characters[..5]) == "ph.d." {
        return Match::whole(5);
    }
    if length > 6 || characters.get(length) != Some(&'.') {
        return None;
    }
    let lowered = lower(&characters[..length]);
    let number = match characters.get(length + 1) {
        Some(' ') => characters.get(length + 2),
        other => other,
    };
    let kept = is_listed(ABBREVIATIONS, &lowered)
        || is_listed(CAPITALIZED_ABBREVIATIONS, &characters[..length].iter().collect::<String>())
        || (is_listed(BEFORE_NUMBERS, &lowered) && number.is_some_and(char::is_ascii_digit));
    kept.then_some(Match { length: length + 1, token: length + 1 })
}

/// A word before a period that another mark follows keeps the period: `ct.,`.
pub(super) fn before_comma(characters: &[char]) -> Option<Match> {
    let longest = [hyphenated(characters), dotted(characters)].into_iter().flatten().map(|found| found.length).max();
    let length = longest.unwrap_or(0);
    let marked = length > 0 && matches!(characters[length..], ['.', ',' | ';' | ':', ..]);
    marked.then_some(Match { length: length + 2, token: length + 1 })
}

/// Capital letters around an ampersand or plus sign: `R&D`, `A+B`.
pub(super) fn ampersand(characters: &[char]) -> Option<Match> {
    let capitals = |place: usize| run(&characters[place..], |character| character.is_ascii_uppercase());
    let mut length = capitals(0);
    if length == 0 {
        return None;
    }
    loop {
        let rest = &characters[length..];
        let mark = match rest.first() {
            Some('+') => 1,
            Some('&') => {
                if begins_with(rest, "&amp;") {
                    5
                } else {
                    1
                }
            }
            _ => return Match::whole(length),
        };
        match capitals(length + mark) {
            0 => return Match::whole(length),
            more => length += mark + more,
        }
    }
}

/// Numbers: `-5`, `.5`, `1,000`, `8:30`, `,786.2`.
pub(super) fn number(characters: &[char]) -> Option<Match> {
    let sign = usize::from(matches!(characters.first(), Some('+' | '-')));
    let mut length = sign + digits(&characters[sign..]);
    while matches!(characters.get(length), Some('.' | ',' | ':')) {
        match digits(&characters[length + 1..]) {
            0 => break,
            more => length += 1 + more,
        }
    }
    Match::whole(if length > sign { length } else { 0 })
}

/// Fractions and dates of digits: `1 1/2`, `1-2/3`.
pub(super) fn fraction(characters: &[char]) -> Option<Match> {
    let upper = digits(characters);
    if !(1..=4).contains(&upper) {
        return None;
    }
    let after = &characters[upper..];
    match after.first() {
        Some('-' | ' ' | '\u{a0}') => {
            let over = digits(&after[1..]);
            let rest = &after[1 + over..];
            if !(1..=4).contains(&over) {
                return None;
            }
            let slash = slash(rest)?;
            let under = digits(&rest[slash..]).min(4);
            Match::whole(if under > 0 { upper + 1 + over + slash + under } else { 0 })
        }
        _ => date(characters),
    }
}

/// A date whose marks differ: `1/2-2010`.
fn date(characters: &[char]) -> Option<Match> {
    let day = digits(characters);
    if !(1..=2).contains(&day) || characters.get(day) != Some(&'/') {
        return None;
    }
    let month = digits(&characters[day + 1..]);
    if !(1..=2).contains(&month) || characters.get(day + 1 + month) != Some(&'-') {
        return None;
    }
    let year = digits(&characters[day + month + 2..]).min(4);
    Match::whole(if year >= 2 { day + month + 2 + year } else { 0 })
}

/// North American telephone numbers: `555 555-1234`, `(555) 555-1234`.
pub(super) fn telephone(characters: &[char]) -> Option<Match> {
    let open = characters.first() == Some(&'(');
    let area = usize::from(open);
    let is_mark = |place: usize| matches!(characters.get(place), Some(' ' | '-' | '\u{a0}'));
    let has = |place: usize, count: usize| {
        characters.get(place..).is_some_and(|rest| digits(&rest[..rest.len().min(count)]) == count)
    };
    if !has(area, 3) {
        return None;
    }
    let mut next = area + 3;
    if open {
        if characters.get(next) != Some(&')') {
            return None;
        }
        next += 1;
        next += usize::from(is_mark(next));
    } else if is_mark(next) {
        next += 1;
    } else {
        return None;
    }
    let found = has(next, 3) && is_mark(next + 3) && has(next + 4, 4);
    Match::whole(if found { next + 8 } else { 0 })
}

/// The characters as a lower-cased text.
pub(super) fn lower(characters: &[char]) -> String {
    characters.iter().collect::<String>().to_lowercase()
}
