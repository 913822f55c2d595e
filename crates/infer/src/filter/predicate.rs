//! Predicates: the conditions of a parsed filter, and how they are evaluated on a row.

use std::borrow::Cow;
use std::cmp::Ordering;

use ptu_data::vectors::VectorRow;
use ptu_input::text::name_key;

use super::decimal::Decimal;

/// A condition on one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// All conditions are true.
    And(Vec<Predicate>),
    /// At least one condition is true.
    Or(Vec<Predicate>),
    /// The condition is false.
    Not(Box<Predicate>),
    /// At least one value of the column meets the condition.
    AnyValue(ColumnRef, ValueCondition),
    /// The column has no value.
    IsNull(ColumnRef),
}

/// A condition on one value.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueCondition {
    /// Comparison with a literal.
    Compare(Operator, Literal),
    /// Between two literals, both included.
    Between(Literal, Literal),
    /// Matches a pattern; with `any_case` upper and lower case are equal.
    Like { pattern: String, any_case: bool },
}

/// A comparison operator.
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

/// A literal value in a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A text in quotation marks, in the form in which names are compared.
    Text(String),
    /// A number, without quotation marks.
    Number(Decimal),
    /// `true` or `false` without quotation marks. It is equal to this word in upper or lower case.
    Truth(bool),
}

/// A name in a filter, and the columns that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRef {
    /// The name as it is written in the filter.
    pub written: String,
    /// The built-in column with this name, if there is one.
    pub built_in: Option<BuiltInColumn>,
    /// The labels and fields with this name, in all their spellings.
    pub spellings: Vec<String>,
}

/// A column that every row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltInColumn {
    Id,
    Modality,
    Patient,
    Source,
    Split,
    Text,
    Path,
}

impl BuiltInColumn {
    /// All built-in columns.
    pub const ALL: [Self; 7] =
        [Self::Id, Self::Modality, Self::Patient, Self::Source, Self::Split, Self::Text, Self::Path];

    /// The name of the column in filters.
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

    /// The value of the column in a row; `None` if it is empty.
    fn value(self, row: &VectorRow) -> Option<&str> {
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

impl ColumnRef {
    /// All values of the column in a row.
    pub fn values<'a>(&'a self, row: &'a VectorRow) -> impl Iterator<Item = &'a str> {
        let named = row.labels.iter().chain(&row.fields).filter(|label| self.spellings.contains(&label.name));
        self.built_in.and_then(|column| column.value(row)).into_iter().chain(named.map(|label| label.value.as_str()))
    }
}

impl Predicate {
    /// True if the condition is true for a row.
    pub fn is_true(&self, row: &VectorRow) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.is_true(row)),
            Self::Or(parts) => parts.iter().any(|part| part.is_true(row)),
            Self::Not(inner) => !inner.is_true(row),
            Self::AnyValue(name, condition) => name.values(row).any(|value| condition.is_true(value)),
            Self::IsNull(name) => name.values(row).next().is_none(),
        }
    }

    /// Calls `visitor` with each name, the condition on its values, and whether the condition is negated.
    pub fn visit<'a>(&'a self, negated: bool, visitor: &mut dyn FnMut(&'a ColumnRef, &'a ValueCondition, bool)) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.visit(negated, visitor)),
            Self::Not(inner) => inner.visit(!negated, visitor),
            Self::AnyValue(name, condition) => visitor(name, condition, negated),
            Self::IsNull(_) => {}
        }
    }
}

impl ValueCondition {
    fn is_true(&self, value: &str) -> bool {
        match self {
            Self::Compare(operator, literal) => operator.is_true(value, literal),
            Self::Between(low, high) => Operator::AtLeast.is_true(value, low) && Operator::AtMost.is_true(value, high),
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

    /// True if values are compared by order, not only for equality or with a pattern.
    pub fn is_order(&self) -> bool {
        !matches!(self, Self::Compare(Operator::Equal, _) | Self::Like { .. })
    }
}

/// The text in lower case, in the form in which names are compared.
pub fn lower(text: &str) -> String {
    name_key(&name_key(text).to_lowercase()).into_owned()
}

impl Operator {
    fn is_true(self, value: &str, literal: &Literal) -> bool {
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

/// True if a text matches a pattern, in which `%` stands for any number of characters and `_` for one.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut in_pattern, mut last_star) = (0, 0, None);
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some('%') => {
                last_star = Some((at, in_pattern));
                in_pattern += 1;
            }
            Some(letter) if *letter == '_' || *letter == text[at] => (at, in_pattern) = (at + 1, in_pattern + 1),
            // No match here: the last `%` takes one more character, and matching continues after it.
            _ => match last_star {
                Some((from, star)) => {
                    last_star = Some((from + 1, star));
                    (at, in_pattern) = (from + 1, star + 1);
                }
                None => return false,
            },
        }
    }
    pattern[in_pattern..].iter().all(|letter| *letter == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_any_letters() {
        assert!(is_like("abcabd", "a%bd") && is_like("", "%") && is_like("é", "_") && is_like("aaa", "%a%a"));
        assert!(!is_like("abc", "a_") && !is_like("abc", "") && !is_like("abcx", "%c"));
    }
}
