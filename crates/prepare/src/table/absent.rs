//! Words that stand for a value that is missing, as programs write them into the cells of a table.

use std::collections::BTreeMap;

use ptu_data::columns::Purpose;
use ptu_data::shortened;

use super::columns::{Columns, SEVERAL};
use crate::draft::Place;
use crate::raw::row::Cell;

/// What pandas reads as missing, some of it in other cases of letters too, and what spreadsheets write where a formula
/// fails. None of it is a value.
const NO_VALUE: [&str; 28] = [
    "NaN", "nan", "NAN", "Nan", "-NaN", "-nan", "NaT", "NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NULL",
    "Null", "null", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN", "#NULL!", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?",
    "#NUM!", "#ERROR!",
];

/// What is missing where a text, a path or a name is wanted, but may be a class, an answer or a value.
const PERHAPS: [&str; 5] = ["None", "NONE", "none", "-", "--"];

/// The longest of these words, in bytes.
const LONGEST: usize = 8;

/// Different words of one column that are told.
const SHOWN: usize = 4;

/// The words of a table that stand for missing values.
pub struct Absent {
    /// What each column is taken for.
    purposes: Vec<Purpose>,
    /// By column: of values that were taken as missing, and of values that were kept.
    missing: BTreeMap<usize, Found>,
    kept: BTreeMap<usize, Found>,
    /// Columns of the row that was read last, with the words that were taken as missing.
    row: Vec<(usize, String)>,
}

/// Such words in one column.
struct Found {
    count: u64,
    first: String,
    words: Vec<String>,
}

/// What a word is in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// A value like any other.
    Value,
    /// A value that is missing.
    Missing,
    /// Perhaps one that is missing; it is kept.
    Kept,
}

impl Absent {
    /// For the rows of a table with these columns.
    pub fn new(columns: &Columns) -> Self {
        let purposes = columns.uses().into_iter().map(|column| column.taken_for).collect();
        Self { purposes, missing: BTreeMap::new(), kept: BTreeMap::new(), row: vec![] }
    }

    /// Empties the values of a row that stand for missing ones, and takes note of them. Several labels of one cell are
    /// parted before.
    pub fn clear(&mut self, columns: &Columns, cells: &mut [Cell], place: &Place) {
        self.row.clear();
        for (column, cell) in cells.iter_mut().enumerate() {
            let Some(purpose) = self.purposes.get(column).copied().filter(|purpose| *purpose != Purpose::Left) else {
                continue;
            };
            let is_named = matches!(purpose, Purpose::Label | Purpose::Field);
            if is_named && columns.names[column].eq_ignore_ascii_case(SEVERAL) {
                *cell = cell.iter().flat_map(|value| value.split('|')).map(str::to_string).collect();
            }
            for value in cell {
                let first = || Found { count: 0, first: place.to_string(), words: vec![] };
                match meaning(value.trim(), purpose) {
                    Meaning::Value => {}
                    Meaning::Missing => {
                        self.missing.entry(column).or_insert_with(first).add(value.trim());
                        self.row.push((column, value.trim().to_string()));
                        value.clear();
                    }
                    Meaning::Kept => self.kept.entry(column).or_insert_with(first).add(value.trim()),
                }
            }
        }
    }

    /// The word of the row that was read last that was taken as missing in a column.
    pub fn said(&self, column: usize) -> Option<&str> {
        self.row.iter().find(|(place, _)| *place == column).map(|(_, word)| word.as_str())
    }

    /// What was taken as missing, and what may be meant so, in sentences.
    pub fn told(&self, columns: &Columns) -> Vec<String> {
        let name = |column: &usize| shortened(&columns.names[*column], 40);
        let missing = self.missing.iter().map(|(column, found)| {
            let is = if found.words.len() == 1 { "is" } else { "are" };
            format!("column `{}`: {} {is} taken as missing, {}", name(column), found.listed(), found.places())
        });
        let kept = self.kept.iter().map(|(column, found)| {
            let are = if found.words.len() == 1 { "is kept as it is" } else { "are kept as they are" };
            format!(
                "column `{}`: {} {are} written, {}; leave the cell empty where the value is missing",
                name(column),
                found.listed(),
                found.places()
            )
        });
        missing.chain(kept).collect()
    }
}

impl Found {
    fn add(&mut self, word: &str) {
        self.count += 1;
        if self.words.len() < SHOWN && !self.words.iter().any(|known| known == word) {
            self.words.push(word.to_string());
        }
    }

    fn listed(&self) -> String {
        self.words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    }

    fn places(&self) -> String {
        match self.count {
            1 => format!("1 value ({})", self.first),
            count => format!("{count} values (the first: {})", self.first),
        }
    }
}

/// What a word is in a column that is taken for this purpose.
fn meaning(word: &str, purpose: Purpose) -> Meaning {
    if word.len() > LONGEST {
        return Meaning::Value;
    }
    let perhaps = PERHAPS.contains(&word);
    match purpose {
        _ if NO_VALUE.contains(&word) => Meaning::Missing,
        Purpose::Image | Purpose::Text | Purpose::Id | Purpose::Patient | Purpose::Split if perhaps => Meaning::Missing,
        Purpose::Label | Purpose::Answer if perhaps => Meaning::Kept,
        _ => Meaning::Value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_missing_where_it_can_be_no_value() {
        for word in NO_VALUE {
            assert!(word.len() <= LONGEST, "{word}");
            assert_eq!(meaning(word, Purpose::Text), Meaning::Missing, "{word}");
            assert_eq!(meaning(word, Purpose::Label), Meaning::Missing, "{word}");
            assert_eq!(meaning(word, Purpose::Field), Meaning::Missing, "{word}");
        }
        for word in PERHAPS {
            assert_eq!(meaning(word, Purpose::Patient), Meaning::Missing, "{word}");
            assert_eq!(meaning(word, Purpose::Label), Meaning::Kept, "{word}");
            assert_eq!(meaning(word, Purpose::Field), Meaning::Value, "{word}");
        }
        for word in ["", "Na", "nano", "normal", "0", "n", "no", "N / A and more", "NaN NaN"] {
            assert_eq!(meaning(word, Purpose::Text), Meaning::Value, "{word}");
        }
    }
}
