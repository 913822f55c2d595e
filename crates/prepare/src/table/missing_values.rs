//! Recognises words that programs write into the cells of a table for a missing value, such as `NaN` and `NULL`.

use std::collections::BTreeMap;

use ptu_data::columns::Purpose;
use ptu_data::shortened;

use super::columns::{Columns, MULTI_VALUE_COLUMN};
use crate::draft::RowPosition;
use crate::raw::row::Cell;

/// Words that always stand for a missing value: those that pandas reads as missing, some of them also in other forms of upper and
/// lower case, and those that spreadsheets write when a formula fails.
const MISSING_WORDS: [&str; 28] = [
    "NaN", "nan", "NAN", "Nan", "-NaN", "-nan", "NaT", "NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NULL",
    "Null", "null", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN", "#NULL!", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?",
    "#NUM!", "#ERROR!",
];

/// Words that stand for a missing value in a column of texts, paths or names. In other columns they may be a class, an answer or
/// another value.
const POSSIBLY_MISSING_WORDS: [&str; 5] = ["None", "NONE", "none", "-", "--"];

/// Length of the longest of these words, in bytes.
const MAX_WORD_BYTES: usize = 8;

/// At most this many different words of a column are reported.
const MAX_WORDS_REPORTED: usize = 4;

/// The words for missing values that were found in a table.
pub struct MissingValues {
    /// The purpose of each column.
    purposes: Vec<Purpose>,
    /// By column: words that were treated as missing values.
    missing: BTreeMap<usize, ColumnWords>,
    /// By column: words that may mean a missing value but were kept as values.
    kept: BTreeMap<usize, ColumnWords>,
    /// The words of the latest row that were treated as missing values, each with its column.
    row: Vec<(usize, String)>,
}

/// Words for missing values in one column.
struct ColumnWords {
    /// Number of cells with such a word.
    count: u64,
    /// Position of the first such cell.
    first: String,
    /// The different words, at most [`MAX_WORDS_REPORTED`].
    words: Vec<String>,
}

/// The meaning of a word in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// An ordinary value.
    Value,
    /// The value is missing.
    Missing,
    /// The value may be missing; the word is kept as a value.
    PossiblyMissing,
}

impl MissingValues {
    /// For the rows of a table with these columns.
    pub fn new(columns: &Columns) -> Self {
        let purposes = columns.purposes().into_iter().map(|column| column.taken_for).collect();
        Self { purposes, missing: BTreeMap::new(), kept: BTreeMap::new(), row: vec![] }
    }

    /// Counts the words for missing values in a row and replaces them by empty values. Before that, a cell with several labels is
    /// split into its labels.
    pub fn clear(&mut self, columns: &Columns, cells: &mut [Cell], position: &RowPosition) {
        self.row.clear();
        for (column, cell) in cells.iter_mut().enumerate() {
            let Some(purpose) = self.purposes.get(column).copied().filter(|purpose| *purpose != Purpose::Left) else {
                continue;
            };
            let may_have_several = matches!(purpose, Purpose::Label | Purpose::Field);
            if may_have_several && columns.names[column].eq_ignore_ascii_case(MULTI_VALUE_COLUMN) {
                *cell = cell.iter().flat_map(|value| value.split('|')).map(str::to_string).collect();
            }
            for value in cell {
                let new = || ColumnWords { count: 0, first: position.to_string(), words: vec![] };
                match meaning(value.trim(), purpose) {
                    Meaning::Value => {}
                    Meaning::Missing => {
                        self.missing.entry(column).or_insert_with(new).add(value.trim());
                        self.row.push((column, value.trim().to_string()));
                        value.clear();
                    }
                    Meaning::PossiblyMissing => self.kept.entry(column).or_insert_with(new).add(value.trim()),
                }
            }
        }
    }

    /// The word that was treated as a missing value in this column of the latest row.
    pub fn word(&self, column: usize) -> Option<&str> {
        self.row.iter().find(|(found, _)| *found == column).map(|(_, word)| word.as_str())
    }

    /// Sentences for the user about words that were treated as missing values, and about kept words that may mean missing values.
    pub fn remarks(&self, columns: &Columns) -> Vec<String> {
        let name = |column: &usize| shortened(&columns.names[*column], 40);
        let missing = self.missing.iter().map(|(column, found)| {
            let is = if found.words.len() == 1 { "is" } else { "are" };
            format!("column `{}`: {} {is} treated as missing, {}", name(column), found.listed(), found.positions())
        });
        let kept = self.kept.iter().map(|(column, found)| {
            let are = if found.words.len() == 1 { "is kept as it is" } else { "are kept as they are" };
            format!(
                "column `{}`: {} {are} written, {}; leave the cell empty where the value is missing",
                name(column),
                found.listed(),
                found.positions()
            )
        });
        missing.chain(kept).collect()
    }
}

impl ColumnWords {
    fn add(&mut self, word: &str) {
        self.count += 1;
        if self.words.len() < MAX_WORDS_REPORTED && !self.words.iter().any(|known| known == word) {
            self.words.push(word.to_string());
        }
    }

    fn listed(&self) -> String {
        self.words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    }

    fn positions(&self) -> String {
        match self.count {
            1 => format!("1 value ({})", self.first),
            count => format!("{count} values (the first: {})", self.first),
        }
    }
}

/// The meaning of a word in a column with this purpose.
fn meaning(word: &str, purpose: Purpose) -> Meaning {
    if word.len() > MAX_WORD_BYTES {
        return Meaning::Value;
    }
    let is_possibly_missing = POSSIBLY_MISSING_WORDS.contains(&word);
    match purpose {
        _ if MISSING_WORDS.contains(&word) => Meaning::Missing,
        Purpose::Image | Purpose::Text | Purpose::Id | Purpose::Patient | Purpose::Split if is_possibly_missing => {
            Meaning::Missing
        }
        Purpose::Label | Purpose::Answer if is_possibly_missing => Meaning::PossiblyMissing,
        _ => Meaning::Value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_missing_only_where_it_cannot_be_a_value() {
        for word in MISSING_WORDS {
            assert!(word.len() <= MAX_WORD_BYTES, "{word}");
            assert_eq!(meaning(word, Purpose::Text), Meaning::Missing, "{word}");
            assert_eq!(meaning(word, Purpose::Label), Meaning::Missing, "{word}");
            assert_eq!(meaning(word, Purpose::Field), Meaning::Missing, "{word}");
        }
        for word in POSSIBLY_MISSING_WORDS {
            assert_eq!(meaning(word, Purpose::Patient), Meaning::Missing, "{word}");
            assert_eq!(meaning(word, Purpose::Label), Meaning::PossiblyMissing, "{word}");
            assert_eq!(meaning(word, Purpose::Field), Meaning::Value, "{word}");
        }
        for word in ["", "Na", "nano", "normal", "0", "n", "no", "N / A and more", "NaN NaN"] {
            assert_eq!(meaning(word, Purpose::Text), Meaning::Value, "{word}");
        }
    }
}
