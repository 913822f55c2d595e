//! Parses a recipe: applies overrides to the TOML table, checks that all keys exist, and converts it to [`Recipe`].

use std::path::Path;

use ptu_model::config::PromptsConfig;
use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

use super::Recipe;
use crate::RecipeError;

/// Parses a recipe and applies its overrides. The ranges of values are not checked here.
pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Recipe, RecipeError> {
    let mut table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| RecipeError::Syntax { path: path.into(), cause: error.to_string() })?;
    for assignment in overrides {
        set(&mut table, assignment)?;
    }
    check_keys(&table, &all_keys(), "", path)?;
    typed(table).map_err(|(key, cause)| RecipeError::Value { path: path.into(), key, cause })
}

/// Converts a table to a typed value.
///
/// # Errors
/// The key of the first wrong value, with dots, and what is wrong with it.
fn typed<T: DeserializeOwned>(table: Table) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(Value::Table(table))
        .map_err(|error| (error.path().to_string(), error.inner().message().trim().to_string()))
}

/// A recipe with every key that a recipe can have: the default recipe, with values for its optional keys.
fn all_keys() -> Table {
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

/// Whether this table is not checked here: its keys depend on the preset, and are checked when they are merged into it.
fn is_open(key: &str) -> bool {
    matches!(
        key,
        "model.image" | "model.text" | "model.fusion" | "model.image_prompts" | "model.text_prompts" | "model.contrast"
    )
}

/// Checks that each key of a table exists in `known`, including the keys of inner tables.
fn check_keys(table: &Table, known: &Table, prefix: &str, path: &Path) -> Result<(), RecipeError> {
    for (key, value) in table {
        let full = format!("{prefix}{key}");
        let Some(reference) = known.get(key) else {
            let nearest = most_similar(key, known.keys()).map(|nearest| format!("{prefix}{nearest}"));
            return Err(RecipeError::UnknownKey { path: path.into(), key: full, nearest });
        };
        match (value, reference) {
            (Value::Table(value), Value::Table(reference)) if !is_open(&full) => {
                check_keys(value, reference, &format!("{full}."), path)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Applies one override `key=value`, with the value in TOML.
fn set(table: &mut Table, assignment: &str) -> Result<(), RecipeError> {
    let wrong = |cause: &str| RecipeError::Override { assignment: assignment.into(), cause: cause.into() };
    let (key, value) = assignment.split_once('=').ok_or_else(|| wrong("write it as key=value"))?;
    let value = format!("value = {value}")
        .parse::<Table>()
        .map_err(|error| {
            wrong(&format!("the value is not valid TOML ({}); strings need quotes", error.message().trim()))
        })?
        .remove("value")
        .ok_or_else(|| wrong("there is no value"))?;
    let mut keys: Vec<&str> = key.trim().split('.').collect();
    let last = keys.pop().filter(|last| !last.is_empty()).ok_or_else(|| wrong("there is no key"))?;
    let mut inner = table;
    for key in keys {
        let entry = inner.entry(key).or_insert_with(|| Value::Table(Table::new()));
        inner = entry.as_table_mut().ok_or_else(|| wrong(&format!("`{key}` is not a table")))?;
    }
    inner.insert(last.into(), value);
    Ok(())
}

/// The existing key that the user probably meant; `None` if no key is similar.
fn most_similar<'a>(key: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(key, candidate), candidate.as_str()))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
        .map(|(_, candidate)| candidate)
}

/// A section of the model: the section of the preset, with the recipe's values for the keys that differ.
pub fn merge_section<T: Serialize + DeserializeOwned>(
    section: &str,
    preset: &T,
    differs: &Table,
) -> Result<T, RecipeError> {
    let mut table = Table::try_from(preset).expect("a section of a model is a table");
    for (key, value) in differs {
        if !table.contains_key(key) {
            let nearest = most_similar(key, table.keys()).map(String::from);
            return Err(RecipeError::UnknownModelKey { key: format!("{section}.{key}"), nearest });
        }
        table.insert(key.clone(), value.clone());
    }
    typed(table).map_err(|(key, cause)| RecipeError::ModelValue { key: format!("{section}.{key}"), cause })
}

/// The same as [`merge_section`], for prompts. If `kind` is not `pool`, as in the presets, no values of the preset are used.
pub fn prompts(section: &str, preset: PromptsConfig, differs: &Table) -> Result<PromptsConfig, RecipeError> {
    match differs.get("kind").and_then(Value::as_str) {
        None | Some("pool") => merge_section(section, &preset, differs),
        Some(_) => typed(differs.clone())
            .map_err(|(key, cause)| RecipeError::ModelValue { key: format!("{section}.{key}"), cause }),
    }
}
