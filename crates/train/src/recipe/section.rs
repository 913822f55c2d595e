//! Sections of a recipe as typed values, with errors that name the key.

use ptu_model::config::PromptsConfig;
use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

use super::similar::most_similar;
use crate::RecipeError;

/// Converts a table to a typed value.
///
/// # Errors
/// The key of the first wrong value, with dots, and what is wrong with it.
pub fn typed<T: DeserializeOwned>(table: Table) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(Value::Table(table))
        .map_err(|error| (error.path().to_string(), error.inner().message().trim().to_string()))
}

/// A section of the model: the section of the preset, with the recipe's values for the keys that differ.
pub fn merge_section<T: Serialize + DeserializeOwned>(
    section: &str,
    preset: &T,
    differs: &Table,
) -> Result<T, RecipeError> {
    let mut table = Table::try_from(preset).expect("a section of a model is a table");
    table.extend(differs.clone());
    typed(table).map_err(|(key, cause)| match cause.strip_prefix("unknown field ") {
        Some(names) => {
            let mut names = names.split('`').skip(1).step_by(2).map(String::from);
            let (key, known) = (names.next().unwrap_or(key), names.collect::<Vec<_>>());
            let nearest = most_similar(&key, known.iter()).map(String::from);
            RecipeError::UnknownModelKey { key: format!("{section}.{key}"), nearest }
        }
        None => RecipeError::ModelValue { key: format!("{section}.{key}"), cause },
    })
}

/// The same as [`merge_section`], for prompts. If `kind` is not `pool`, as in the presets, no values of the preset are used.
pub fn prompts(section: &str, preset: PromptsConfig, differs: &Table) -> Result<PromptsConfig, RecipeError> {
    match differs.get("kind").and_then(Value::as_str) {
        None | Some("pool") => merge_section(section, &preset, differs),
        Some(_) => typed(differs.clone())
            .map_err(|(key, cause)| RecipeError::ModelValue { key: format!("{section}.{key}"), cause }),
    }
}
