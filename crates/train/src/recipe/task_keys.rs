//! Messages about wrong keys and values of `[task]`. The form of this table depends on its `kind`, so the library that reads it knows
//! neither the key of a wrong value nor its words for users.

use std::path::Path;

use toml::{Table, Value};

use super::similar::most_similar;
use super::task::TaskRecipe;
use crate::RecipeError;

/// The error for a table `[task]` that cannot be read; `message` is that of the library.
pub fn error(task: &Table, message: &str, path: &Path) -> RecipeError {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let value = |key: String, cause: String| RecipeError::Value { path: path.into(), key, cause };
    let (named, allowed) = (quoted.first().copied().unwrap_or_default(), quoted.get(1..).unwrap_or_default());
    let listed = allowed.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let key_of = |is_it: &dyn Fn(&Value) -> bool| place(task, is_it).map_or("task".into(), |key| format!("task.{key}"));
    if let Some(field) = message.strip_prefix("missing field ").map(|_| named) {
        let cause = match field {
            "kind" => format!("is missing; write one of {}", kinds()),
            "label" => {
                "is missing; name the label whose values are the classes, for example label = \"finding\"".into()
            }
            "labels" => "is missing; list the labels, for example labels = [\"Edema\", \"Fracture\"]".into(),
            _ => "is missing; write it below `[task]`".into(),
        };
        return value(format!("task.{field}"), cause);
    }
    if message.starts_with("unknown field") {
        let names: Vec<String> = allowed.iter().map(|name| name.to_string()).collect();
        let nearest = most_similar(named, names.iter()).map(|nearest| format!("task.{nearest}"));
        let kind = task.get("kind").and_then(Value::as_str).unwrap_or_default();
        return match nearest {
            Some(_) => RecipeError::UnknownKey { path: path.into(), key: format!("task.{named}"), nearest },
            None => {
                value(format!("task.{named}"), format!("is no key of the task `{kind}`, which has `kind`, {listed}"))
            }
        };
    }
    if message.starts_with("unknown variant") {
        let key = key_of(&|value| value.as_str() == Some(named));
        return value(key, format!("is `{named}`; write one of {listed}"));
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        let kind = found.split([' ', ',']).next().unwrap_or_default();
        let key = key_of(&|value| type_name(value) == kind && shown(value).is_none_or(|shown| found.contains(&shown)));
        return value(key, format!("is a value of the wrong type ({found}); it must be {expected}"));
    }
    value("task".into(), message.to_string())
}

/// The key of the first value for which `is_it` is true, with dots; values within lists have the key of the list.
fn place(table: &Table, is_it: &dyn Fn(&Value) -> bool) -> Option<String> {
    table.iter().find_map(|(key, value)| match value {
        Value::Table(inner) => place(inner, is_it).map(|inner| format!("{key}.{inner}")),
        Value::Array(values) if values.iter().any(is_it) => Some(key.clone()),
        value => is_it(value).then(|| key.clone()),
    })
}

/// The first word of the library for the type of a value.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Integer(_) => "integer",
        Value::Float(_) => "floating",
        Value::Boolean(_) => "boolean",
        Value::Array(_) => "sequence",
        Value::Table(_) | Value::Datetime(_) => "map",
    }
}

/// The value as the library writes it; `None` for values that it does not write.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(format!("{text:?}")),
        Value::Integer(number) => Some(format!("`{number}`")),
        Value::Boolean(is_true) => Some(format!("`{is_true}`")),
        _ => None,
    }
}

/// The kinds of tasks, listed by the library for a kind that does not exist.
fn kinds() -> String {
    let none = Table::from_iter([("kind".to_string(), Value::String(String::new()))]);
    let message =
        Value::Table(none).try_into::<TaskRecipe>().map_or_else(|error| error.message().to_string(), |_| String::new());
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).filter(|name| !name.is_empty()).collect();
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::Recipe;
    use super::*;

    #[test]
    fn errors_name_the_key_and_what_is_allowed() {
        for (task, words) in [
            ("label = \"x\"", &["`task.kind` is missing", "`classification`", "`vqa`"][..]),
            ("kind = \"clasification\"\nlabel = \"x\"", &["`task.kind` is `clasification`", "`classification`"]),
            ("kind = \"classification\"", &["`task.label` is missing", "label = \"finding\""]),
            ("kind = \"multilabel\"", &["`task.labels` is missing"]),
            ("kind = \"classification\"\nlabl = \"x\"", &["`task.labl`", "did you mean `task.label`?"]),
            ("kind = \"vqa\"\nmeasure = 3", &["`task.measure` is no key of the task `vqa`", "`answers`"]),
            ("kind = \"classification\"\nlabel = 3", &["`task.label` is a value of the wrong type", "string"]),
            (
                "kind = \"classification\"\nlabel = \"x\"\ninput = \"imge\"",
                &["`task.input` is `imge`", "`image`", "`pair`"],
            ),
            ("kind = \"classification\"\nlabel = \"x\"\nbalanced = \"yes\"", &["`task.balanced`", "a boolean"]),
            ("kind = \"multilabel\"\nlabels = \"x\"", &["`task.labels`", "sequence"]),
            ("kind = \"multilabel\"\nlabels = [\"x\", 3]", &["`task.labels`", "string"]),
            (
                "kind = \"multilabel\"\nlabels = [\"x\"]\nuncertain = { x = \"maybe\" }",
                &["`task.uncertain.x` is `maybe`", "`ignore`"],
            ),
            ("kind = \"vqa\"\nanswers = \"all\"", &["`task.answers` is `all`", "`published`"]),
        ] {
            let text = format!("data = [\"d\"]\n[train]\nsteps = 3\n[task]\n{task}\n");
            let message = Recipe::parse(&text, Path::new("r.toml"), &[]).unwrap_err().to_string();
            assert!(message.contains("r.toml"), "{message}");
            words.iter().for_each(|word| assert!(message.contains(word), "{task}: {message} lacks {word}"));
        }
    }
}
