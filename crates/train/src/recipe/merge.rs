//! From TOML to a typed recipe: keys compared with those that exist, overrides applied.

use std::path::Path;

use ptu_model::config::PromptsConfig;
use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

use super::Recipe;
use crate::RecipeError;

/// Parses a recipe and its overrides; ranges are not checked yet.
pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Recipe, RecipeError> {
    let mut table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| RecipeError::Syntax { path: path.into(), cause: error.to_string() })?;
    for assignment in overrides {
        set(&mut table, assignment)?;
    }
    let known = known();
    compare(&table, &known, "", path)?;
    // Deserialized table by table, so that a wrong value is told by its key.
    for (key, value) in &table {
        check_type(key, value, path)?;
    }
    Value::Table(table).try_into().map_err(|error| RecipeError::Syntax { path: path.into(), cause: error.to_string() })
}

/// Every key that a recipe can have: the default one, with what is left out by default put in.
fn known() -> Table {
    let mut recipe = Recipe::default();
    recipe.text.tokenizer = Some("folder".into());
    recipe.train.extended_from = vec![1];
    recipe.optimizer.clip = Some(1.0);
    recipe.evaluate.hits = Some("label".into());
    recipe.evaluate.by = Some("label".into());
    recipe.evaluate.labels = vec!["label".into()];
    recipe.evaluate.sentence = vec!["a sentence".into()];
    Table::try_from(recipe).expect("a recipe is a table")
}

/// Tables whose keys depend on the preset or are checked when they are merged into it.
fn is_open(key: &str) -> bool {
    matches!(
        key,
        "model.image" | "model.text" | "model.fusion" | "model.image_prompts" | "model.text_prompts" | "model.contrast"
    )
}

fn compare(table: &Table, known: &Table, prefix: &str, path: &Path) -> Result<(), RecipeError> {
    for (key, value) in table {
        let full = format!("{prefix}{key}");
        let Some(reference) = known.get(key) else {
            let nearest = nearest(key, known.keys()).map(|nearest| format!("{prefix}{nearest}"));
            return Err(RecipeError::UnknownKey { path: path.into(), key: full, nearest });
        };
        match (value, reference) {
            (Value::Table(value), Value::Table(reference)) if !is_open(&full) => {
                compare(value, reference, &format!("{full}."), path)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Tries each value alone, so that the message can name its key.
fn check_type(key: &str, value: &Value, path: &Path) -> Result<(), RecipeError> {
    let leaves: Vec<(String, Table)> = match value {
        Value::Table(inner) => inner
            .iter()
            .map(|(inner_key, leaf)| {
                let inner = Table::from_iter([(inner_key.clone(), leaf.clone())]);
                (format!("{key}.{inner_key}"), Table::from_iter([(key.to_string(), Value::Table(inner))]))
            })
            .collect(),
        leaf => vec![(key.to_string(), Table::from_iter([(key.to_string(), leaf.clone())]))],
    };
    for (key, table) in leaves {
        if let Err(error) = Value::Table(table).try_into::<Recipe>() {
            return Err(RecipeError::Value { path: path.into(), key, cause: error.message().trim().to_string() });
        }
    }
    Ok(())
}

/// Applies one `key=value`, the value in TOML.
fn set(table: &mut Table, assignment: &str) -> Result<(), RecipeError> {
    let wrong = |cause: &str| RecipeError::Override { assignment: assignment.into(), cause: cause.into() };
    let (key, value) = assignment.split_once('=').ok_or_else(|| wrong("write key=value"))?;
    let value = format!("value = {value}")
        .parse::<Table>()
        .map_err(|error| wrong(&format!("the value is not TOML ({}); strings need quotes", error.message().trim())))?
        .remove("value")
        .ok_or_else(|| wrong("there is no value"))?;
    let mut keys: Vec<&str> = key.trim().split('.').collect();
    let last = keys.pop().filter(|last| !last.is_empty()).ok_or_else(|| wrong("there is no key"))?;
    let mut inner = table;
    for key in keys {
        let entry = inner.entry(key).or_insert_with(|| Value::Table(Table::new()));
        inner = entry.as_table_mut().ok_or_else(|| wrong(&format!("`{key}` is no table")))?;
    }
    inner.insert(last.into(), value);
    Ok(())
}

/// The key that was probably meant.
fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(key, candidate), candidate.as_str()))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
        .map(|(_, candidate)| candidate)
}

/// A section of the model: the preset's, with the keys that differ laid over it.
pub fn over<T: Serialize + DeserializeOwned>(section: &str, preset: &T, differs: &Table) -> Result<T, RecipeError> {
    let mut table = Table::try_from(preset).expect("a section of a model is a table");
    for (key, value) in differs {
        if !table.contains_key(key) {
            let nearest = nearest(key, table.keys()).map(String::from);
            return Err(RecipeError::UnknownModelKey { key: format!("{section}.{key}"), nearest });
        }
        table.insert(key.clone(), value.clone());
    }
    Value::Table(table).try_into().map_err(|error: toml::de::Error| RecipeError::ModelValue {
        section: section.into(),
        cause: error.message().trim().into(),
    })
}

/// As [`over`], for prompts: another `kind` starts from nothing.
pub fn prompts(section: &str, preset: PromptsConfig, differs: &Table) -> Result<PromptsConfig, RecipeError> {
    match differs.get("kind").and_then(Value::as_str) {
        None | Some("pool") => over(section, &preset, differs),
        Some(_) => Value::Table(differs.clone()).try_into().map_err(|error: toml::de::Error| RecipeError::ModelValue {
            section: section.into(),
            cause: error.message().trim().into(),
        }),
    }
}
