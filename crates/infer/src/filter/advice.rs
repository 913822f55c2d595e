//! Advice to the user about a filter that cannot be parsed.

use std::collections::BTreeSet;

use super::predicate::BuiltInColumn;

/// Largest number of names that a message lists after an unknown name.
const LISTED: usize = 40;

/// Number of letters of a name that are compared with another name.
const COMPARED: usize = 64;

/// Typographic characters that word processors, mail programs and web pages use, and the plain characters to write instead.
const TYPOGRAPHIC: [(&str, &str); 6] = [
    ("\u{201c}\u{201d}\u{201e}\u{201f}\u{ab}\u{bb}\u{2033}\u{ff02}", "\""),
    ("\u{2018}\u{2019}\u{201a}\u{201b}\u{b4}\u{2039}\u{203a}\u{2032}\u{ff07}", "'"),
    ("\u{2265}", ">="),
    ("\u{2264}", "<="),
    ("\u{2260}", "!="),
    ("\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2212}", "-"),
];

/// Refuses typographic characters, unless they are part of a text or name in quotation marks.
///
/// # Errors
/// A message about the first such character, with its place and what to write instead.
pub fn check_marks(filter: &str) -> Result<(), String> {
    let mut quoted = None;
    let mut letters = filter.chars().zip(1..);
    while let Some((letter, column)) = letters.next() {
        match quoted {
            // The character after a backslash is part of the text, whatever it is.
            Some('"' | '\'') if letter == '\\' => drop(letters.next()),
            Some(mark) if letter == mark => quoted = None,
            Some(_) => {}
            None if ['"', '\'', '`'].contains(&letter) => quoted = Some(letter),
            None => {
                if let Some((_, plain)) = TYPOGRAPHIC.iter().find(|(marks, _)| marks.contains(letter)) {
                    return Err(format!(
                        "`{letter}` at column {column} is a typographic character; write {plain} instead"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The parser's message with its place and advice. `at Line: 1, Column: 9` becomes `at column 9`; without a place it is the end
/// of the filter.
pub fn unreadable(error: &str, filter: &str) -> String {
    let error = error.trim_start_matches("sql parser error: ").replace("Line: 1, Column: ", "column ");
    let advice = if error.contains("nterminated") {
        "end the text with the quotation mark that begins it"
    } else if error.contains("recursion") {
        "use fewer parentheses"
    } else {
        "write comparisons such as finding = \"mass\" or age >= 60, joined by and, or, not"
    };
    match error.contains("column ") {
        true => format!("{error}; {advice}"),
        false => format!("{error}, at column {}; {advice}", filter.chars().count() + 1),
    }
}

/// Advice about a name that no row has: the most similar name, and a list of the existing names.
pub fn other_names(wanted: &str, names: &BTreeSet<String>) -> String {
    let built_in = BuiltInColumn::ALL.map(BuiltInColumn::name);
    let mut known: Vec<(usize, &str)> =
        names.iter().map(String::as_str).chain(built_in).map(|name| (distance(wanted, name), name)).collect();
    known.sort_by_key(|(distance, _)| *distance);
    let near = |(distance, name): &&(usize, &str)| *distance <= wanted.chars().count().max(name.chars().count()) / 3;
    let meant = known.first().filter(near).map_or(String::new(), |(_, name)| format!("did you mean {}? ", shown(name)));
    let listed: Vec<String> = known.iter().take(LISTED).map(|(_, name)| shown(name)).collect();
    let more = match known.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let none = match names.is_empty() {
        true => "; labels and fields come from the columns of a table, and these vectors have none",
        false => "",
    };
    format!("{meant}there are {}{more}{none}", listed.join(", "))
}

/// A name in backticks, as a filter writes a name that is not a plain word. A long name is shortened.
fn shown(name: &str) -> String {
    match name.char_indices().nth(COMPARED) {
        Some((end, _)) => format!("`{}...`", &name[..end]),
        None => format!("`{name}`"),
    }
}

/// Edit distance (Levenshtein) of two names, without regard to upper and lower case.
fn distance(one: &str, other: &str) -> usize {
    let letters = |name: &str| name.chars().take(COMPARED).flat_map(char::to_lowercase).collect::<String>();
    strsim::levenshtein(&letters(one), &letters(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_changed_letters() {
        for (one, other, letters) in
            [("age", "AGE", 0), ("kitten", "sitting", 3), ("", "id", 2), ("flaw", "lawn", 2), ("age", "ages", 1)]
        {
            assert_eq!((distance(one, other), distance(other, one)), (letters, letters), "{one} {other}");
        }
    }

    #[test]
    fn the_nearest_name_comes_first_and_a_far_name_is_not_suggested() {
        let names: BTreeSet<String> = ["finding", "age"].map(String::from).into();
        assert!(other_names("AGE", &names).starts_with("did you mean `age`? there are `age`, "));
        assert!(other_names("thickness", &names).starts_with("there are "), "{}", other_names("thickness", &names));
        let none = other_names("age", &BTreeSet::new());
        assert!(none.contains("`patient`") && none.contains("these vectors have none"), "{none}");
        let many: BTreeSet<String> = (0..100).map(|number| format!("column {number}")).collect();
        assert!(other_names("x", &many).ends_with(" and 67 more"));
    }

    #[test]
    fn typographic_characters_are_refused_only_outside_of_texts() {
        for (filter, part) in [
            ("finding = \u{201c}mass\u{201d}", "`\u{201c}` at column 11 is a typographic character; write \" instead"),
            ("finding = \u{2018}mass\u{2019}", "write ' instead"),
            ("age \u{2265} 60", "`\u{2265}` at column 5 is a typographic character; write >= instead"),
            ("dose > \u{2212}3", "write - instead"),
            ("finding = 'it\\'s' or age \u{2260} 3", "write != instead"),
        ] {
            let error = check_marks(filter).unwrap_err();
            assert!(error.contains(part), "{filter}: {error}");
        }
        for filter in ["finding = \"\u{201c}mass\u{201d}\"", "`a \u{2013} b` = 'x\\'\u{2019}'", "Gr\u{f6}\u{df}e = 3"] {
            assert_eq!(check_marks(filter), Ok(()), "{filter}");
        }
    }
}
