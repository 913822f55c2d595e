//! Parses a filter: from SQL text to predicates.

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
use super::predicate::{BuiltInColumn, ColumnRef, Literal, Operator, Predicate, ValueCondition, lower};

/// The longest filter, in bytes.
pub const LIMIT: usize = 10_000;

/// Reserved words of the filter syntax. A label with such a name must be written in backticks.
const RESERVED: [&str; 12] =
    ["and", "or", "not", "in", "is", "null", "like", "ilike", "between", "true", "false", "escape"];

/// The dialect of the parser. MySQL reads "words" in double quotation marks as a text value, which other dialects do not.
const DIALECT: MySqlDialect = MySqlDialect {};

/// Parses a filter on rows whose labels and fields have these names. The error says what is wrong with the filter, and where.
pub fn read(filter: &str, names: &BTreeSet<String>) -> Result<Predicate, String> {
    let builder = PredicateBuilder { names };
    check_marks(filter)?;
    let failed = |error: ParserError| unreadable(&error.to_string(), filter);
    let mut tokens =
        Tokenizer::new(&DIALECT, filter).tokenize_with_location().map_err(ParserError::from).map_err(failed)?;
    tokens.iter_mut().for_each(|token| builder.quote(token));
    let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(tokens);
    let expression = parser.parse_expr().map_err(failed)?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => builder.predicate(&expression),
        token => Err(format!(
            "`{token}` was not expected, at column {}; join comparisons by and, or, not, and write texts in quotation marks",
            rest.span.start.column
        )),
    }
}

/// Builds predicates from the parser's syntax tree.
struct PredicateBuilder<'a> {
    /// Names of labels and fields.
    names: &'a BTreeSet<String>,
}

impl PredicateBuilder<'_> {
    /// Puts a word in backticks if it is the name of a column and also a keyword of SQL, for example `group`.
    fn quote(&self, token: &mut TokenWithSpan) {
        if let Token::Word(word) = &token.token {
            let is_reserved = RESERVED.iter().any(|reserved| word.value.eq_ignore_ascii_case(reserved));
            if word.keyword != Keyword::NoKeyword && !is_reserved && self.column(&word.value).is_some() {
                token.token = Token::make_word(&word.value, Some('`'));
            }
        }
    }

    fn predicate(&self, expression: &Expr) -> Result<Predicate, String> {
        match expression {
            Expr::Nested(inner) => self.predicate(inner),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(not(self.predicate(expr)?)),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                Ok(Predicate::And(vec![self.predicate(left)?, self.predicate(right)?]))
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                Ok(Predicate::Or(vec![self.predicate(left)?, self.predicate(right)?]))
            }
            Expr::BinaryOp { left, op, right } => self.compare(left, op, right),
            Expr::In { expr, target: InTarget::List(list), negated, .. } => {
                let name = self.name(expr)?;
                let equals = list.iter().map(|item| equal(&name, item));
                let any = Predicate::Or(equals.collect::<Result<_, String>>()?);
                Ok(if *negated { not(any) } else { any })
            }
            Expr::Between { expr, negated, low, high } => {
                let within = Predicate::AnyValue(self.name(expr)?, between(low, high)?);
                Ok(if *negated { not(within) } else { within })
            }
            Expr::Like { negated, expr, pattern, escape_char: None, any: false } => {
                let like = ValueCondition::Like { pattern: name_key(&text(pattern)?).into_owned(), any_case: false };
                let like = Predicate::AnyValue(self.name(expr)?, like);
                Ok(if *negated { not(like) } else { like })
            }
            Expr::ILike { negated, expr, pattern, escape_char: None, any: false } => {
                let name = self.name(expr)?;
                let like = ValueCondition::Like { pattern: lower(&text(pattern)?), any_case: true };
                let like = Predicate::AnyValue(name, like);
                Ok(if *negated { not(like) } else { like })
            }
            Expr::IsNull(inner) => Ok(Predicate::IsNull(self.name(inner)?)),
            Expr::IsNotNull(inner) => Ok(not(Predicate::IsNull(self.name(inner)?))),
            other => Err(format!(
                "`{other}`{} is not a condition; write comparisons such as finding = \"mass\", joined by and, or, not",
                at(other)
            )),
        }
    }

    fn compare(&self, left: &Expr, operator: &BinaryOperator, right: &Expr) -> Result<Predicate, String> {
        let ordered = |operator| {
            let name = self.name(left)?;
            Ok(Predicate::AnyValue(name, ValueCondition::Compare(operator, ordered(right)?)))
        };
        match operator {
            BinaryOperator::Eq => equal(&self.name(left)?, right),
            BinaryOperator::NotEq => Ok(not(equal(&self.name(left)?, right)?)),
            BinaryOperator::Lt => ordered(Operator::Less),
            BinaryOperator::LtEq => ordered(Operator::AtMost),
            BinaryOperator::Gt => ordered(Operator::More),
            BinaryOperator::GtEq => ordered(Operator::AtLeast),
            other => Err(format!("`{other}` is not a comparison{}; write =, !=, <, <=, > or >=", at(right))),
        }
    }

    fn name(&self, expression: &Expr) -> Result<ColumnRef, String> {
        let name = match expression {
            Expr::Identifier(name) => &name.value,
            other => {
                return Err(format!(
                    "`{other}`{} is not a name; write the name first, then the value; write a name that is not a plain word \
                     in backticks",
                    at(other)
                ));
            }
        };
        self.column(name)
            .ok_or_else(|| format!("no row has `{name}`{}; {}", at(expression), other_names(name, self.names)))
    }

    /// The column with this name; `None` if no row has it.
    fn column(&self, name: &str) -> Option<ColumnRef> {
        let built_in = BuiltInColumn::ALL.into_iter().find(|column| column.name() == name);
        let spellings: Vec<String> =
            self.names.iter().filter(|other| name_key(other) == name_key(name)).cloned().collect();
        let exists = built_in.is_some() || !spellings.is_empty();
        exists.then(|| ColumnRef { written: name.to_string(), built_in, spellings })
    }
}

fn not(predicate: Predicate) -> Predicate {
    Predicate::Not(Box::new(predicate))
}

/// The predicate that a value of the column is equal to a literal. For a column that has only a few possible values, the
/// literal must be one of them.
fn equal(name: &ColumnRef, right: &Expr) -> Result<Predicate, String> {
    let mut wanted = literal(right)?;
    let restricted = name.built_in.filter(|column| matches!(column, BuiltInColumn::Modality | BuiltInColumn::Split));
    if let (true, Some(column)) = (name.spellings.is_empty(), restricted) {
        let word = match &wanted {
            Literal::Text(word) => possible_value(column, word),
            _ => None,
        };
        let words = match column {
            BuiltInColumn::Modality => "`image`, `text` or `pair`",
            _ => "`train`, `validate` or `test`",
        };
        let word = word.ok_or_else(|| format!("`{}` is {words}, never {right}{}", column.name(), at(right)))?;
        wanted = Literal::Text(word.to_string());
    }
    Ok(Predicate::AnyValue(name.clone(), ValueCondition::Compare(Operator::Equal, wanted)))
}

/// The possible value of `modality` or `split` that a word stands for; `None` if there is none.
fn possible_value(column: BuiltInColumn, word: &str) -> Option<&'static str> {
    match column {
        BuiltInColumn::Modality => Modality::ALL.into_iter().map(Modality::name).find(|name| *name == word),
        _ => word.parse().ok().map(Split::name),
    }
}

/// A literal that can be compared by order: a number or a text.
fn ordered(expression: &Expr) -> Result<Literal, String> {
    match literal(expression)? {
        Literal::Truth(truth) => Err(format!("`{truth}`{} cannot be compared by order; write = or !=", at(expression))),
        literal => Ok(literal),
    }
}

/// The condition that a value is between two literals, which must both be numbers or both be texts.
fn between(low: &Expr, high: &Expr) -> Result<ValueCondition, String> {
    let word = |literal: &Literal| if matches!(literal, Literal::Number(_)) { "a number" } else { "a text" };
    let (from, to) = (ordered(low)?, ordered(high)?);
    match (word(&from), word(&to)) {
        (one, other) if one == other => Ok(ValueCondition::Between(from, to)),
        (one, other) => Err(format!(
            "no value is between `{low}`, {one}, and `{high}`, {other}{}; write two numbers, or both in quotation marks",
            at(low)
        )),
    }
}

fn text(expression: &Expr) -> Result<String, String> {
    match literal(expression)? {
        Literal::Text(text) => Ok(text),
        _ => Err(format!("`{expression}`{} is not a pattern; write it in quotation marks", at(expression))),
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
                number(digits).ok_or_else(|| format!("`{digits}` is not a number; write digits, or a \"text\""))
            }
            Value::Boolean(truth) => Ok(Literal::Truth(*truth)),
            Value::Null => Err(format!("`null`{} is not a value; write `is null` or `is not null`", at(expression))),
            other => Err(format!("`{other}`{} is not a value; write a number or a \"text\"", at(expression))),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match literal(expr)? {
            Literal::Number(number) => Ok(Literal::Number(number.negated())),
            _ => Err(format!("`{expression}`{} is not a value; only a number can have a sign", at(expression))),
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => match literal(expr)? {
            Literal::Number(number) => Ok(Literal::Number(number)),
            _ => Err(format!("`{expression}`{} is not a value; only a number can have a sign", at(expression))),
        },
        Expr::Identifier(word) => Err(format!(
            "`{}`{} is a name where a value is expected; write \"{}\" if a text is meant",
            word.value,
            at(expression),
            word.value
        )),
        other => Err(format!("`{other}`{} is not a value; write a number or a \"text\"", at(other))),
    }
}

/// The place of an expression, such as ` at column 9`; empty if the parser does not know it.
fn at(expression: &Expr) -> String {
    match expression.span().start.column {
        0 => String::new(),
        column => format!(" at column {column}"),
    }
}
