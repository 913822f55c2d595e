//! Rules for marks, addresses, tags, faces, and how tokens are written.

use super::character::{is_letter, is_word};
use super::matched::Match;
use super::word::{FURTHEST, begins_with, lower, run};

/// The text of a token: lower-cased, with the Treebank's names of brackets, quotes and currencies.
pub(super) fn written(token: &[char]) -> String {
    match token {
        ['"' | '“' | '«' | '\u{93}' | '”' | '»' | '\u{94}'] => return "''".to_owned(),
        ['‘' | '‛' | '‹' | '\u{91}' | '’' | '›' | '\u{92}'] => return "'".to_owned(),
        ['…'] | ['.', '.', '.', ..] => return "...".to_owned(),
        ['–' | '—' | '―' | '\u{96}' | '\u{97}'] => return "--".to_owned(),
        ['-', '-'] | ['-', '-', '-'] | ['-', '-', '-', '-'] => return "--".to_owned(),
        ['’', rest @ ..] if matches!(lower(rest).as_str(), "s" | "d" | "m" | "ll" | "re" | "ve") => {
            return format!("'{}", lower(rest));
        }
        ['n' | 'N', '’', 't' | 'T'] => return "n't".to_owned(),
        [first, .., last] if first.is_ascii_uppercase() && last.is_ascii_uppercase() && token.contains(&';') => {
            return lower(token).replace("&amp;", "&");
        }
        ['¢'] => return "cents".to_owned(),
        ['£'] => return "#".to_owned(),
        ['€' | '¤' | '\u{80}' | '\u{20a0}'] => return "$".to_owned(),
        _ => {}
    }
    // The square mouth of a face is not a bracket.
    let face = token.len() > 1;
    let name = |character: char| match character {
        '[' | ']' if face => None,
        '(' => Some("-lrb-"),
        ')' => Some("-rrb-"),
        '[' => Some("-lsb-"),
        ']' => Some("-rsb-"),
        '{' => Some("-lcb-"),
        '}' => Some("-rcb-"),
        '½' => Some("1/2"),
        '¼' => Some("1/4"),
        '¾' => Some("3/4"),
        '⅓' => Some("1/3"),
        '⅔' => Some("2/3"),
        // A token holds no space.
        ' ' => Some("\u{a0}"),
        _ => None,
    };
    if !token.iter().any(|character| name(*character).is_some()) {
        return lower(token);
    }
    let mut text = String::new();
    for character in token {
        match name(*character) {
            Some(name) => text.push_str(name),
            None => text.push(*character),
        }
    }
    text.to_lowercase()
}

/// Entities of HTML: their length and the token they are; `None` for a space.
pub(super) fn entity(characters: &[char]) -> Option<(usize, Option<&'static str>)> {
    const ENTITIES: [(&str, Option<&str>); 6] = [
        ("&amp;", Some("&")),
        ("&lt;", Some("<")),
        ("&gt;", Some(">")),
        ("&quot;", Some("''")),
        ("&apos;", Some("'")),
        ("&nbsp;", None),
    ];
    if characters.first() != Some(&'&') {
        return None;
    }
    ENTITIES.iter().find(|(name, _)| begins_with(characters, name)).map(|(name, value)| (name.len(), *value))
}

/// Electronic mail and the names `@name`, `#name`.
pub(super) fn address(characters: &[char]) -> Option<Match> {
    match characters {
        ['@', first, ..] if is_letter(*first) || *first == '_' => {
            return Match::whole(1 + run(&characters[1..], |it| is_word(it) || it == '_'));
        }
        ['#', first, ..] if is_letter(*first) => return Match::whole(1 + run(&characters[1..], is_letter)),
        ['&', '#', rest @ ..] => {
            let digits = run(rest, |character| character.is_ascii_digit());
            return Match::whole(if digits > 0 && rest.get(digits) == Some(&';') { digits + 3 } else { 0 });
        }
        _ => {}
    }
    let near = &characters[..characters.len().min(FURTHEST)];
    let is_part = |character: char| is_word(character) || matches!(character, '_' | '-' | '.');
    let name = run(near, is_part);
    if name == 0 || near.get(name) != Some(&'@') {
        return None;
    }
    let mut length = run(near, |it| is_part(it) || it == '@');
    while matches!(near[length - 1], '.' | '-' | '_' | '@') {
        length -= 1;
    }
    Match::whole(if length > name { length } else { 0 })
}

/// Addresses of the web: `http://www.nih.gov/a`, `www.nih.gov/a/b`, `nih.com/a`.
pub(super) fn web_address(characters: &[char]) -> Option<Match> {
    let near = &characters[..characters.len().min(FURTHEST)];
    let is_ended = |it: char| it.is_whitespace() || matches!(it, '"' | '<' | '>' | '|' | '(' | ')' | '{' | '}');
    let trimmed = |mut length: usize| {
        while length > 0 && matches!(near[length - 1], '.' | '!' | '?' | ',' | ';' | ':' | '\'' | '-') {
            length -= 1;
        }
        length
    };
    let protocol = ["http://", "https://"].iter().find(|name| lower(&near[..near.len().min(name.len())]) == **name);
    if let Some(protocol) = protocol {
        let host = &near[protocol.len()..];
        let first = run(host, |it| is_word(it) || it == '-');
        let named = first > 0 && matches!(host.get(first..), Some(['.', next, ..]) if is_word(*next));
        return Match::whole(if named { trimmed(run(near, |it| !is_ended(it))) } else { 0 });
    }
    let www = begins_with(near, "www.");
    let host = run(near, |it| is_word(it) || it == '.' || (www && it == '-'));
    let name = lower(&near[..host]);
    let parts = name.split('.').count();
    let known = [".com", ".net", ".org", ".edu"].iter().any(|ending| name.ends_with(ending));
    let hosted = known && is_letter(near[0]) && (parts == 2 || (parts == 3 && www));
    let path = if near.get(host) == Some(&'/') { run(&near[host..], |it| !is_ended(it)) } else { 0 };
    Match::whole(match (hosted, trimmed(host + path)) {
        (true, whole) if whole >= host + 3 => whole,
        (true, _) if www => host,
        _ => 0,
    })
}

/// Tags of SGML: `<br>`, `<xxxx xxxx>`.
pub(super) fn tag(characters: &[char]) -> Option<Match> {
    if characters.first() != Some(&'<') {
        return None;
    }
    let near = &characters[1..characters.len().min(FURTHEST)];
    if let ['!' | '?', ..] = near {
        let inner = run(near, |it| it != '>' && it != '<');
        return Match::whole(if inner > 1 && near.get(inner) == Some(&'>') { inner + 2 } else { 0 });
    }
    let name = |place: usize| match near.get(place) {
        Some(first) if first.is_ascii_alphabetic() => {
            run(&near[place..], |it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | ':' | '.'))
        }
        _ => 0,
    };
    let spaces = |place: usize| run(&near[place..], |it| it == ' ');
    let mut place = usize::from(near.first() == Some(&'/'));
    place += Some(name(place)).filter(|length| *length > 0)?;
    loop {
        let gap = spaces(place);
        let attribute = if gap > 0 { name(place + gap) } else { 0 };
        if attribute == 0 {
            place += gap;
            break;
        }
        place += gap + attribute;
        if let Some(['=', quote @ ('"' | '\''), value @ ..]) = near.get(place..) {
            place += 3 + run(value, |it| it != *quote);
        }
    }
    place += usize::from(near.get(place) == Some(&'/'));
    Match::whole(if near.get(place) == Some(&'>') { place + 2 } else { 0 })
}

/// Faces: `:)`, `;-)`, `=(`, `:D`.
pub(super) fn face(characters: &[char]) -> Option<Match> {
    let brow = usize::from(characters.first() == Some(&'>'));
    let eyes = *characters.get(brow)?;
    if let [a, '_', b, ..] = characters
        && a == b
        && matches!(a, '^' | '-')
    {
        return Match::whole(3);
    }
    if !matches!(eyes, ':' | ';' | '=') {
        return None;
    }
    let nose = usize::from(matches!(characters.get(brow + 1), Some('-' | '\'')));
    let mouth = *characters.get(brow + 1 + nose)?;
    let known = matches!(mouth, ')' | '(' | 'D' | 'd' | 'P' | 'p' | '\\' | 'O' | '|' | '[' | ']' | '0' | '3');
    let length = brow + nose + 2;
    let ended = !characters.get(length).is_some_and(char::is_ascii_alphanumeric);
    Match::whole(if known && ended { length } else { 0 })
}

/// Marks that are one token when repeated, dollars with their country, and spaced ellipses.
pub(super) fn run_of_marks(characters: &[char]) -> Option<Match> {
    let first = *characters.first()?;
    let same = run(characters, |character| character == first);
    Match::whole(match first {
        '*' | '_' | '#' | '@' => same,
        '!' | '?' => run(characters, |character| matches!(character, '!' | '?')),
        '-' => same,
        '\'' | '`' | '<' | '>' => same.min(2),
        '.' if same > 2 => same,
        'A'..='Z' => {
            let letters = run(characters, |character| character.is_ascii_uppercase());
            if characters.get(letters) == Some(&'$') { letters + 1 } else { 0 }
        }
        _ => 0,
    })
}
