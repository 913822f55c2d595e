//! Tests of a row, once a filter has been read.

use std::borrow::Cow;
use std::cmp::Ordering;

use ptu_data::vectors::VectorRow;
use ptu_input::text::name_key;

use super::decimal::Decimal;

/// A test of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// All hold.
    All(Vec<Test>),
    /// One holds.
    Any(Vec<Test>),
    /// It does not hold.
    Not(Box<Test>),
    /// One of the values under a name passes.
    Some(Name, Values),
    /// There is no value under a name.
    Absent(Name),
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// In order to a literal.
    Compare(Operator, Literal),
    /// Between two literals, both included.
    Between(Literal, Literal),
    /// Like a pattern, whatever the case of letters with `any_case`.
    Like { pattern: String, any_case: bool },
}

/// How a value stands to a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// What stands in a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// In quotation marks; in the form in which names are compared.
    Text(String),
    /// Without them.
    Number(Decimal),
    /// `true` or `false` without them: the word, in any case of letters.
    Truth(bool),
}

/// A name of a filter, and whose values it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// As it is shown.
    pub shown: String,
    /// What every row has under it.
    pub own: Option<Own>,
    /// Labels and fields that have it, as they spell it.
    pub spelled: Vec<String>,
}

/// What every row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    Id,
    Modality,
    Patient,
    Source,
    Split,
    Text,
    Path,
}

impl Own {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Id, Self::Modality, Self::Patient, Self::Source, Self::Split, Self::Text, Self::Path];

    /// The name in filters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Modality => "modality",
            Self::Patient => "patient",
            Self::Source => "source",
            Self::Split => "split",
            Self::Text => "text",
            Self::Path => "path",
        }
    }

    fn of(self, row: &VectorRow) -> Option<&str> {
        match self {
            Self::Id => Some(&row.id),
            Self::Modality => Some(row.modality.name()),
            Self::Patient => Some(&row.patient),
            Self::Source => Some(&row.source),
            Self::Split => row.split.map(|split| split.name()),
            Self::Text => row.text.as_deref(),
            Self::Path => row.path.as_deref(),
        }
    }
}

impl Name {
    /// The values that a row has under it.
    pub fn values<'a>(&'a self, row: &'a VectorRow) -> impl Iterator<Item = &'a str> {
        let named = row.labels.iter().chain(&row.fields).filter(|label| self.spelled.contains(&label.name));
        self.own.and_then(|own| own.of(row)).into_iter().chain(named.map(|label| label.value.as_str()))
    }
}

impl Test {
    /// Whether a row passes.
    pub fn holds(&self, row: &VectorRow) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(row)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(row)),
            Self::Not(test) => !test.holds(row),
            Self::Some(name, wanted) => name.values(row).any(|value| wanted.holds(value)),
            Self::Absent(name) => name.values(row).next().is_none(),
        }
    }

    /// Every name with what is wanted of its values, and whether a `not` stands before it.
    pub fn each<'a>(&'a self, negated: bool, see: &mut dyn FnMut(&'a Name, &'a Values, bool)) {
        match self {
            Self::All(tests) | Self::Any(tests) => tests.iter().for_each(|test| test.each(negated, see)),
            Self::Not(test) => test.each(!negated, see),
            Self::Some(name, wanted) => see(name, wanted, negated),
            Self::Absent(_) => {}
        }
    }
}

impl Values {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Compare(operator, literal) => operator.holds(value, literal),
            Self::Between(low, high) => Operator::AtLeast.holds(value, low) && Operator::AtMost.holds(value, high),
            Self::Like { pattern, any_case: false } => is_like(&name_key(value), pattern),
            Self::Like { pattern, any_case: true } => is_like(&lower(value), pattern),
        }
    }

    /// The literals that values are compared with.
    pub fn literals(&self) -> Vec<&Literal> {
        match self {
            Self::Compare(_, literal) => vec![literal],
            Self::Between(low, high) => vec![low, high],
            Self::Like { .. } => vec![],
        }
    }

    /// Whether it asks what comes first, not only what is equal.
    pub fn is_order(&self) -> bool {
        !matches!(self, Self::Compare(Operator::Equal, _) | Self::Like { .. })
    }
}

/// In small letters, in the form in which names are compared.
pub fn lower(text: &str) -> String {
    name_key(&name_key(text).to_lowercase()).into_owned()
}

impl Operator {
    fn holds(self, value: &str, literal: &Literal) -> bool {
        let order = match literal {
            Literal::Text(text) => Some(name_key(value).cmp(&Cow::Borrowed(text.as_str()))),
            Literal::Number(number) => Decimal::parse(value).map(|value| value.cmp(number)),
            Literal::Truth(truth) => value.trim().eq_ignore_ascii_case(&truth.to_string()).then_some(Ordering::Equal),
        };
        order.is_some_and(|order| match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        })
    }
}

/// `%` stands for any characters, `_` for one.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut of, mut again) = (0, 0, None);
    while at < text.len() {
        match pattern.get(of) {
            Some('%') => {
                again = Some((at, of));
                of += 1;
            }
            Some(letter) if *letter == '_' || *letter == text[at] => (at, of) = (at + 1, of + 1),
            // The last `%` takes one character more.
            _ => match again {
                Some((from, star)) => {
                    again = Some((from + 1, star));
                    (at, of) = (from + 1, star + 1);
                }
                None => return false,
            },
        }
    }
    pattern[of..].iter().all(|letter| *letter == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_any_letters() {
        assert!(is_like("abcabd", "a%bd") && is_like("", "%") && is_like("é", "_") && is_like("aaa", "%a%a"));
        assert!(!is_like("abc", "a_") && !is_like("abc", "") && !is_like("abcx", "%c"));
    }
}
