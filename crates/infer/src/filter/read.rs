//! From words of SQL to tests.

use std::collections::BTreeSet;

use ptu_data::record::Split;
use ptu_data::vectors::Modality;
use ptu_input::text::name_key;
use sqlparser::ast::{BinaryOperator, Expr, InTarget, Spanned, UnaryOperator, Value};
use sqlparser::dialect::MySqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::advice::{check_marks, other_names, unreadable};
use super::decimal::Decimal;
use super::test::{Literal, Name, Operator, Own, Test, Values, lower};

/// The longest filter, in bytes.
pub const LIMIT: usize = 10_000;

/// Words that mean the same wherever they stand; a label of such a name stands in backticks.
const GRAMMAR: [&str; 12] =
    ["and", "or", "not", "in", "is", "null", "like", "ilike", "between", "true", "false", "escape"];

/// Of all dialects, this one takes "words" in double quotation marks for a value.
const DIALECT: MySqlDialect = MySqlDialect {};

/// The test that a filter is, over rows that have labels and fields of these names; what is wrong with it, and where.
pub fn read(filter: &str, names: &BTreeSet<String>) -> Result<Test, String> {
    let reading = Reading { names };
    check_marks(filter)?;
    let failed = |error: ParserError| unreadable(&error.to_string(), filter);
    let mut tokens =
        Tokenizer::new(&DIALECT, filter).tokenize_with_location().map_err(ParserError::from).map_err(failed)?;
    tokens.iter_mut().for_each(|token| reading.quote(token));
    let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(tokens);
    let expression = parser.parse_expr().map_err(failed)?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => reading.test(&expression),
        token => Err(format!(
            "`{token}` was not expected, at column {}; join comparisons by and, or, not, and write texts in quotation marks",
            rest.span.start.column
        )),
    }
}

/// From the parser's tree to tests.
struct Reading<'a> {
    names: &'a BTreeSet<String>,
}

impl Reading<'_> {
    /// Makes a name of a word that a row has and that the parser would take for one of its own, for example `group`.
    fn quote(&self, token: &mut TokenWithSpan) {
        if let Token::Word(word) = &token.token {
            let is_grammar = GRAMMAR.iter().any(|known| word.value.eq_ignore_ascii_case(known));
            if word.keyword != Keyword::NoKeyword && !is_grammar && self.known(&word.value).is_some() {
                token.token = Token::make_word(&word.value, Some('`'));
            }
        }
    }

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
            Expr::BinaryOp { left, op, right } => self.compare(left, op, right),
            Expr::In { expr, target: InTarget::List(list), negated, .. } => {
                let name = self.name(expr)?;
                let equals = list.iter().map(|item| equal(&name, item));
                let any = Test::Any(equals.collect::<Result<_, String>>()?);
                Ok(if *negated { not(any) } else { any })
            }
            Expr::Between { expr, negated, low, high } => {
                let both = Test::Some(self.name(expr)?, between(low, high)?);
                Ok(if *negated { not(both) } else { both })
            }
            Expr::Like { negated, expr, pattern, escape_char: None, any: false } => {
                let like = Values::Like { pattern: name_key(&text(pattern)?).into_owned(), any_case: false };
                let like = Test::Some(self.name(expr)?, like);
                Ok(if *negated { not(like) } else { like })
            }
            Expr::ILike { negated, expr, pattern, escape_char: None, any: false } => {
                let like =
                    Test::Some(self.name(expr)?, Values::Like { pattern: lower(&text(pattern)?), any_case: true });
                Ok(if *negated { not(like) } else { like })
            }
            Expr::IsNull(inner) => Ok(Test::Absent(self.name(inner)?)),
            Expr::IsNotNull(inner) => Ok(not(Test::Absent(self.name(inner)?))),
            other => Err(format!(
                "`{other}`{} is no test; write comparisons such as finding = \"mass\", joined by and, or, not",
                at(other)
            )),
        }
    }

    fn compare(&self, left: &Expr, operator: &BinaryOperator, right: &Expr) -> Result<Test, String> {
        let ordered = |operator| {
            let name = self.name(left)?;
            Ok(Test::Some(name, Values::Compare(operator, ordered(right)?)))
        };
        match operator {
            BinaryOperator::Eq => equal(&self.name(left)?, right),
            BinaryOperator::NotEq => Ok(not(equal(&self.name(left)?, right)?)),
            BinaryOperator::Lt => ordered(Operator::Less),
            BinaryOperator::LtEq => ordered(Operator::AtMost),
            BinaryOperator::Gt => ordered(Operator::More),
            BinaryOperator::GtEq => ordered(Operator::AtLeast),
            other => Err(format!("`{other}` is no comparison{}; write =, !=, <, <=, > or >=", at(right))),
        }
    }

    fn name(&self, expression: &Expr) -> Result<Name, String> {
        let name = match expression {
            Expr::Identifier(name) => &name.value,
            other => {
                return Err(format!(
                    "`{other}`{} is no name; write the name first, then its value; a name that is no plain word stands in \
                     backticks",
                    at(other)
                ));
            }
        };
        self.known(name)
            .ok_or_else(|| format!("no row has `{name}`{}; {}", at(expression), other_names(name, self.names)))
    }

    fn known(&self, name: &str) -> Option<Name> {
        let own = Own::ALL.into_iter().find(|own| own.name() == name);
        let spelled: Vec<String> =
            self.names.iter().filter(|known| name_key(known) == name_key(name)).cloned().collect();
        (own.is_some() || !spelled.is_empty()).then(|| Name { shown: name.to_string(), own, spelled })
    }
}

fn not(test: Test) -> Test {
    Test::Not(Box::new(test))
}

/// A name's value is a literal. What can only be one of a few words is checked.
fn equal(name: &Name, right: &Expr) -> Result<Test, String> {
    let mut wanted = literal(right)?;
    if let (true, Some(own @ (Own::Modality | Own::Split))) = (name.spelled.is_empty(), name.own) {
        let word = match &wanted {
            Literal::Text(word) => closed(own, word),
            _ => None,
        };
        let words = if own == Own::Modality { "`image`, `text` or `pair`" } else { "`train`, `validate` or `test`" };
        let word = word.ok_or_else(|| format!("`{}` is {words}, never {right}{}", own.name(), at(right)))?;
        wanted = Literal::Text(word.to_string());
    }
    Ok(Test::Some(name.clone(), Values::Compare(Operator::Equal, wanted)))
}

/// The word of a closed set that another means.
fn closed(own: Own, word: &str) -> Option<&'static str> {
    match own {
        Own::Modality => Modality::ALL.into_iter().map(Modality::name).find(|name| *name == word),
        _ => word.parse().ok().map(Split::name),
    }
}

/// A literal that has an order.
fn ordered(expression: &Expr) -> Result<Literal, String> {
    match literal(expression)? {
        Literal::Truth(truth) => {
            Err(format!("`{truth}`{} is neither more nor less than anything; write = or !=", at(expression)))
        }
        literal => Ok(literal),
    }
}

/// Two literals that a value can be between: both numbers or both texts.
fn between(low: &Expr, high: &Expr) -> Result<Values, String> {
    let word = |literal: &Literal| if matches!(literal, Literal::Number(_)) { "a number" } else { "a text" };
    let both = (ordered(low)?, ordered(high)?);
    match (word(&both.0), word(&both.1)) {
        (one, other) if one == other => Ok(Values::Between(both.0, both.1)),
        (one, other) => Err(format!(
            "no value is between `{low}`, {one}, and `{high}`, {other}{}; write two numbers, or both in quotation marks",
            at(low)
        )),
    }
}

fn text(expression: &Expr) -> Result<String, String> {
    match literal(expression)? {
        Literal::Text(text) => Ok(text),
        _ => Err(format!("`{expression}`{} is no pattern; write it in quotation marks", at(expression))),
    }
}

fn literal(expression: &Expr) -> Result<Literal, String> {
    let number = |digits: &str| Decimal::parse(digits).map(Literal::Number);
    match expression {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
                Ok(Literal::Text(name_key(text).into_owned()))
            }
            Value::Number(digits, false) => {
                number(digits).ok_or_else(|| format!("`{digits}` is no number; write digits, or a \"text\""))
            }
            Value::Boolean(truth) => Ok(Literal::Truth(*truth)),
            Value::Null => Err(format!("`null`{} is no value; write `is null` or `is not null`", at(expression))),
            other => Err(format!("`{other}`{} is no value; write a number or a \"text\"", at(expression))),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match literal(expr)? {
            Literal::Number(number) => Ok(Literal::Number(number.negated())),
            _ => Err(format!("`{expression}`{} is no value; only a number has a sign", at(expression))),
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => match literal(expr)? {
            Literal::Number(number) => Ok(Literal::Number(number)),
            _ => Err(format!("`{expression}`{} is no value; only a number has a sign", at(expression))),
        },
        Expr::Identifier(word) => Err(format!(
            "`{}`{} is a name where a value is expected; write \"{}\" if a text is meant",
            word.value,
            at(expression),
            word.value
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
