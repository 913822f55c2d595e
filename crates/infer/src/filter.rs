//! Filters on what stands beside a vector, in the words of SQL: `finding = "pneumonia" and not age >= 60`.
//!
//! Names are those of a row (`id`, `modality`, `patient`, `source`, `split`, `text`, `path`) and of its labels and fields. The
//! literal says what is meant: in quotation marks a text, whatever it looks like; without them a number. Numbers are exact,
//! however long. A value that is no number equals none, and is neither more nor less than any: [`Filter::told`] counts such
//! values. Texts compare in Unicode's composed form. A name may have several values: a comparison holds if it holds for one of
//! them, and not for a row that has none. `!=` is `not =`.

mod advice;
mod decimal;
mod read;
mod test;

use std::collections::{BTreeMap, BTreeSet};

use ptu_data::vectors::VectorRow;

use crate::InferError;
use decimal::Decimal;
use test::{Literal, Name, Test};

/// A test of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Test);

/// What a person should know of the rows that a filter looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterNotes {
    /// For each name that is compared with a number, how many of its values are none.
    pub no_numbers: BTreeMap<String, u64>,
    /// For each name that is more or less than a text that looks like a number, how many of its values do so too: they are
    /// compared letter by letter.
    pub as_texts: BTreeMap<String, u64>,
    /// For each name with `not` before it, how many rows have no value of it: they pass that part.
    pub absent: BTreeMap<String, u64>,
}

impl Filter {
    /// Reads a filter; `names` are those of labels and fields, which may stand in it besides those that every row has.
    ///
    /// # Errors
    /// What cannot be read or is no test, with its place; a name that no row has.
    pub fn parse(filter: &str, names: &BTreeSet<String>) -> Result<Self, InferError> {
        if filter.len() > read::LIMIT {
            let start = filter.chars().take(40).collect();
            return Err(InferError::Filter {
                filter: start,
                cause: format!("it is longer than {} bytes; search several times with shorter ones", read::LIMIT),
            });
        }
        let wrong = |cause: String| InferError::Filter { filter: filter.into(), cause };
        read::read(filter, names).map(Self).map_err(wrong)
    }

    /// Whether a row passes.
    pub fn keeps(&self, row: &VectorRow) -> bool {
        self.0.holds(row)
    }

    /// Counts what a person should know of the rows that are looked at.
    pub fn told<'a>(&self, rows: impl Iterator<Item = &'a VectorRow>) -> FilterNotes {
        let (mut numbers, mut texts, mut negated): (Vec<&Name>, Vec<&Name>, Vec<&Name>) = (vec![], vec![], vec![]);
        self.0.each(false, &mut |name, wanted, not| {
            let is_number = |literal: &&Literal| matches!(literal, Literal::Number(_));
            let looks_so =
                |literal: &&Literal| matches!(literal, Literal::Text(text) if Decimal::parse(text).is_some());
            let literals = wanted.literals();
            let seen = [
                (literals.iter().any(is_number), &mut numbers),
                (wanted.is_order() && literals.iter().any(looks_so), &mut texts),
                (not, &mut negated),
            ];
            for (applies, names) in seen {
                if applies && !names.contains(&name) {
                    names.push(name);
                }
            }
        });
        let mut told = FilterNotes::default();
        for row in rows {
            let count = |name: &Name, numbers: bool| {
                name.values(row).filter(|value| Decimal::parse(value).is_some() == numbers).count() as u64
            };
            numbers.iter().for_each(|name| add(&mut told.no_numbers, name, count(name, false)));
            texts.iter().for_each(|name| add(&mut told.as_texts, name, count(name, true)));
            let absent = |name: &Name| u64::from(name.values(row).next().is_none());
            negated.iter().for_each(|name| add(&mut told.absent, name, absent(name)));
        }
        told
    }
}

fn add(counts: &mut BTreeMap<String, u64>, name: &Name, count: u64) {
    if count > 0 {
        *counts.entry(name.shown.clone()).or_default() += count;
    }
}

impl FilterNotes {
    /// A line for each, for people.
    pub fn lines(&self) -> Vec<String> {
        let number = |count: u64, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let no_numbers = self.no_numbers.iter().map(|(name, &count)| match count {
            1 => format!("1 value of `{name}` is no number"),
            _ => format!("{count} values of `{name}` are no numbers"),
        });
        let as_texts = self.as_texts.iter().map(|(name, &count)| {
            let count = number(count, "value", "values");
            format!(
                "`{name}` is compared with a text, letter by letter, although {count} of it look like numbers; for numbers leave \
                 out the quotation marks"
            )
        });
        let absent = self.absent.iter().map(|(name, &count)| {
            let (count, pass) = (number(count, "row has", "rows have"), if count == 1 { "passes" } else { "pass" });
            format!("{count} no `{name}` and {pass} what says not; add `and {name} is not null` to leave them out")
        });
        no_numbers.chain(as_texts).chain(absent).collect()
    }
}

#[cfg(test)]
mod tests;
