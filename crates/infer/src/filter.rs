//! Filters on the data of a vector's row, in the syntax of SQL conditions: `finding = "pneumonia" and not age >= 60`.
//!
//! Names are the columns that every row has (`id`, `modality`, `patient`, `source`, `split`, `text`, `path`) and the row's
//! labels and fields. The literal decides the type of a comparison: a literal in quotation marks is a text, whatever it looks
//! like; a literal without them is a number. Numbers are compared exactly, however long they are. A value that is not a number
//! is not equal to any number, and neither less nor greater than any; [`Filter::notes`] counts such values. Texts are compared
//! in Unicode's composed form (NFC). A name may have several values in a row: a comparison is true if it is true for one of
//! them, and false if there is none. `!=` is the same as `not =`.

mod advice;
mod decimal;
mod predicate;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use ptu_data::vectors::VectorRow;

use crate::InferError;
use decimal::Decimal;
use predicate::{ColumnRef, Literal, Predicate};

/// A condition on rows; the rows for which it is true are searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Predicate);

/// Notes for the user about values and rows for which a filter may not do what was meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterNotes {
    /// For each name that is compared with a number: how many of its values are not numbers.
    pub no_numbers: BTreeMap<String, u64>,
    /// For each name that is compared by order with a text that looks like a number: how many of its values look like numbers
    /// too. They are compared letter by letter.
    pub as_texts: BTreeMap<String, u64>,
    /// For each name with `not` before it: how many rows have no value of it. The condition with `not` is true for these rows.
    pub absent: BTreeMap<String, u64>,
}

impl Filter {
    /// Parses a filter; `names` are the names of labels and fields that it may use, besides the columns that every row has.
    ///
    /// # Errors
    /// If the filter cannot be parsed, is not a condition, or uses a name that no row has. The error names the place in the
    /// filter.
    pub fn parse(filter: &str, names: &BTreeSet<String>) -> Result<Self, InferError> {
        if filter.len() > read::LIMIT {
            let start = filter.chars().take(40).collect();
            return Err(InferError::Filter {
                filter: start,
                cause: format!("it is longer than {} bytes; search several times with shorter ones", read::LIMIT),
            });
        }
        let failed = |cause: String| InferError::Filter { filter: filter.into(), cause };
        read::read(filter, names).map(Self).map_err(failed)
    }

    /// True if the filter keeps a row.
    pub fn keeps(&self, row: &VectorRow) -> bool {
        self.0.is_true(row)
    }

    /// Counts the values and rows that the user should know about, among the rows that are searched.
    pub fn notes<'a>(&self, rows: impl Iterator<Item = &'a VectorRow>) -> FilterNotes {
        let (mut numbers, mut texts, mut negated): (Vec<&ColumnRef>, Vec<&ColumnRef>, Vec<&ColumnRef>) =
            (vec![], vec![], vec![]);
        self.0.visit(false, &mut |name, condition, not| {
            let is_number = |literal: &&Literal| matches!(literal, Literal::Number(_));
            let looks_like_number =
                |literal: &&Literal| matches!(literal, Literal::Text(text) if Decimal::parse(text).is_some());
            let literals = condition.literals();
            let groups = [
                (literals.iter().any(is_number), &mut numbers),
                (condition.is_order() && literals.iter().any(looks_like_number), &mut texts),
                (not, &mut negated),
            ];
            for (applies, names) in groups {
                if applies && !names.contains(&name) {
                    names.push(name);
                }
            }
        });
        let mut notes = FilterNotes::default();
        for row in rows {
            let count = |name: &ColumnRef, numbers: bool| {
                name.values(row).filter(|value| Decimal::parse(value).is_some() == numbers).count() as u64
            };
            numbers.iter().for_each(|name| add(&mut notes.no_numbers, name, count(name, false)));
            texts.iter().for_each(|name| add(&mut notes.as_texts, name, count(name, true)));
            let absent = |name: &ColumnRef| u64::from(name.values(row).next().is_none());
            negated.iter().for_each(|name| add(&mut notes.absent, name, absent(name)));
        }
        notes
    }
}

/// Adds to the count of a name.
fn add(counts: &mut BTreeMap<String, u64>, name: &ColumnRef, count: u64) {
    if count > 0 {
        *counts.entry(name.written.clone()).or_default() += count;
    }
}

impl FilterNotes {
    /// One sentence for each note, for the user.
    pub fn lines(&self) -> Vec<String> {
        let number = |count: u64, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let no_numbers = self.no_numbers.iter().map(|(name, &count)| match count {
            1 => format!("1 value of `{name}` is not a number"),
            _ => format!("{count} values of `{name}` are not numbers"),
        });
        let as_texts = self.as_texts.iter().map(|(name, &count)| {
            let count = number(count, "value", "values");
            format!(
                "`{name}` is compared with a text, letter by letter, but {count} of it look like numbers; to compare numbers, remove \
                 the quotation marks"
            )
        });
        let absent = self.absent.iter().map(|(name, &count)| {
            let (count, is) = (number(count, "row has", "rows have"), if count == 1 { "is" } else { "are" });
            format!(
                "{count} no `{name}` and {is} kept by the condition with `not` or `!=`; add `and {name} is not null` to remove them"
            )
        });
        no_numbers.chain(as_texts).chain(absent).collect()
    }
}

#[cfg(test)]
mod tests;
