//! Filters on what stands beside a vector, in the words of SQL: `finding = "pneumonia" and not side = "left"`.
//!
//! Names are those of a row (`id`, `half`, `patient`, `source`, `split`, `text`) and of its labels. A label may have several
//! values: a comparison holds if it holds for one of them, and not for a row without the label. Two numbers compare as
//! numbers, anything else as text. `!=` is `not =`.

use std::collections::BTreeSet;

use ptu_data::vectors::VectorRow;
use sqlparser::ast::{BinaryOperator, Expr, InTarget, Spanned, UnaryOperator, Value};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::InferError;

/// The longest filter, in bytes.
const LIMIT: usize = 10_000;

/// Names that every row has.
const FIELDS: [&str; 6] = ["id", "half", "patient", "source", "split", "text"];

/// A test of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter(Test);

#[derive(Clone, Debug, PartialEq)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare { name: String, operator: Operator, value: String },
    Like { name: String, pattern: String, any_case: bool },
    Absent { name: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Filter {
    /// Reads a filter; `labels` are the names that may stand in it besides those of every row.
    ///
    /// # Errors
    /// What cannot be read or is no test, with its place; a name that no row has.
    pub fn parse(filter: &str, labels: &BTreeSet<String>) -> Result<Self, InferError> {
        let wrong = |cause: String| InferError::Filter { filter: filter.into(), cause };
        if filter.len() > LIMIT {
            let start = filter.chars().take(40).collect();
            return Err(InferError::Filter { filter: start, cause: format!("it is longer than {LIMIT} bytes") });
        }
        let read = |error: sqlparser::parser::ParserError| wrong(place_in(&error.to_string(), filter));
        // Of all dialects, this one takes "words" in double quotation marks for a value.
        let mut parser = Parser::new(&MySqlDialect {}).try_with_sql(filter).map_err(read)?;
        let expression = parser.parse_expr().map_err(read)?;
        let rest = parser.peek_token();
        if rest.token != Token::EOF {
            return Err(wrong(format!("`{}` was not expected, at column {}", rest.token, rest.span.start.column)));
        }
        Reading { labels }.test(&expression).map(Self).map_err(wrong)
    }

    /// Whether a row passes.
    pub fn keeps(&self, row: &VectorRow) -> bool {
        self.0.holds(row)
    }
}

/// The parser's words, with the place: `at Line: 1, Column: 9` is `at column 9`, none is the end.
fn place_in(error: &str, filter: &str) -> String {
    let error = error.trim_start_matches("sql parser error: ").replace("Line: 1, Column: ", "column ");
    match error.contains("column ") {
        true => error,
        false => format!("{error}, at column {}", filter.chars().count() + 1),
    }
}

/// From the parser's tree to tests.
struct Reading<'a> {
    labels: &'a BTreeSet<String>,
}

impl Reading<'_> {
    fn test(&self, expression: &Expr) -> Result<Test, String> {
        match expression {
            Expr::Nested(inner) => self.test(inner),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(not(self.test(expr)?)),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                Ok(Test::All(vec![self.test(left)?, self.test(right)?]))
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                Ok(Test::Any(vec![self.test(left)?, self.test(right)?]))
            }
            Expr::BinaryOp { left, op, right } => {
                let (name, value) = (self.name(left)?, value(right)?);
                let compare = |operator| Test::Compare { name, operator, value };
                match op {
                    BinaryOperator::Eq => Ok(compare(Operator::Equal)),
                    BinaryOperator::NotEq => Ok(not(compare(Operator::Equal))),
                    BinaryOperator::Lt => Ok(compare(Operator::Less)),
                    BinaryOperator::LtEq => Ok(compare(Operator::AtMost)),
                    BinaryOperator::Gt => Ok(compare(Operator::More)),
                    BinaryOperator::GtEq => Ok(compare(Operator::AtLeast)),
                    other => Err(format!("`{other}` is no comparison{}; write =, !=, <, <=, > or >=", at(right))),
                }
            }
            Expr::In { expr, target: InTarget::List(list), negated, .. } => {
                let name = self.name(expr)?;
                let equals = list.iter().map(|item| {
                    Ok(Test::Compare { name: name.clone(), operator: Operator::Equal, value: value(item)? })
                });
                let any = Test::Any(equals.collect::<Result<_, String>>()?);
                Ok(if *negated { not(any) } else { any })
            }
            Expr::Between { expr, negated, low, high } => {
                let compare = |operator, bound: &Expr| {
                    Ok::<_, String>(Test::Compare { name: self.name(expr)?, operator, value: value(bound)? })
                };
                let both = Test::All(vec![compare(Operator::AtLeast, low)?, compare(Operator::AtMost, high)?]);
                Ok(if *negated { not(both) } else { both })
            }
            Expr::Like { negated, expr, pattern, .. } => self.like(*negated, expr, pattern, false),
            Expr::ILike { negated, expr, pattern, .. } => self.like(*negated, expr, pattern, true),
            Expr::IsNull(inner) => Ok(Test::Absent { name: self.name(inner)? }),
            Expr::IsNotNull(inner) => Ok(not(Test::Absent { name: self.name(inner)? })),
            other => Err(format!(
                "`{other}`{} is no test; write comparisons such as finding = \"mass\", joined by and, or, not",
                at(other)
            )),
        }
    }

    fn like(&self, negated: bool, name: &Expr, pattern: &Expr, any_case: bool) -> Result<Test, String> {
        let like = Test::Like { name: self.name(name)?, pattern: value(pattern)?, any_case };
        Ok(if negated { not(like) } else { like })
    }

    fn name(&self, expression: &Expr) -> Result<String, String> {
        let Expr::Identifier(name) = expression else {
            return Err(format!("`{expression}`{} is no name; write the name first, then its value", at(expression)));
        };
        let name = &name.value;
        if FIELDS.contains(&name.as_str()) || self.labels.contains(name) {
            return Ok(name.clone());
        }
        let known: Vec<&str> = self.labels.iter().map(String::as_str).chain(FIELDS).take(40).collect();
        Err(format!("no row has `{name}`{}; there is `{}`", at(expression), known.join("`, `")))
    }
}

fn not(test: Test) -> Test {
    Test::Not(Box::new(test))
}

fn value(expression: &Expr) -> Result<String, String> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Ok(text.clone()),
            Value::Number(number, _) => Ok(number.clone()),
            Value::Boolean(word) => Ok(word.to_string()),
            other => Err(format!("`{other}`{} is no value; write a number or a \"text\"", at(expression))),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Ok(format!("-{}", value(expr)?)),
        Expr::Identifier(word) => Err(format!(
            "`{word}`{} is a name where a value is expected; write \"{word}\" if a text is meant",
            at(expression)
        )),
        other => Err(format!("`{other}`{} is no value; write a number or a \"text\"", at(other))),
    }
}

/// ` at column 9`, where the parser knows it.
fn at(expression: &Expr) -> String {
    match expression.span().start.column {
        0 => String::new(),
        column => format!(" at column {column}"),
    }
}

impl Test {
    fn holds(&self, row: &VectorRow) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(row)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(row)),
            Self::Not(test) => !test.holds(row),
            Self::Compare { name, operator, value } => values(row, name).any(|found| operator.holds(found, value)),
            Self::Like { name, pattern, any_case } => values(row, name).any(|found| match any_case {
                true => is_like(&found.to_lowercase(), &pattern.to_lowercase()),
                false => is_like(found, pattern),
            }),
            Self::Absent { name } => values(row, name).next().is_none(),
        }
    }
}

/// What a row has under a name.
fn values<'a>(row: &'a VectorRow, name: &'a str) -> impl Iterator<Item = &'a str> {
    let field = match name {
        "id" => Some(row.id.as_str()),
        "half" => Some(row.half.name()),
        "patient" => Some(row.patient.as_str()),
        "source" => Some(row.source.as_str()),
        "split" => row.split.map(|split| split.name()),
        "text" => row.text.as_deref(),
        _ => None,
    };
    let labels = row.labels.iter().filter(move |label| !FIELDS.contains(&name) && label.name == name);
    field.into_iter().chain(labels.map(|label| label.value.as_str()))
}

impl Operator {
    fn holds(self, found: &str, value: &str) -> bool {
        let order = match (found.parse::<f64>(), value.parse::<f64>()) {
            (Ok(found), Ok(value)) => found.partial_cmp(&value),
            _ => Some(found.cmp(value)),
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
    use ptu_data::record::{Label, Split};
    use ptu_data::vectors::Half;

    use super::*;

    fn row(labels: &[(&str, &str)]) -> VectorRow {
        let label = |(name, value): &(&str, &str)| Label { name: name.to_string(), value: value.to_string() };
        VectorRow {
            id: "r7".into(),
            half: Half::Image,
            patient: "p1".into(),
            source: "own".into(),
            split: Some(Split::Test),
            labels: labels.iter().map(label).collect(),
            text: None,
            picture: None,
            vector: vec![],
        }
    }

    fn names() -> BTreeSet<String> {
        ["finding", "age", "view position"].map(str::to_string).into()
    }

    fn keeps(filter: &str) -> bool {
        let row = row(&[("finding", "mass"), ("finding", "effusion"), ("age", "61"), ("view position", "AP")]);
        Filter::parse(filter, &names()).unwrap().keeps(&row)
    }

    #[test]
    fn comparisons_hold_as_one_reads_them() {
        for filter in [
            "finding = \"mass\"",
            "finding = 'effusion' and age > 7",
            "age between 60 and 61.0",
            "not finding = \"pneumonia\" and split = \"test\"",
            "finding != \"pneumonia\"",
            "(age < 5 or half = 'image') and `view position` in ('AP', 'PA')",
            "finding like 'ef%n' and patient ilike 'P_'",
            "text is null and finding is not null",
            "finding not in ('x') and age >= -3",
        ] {
            assert!(keeps(filter), "{filter}");
        }
        for filter in [
            "finding = \"Mass\"",
            "finding != \"mass\"",
            "age > 100",
            "text = ''",
            "id like 'r'",
            "age not between 1 and 99",
        ] {
            assert!(!keeps(filter), "{filter}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_pointed_at() {
        let fails = |filter: &str, parts: &[&str]| {
            let error = Filter::parse(filter, &names()).unwrap_err().to_string();
            parts.iter().for_each(|part| assert!(error.contains(part), "`{part}` is not in: {error}"));
        };
        fails("finding = ", &["finding = ", "column 1"]);
        fails("finding = \"mass", &["column 11"]);
        fails("finding = mass", &["`mass` at column 11", "\"mass\""]);
        fails("findings = 'mass'", &["no row has `findings` at column 1", "`finding`"]);
        fails("age > 3 age", &["`age` was not expected, at column 9"]);
        fails("'mass' = finding", &["is no name"]);
        fails("age + 1", &["`+` is no comparison"]);
        fails("lower(finding) = 'x'", &["`lower(finding)`"]);
        fails("age", &["`age` at column 1 is no test"]);
        fails("", &["column 1"]);
        fails(&"(".repeat(5000), &["recursion"]);
        fails(&"a".repeat(20_000), &["longer than"]);
    }

    #[test]
    fn patterns_take_any_letters() {
        assert!(is_like("abcabd", "a%bd") && is_like("", "%") && is_like("é", "_") && is_like("aaa", "%a%a"));
        assert!(!is_like("abc", "a_") && !is_like("abc", "") && !is_like("abcx", "%c"));
    }
}
