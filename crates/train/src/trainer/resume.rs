//! Checks whether the run in a folder may be resumed, or extended, with a given recipe and data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Observer;
use crate::folder::{self, RunFolder};
use crate::{Recipe, TrainError, state};

/// Returns the recipe that a run continues with. This is the recipe in its folder, and the given recipe must be equal to it. The
/// only exception: the recipe of a finished run may have more steps; then the run is extended.
///
/// # Errors
/// When the recipes differ; the message lists the keys with both values.
pub(super) fn recipe_to_continue(
    recipe: &Recipe,
    folder: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<Recipe, TrainError> {
    if !folder.join(folder::RECIPE).exists() {
        return Ok(recipe.clone());
    }
    let started = folder::recipe(folder.path())?;
    let mut now = recipe.clone();
    if now.train.extended_from.is_empty() {
        now.train.extended_from.clone_from(&started.train.extended_from);
    }
    if now == started {
        return Ok(started);
    }
    let mut different = differences(&started, &now);
    let (before, after) = (started.train.steps, now.train.steps);
    if different.len() == 1 && after > before {
        let saved = state::saved_step(&folder.join(folder::STATE))?.unwrap_or(0);
        if saved == before {
            now.train.extended_from.push(before);
            observer.note(&extension_note(&now, before));
            return Ok(now);
        }
        different[0] += &format!(", and only a finished run can be extended: {saved} of {before} steps are saved");
    }
    Err(TrainError::Differs {
        path: folder.path().into(),
        cause: format!("the recipe differs in {}", different.join(", ")),
    })
}

/// The note about an extended run: what happens to the learning rate.
fn extension_note(recipe: &Recipe, before: u64) -> String {
    let steps = recipe.train.steps;
    let (schedule, _) = recipe.schedule_at(before);
    format!(
        "the finished run of {before} steps is extended to {steps}: the learning rate starts again, rises to {} over {} steps \
         and falls to 0 at step {steps}",
        recipe.optimizer.learning_rate, schedule.warmup
    )
}

/// The keys whose values differ, each with both values.
fn differences(started: &Recipe, now: &Recipe) -> Vec<String> {
    let flat = |recipe: &Recipe| {
        let mut values = BTreeMap::new();
        let table = toml::Table::try_from(recipe).expect("a recipe is a table");
        flatten("", &toml::Value::Table(table), &mut values);
        values
    };
    let (started, now) = (flat(started), flat(now));
    let keys: BTreeSet<&String> = started.keys().chain(now.keys()).collect();
    let none = "not set".to_string();
    keys.into_iter()
        .filter(|key| started.get(*key) != now.get(*key))
        .map(|key| format!("`{key}` ({}, now {})", started.get(key).unwrap_or(&none), now.get(key).unwrap_or(&none)))
        .collect()
}

/// Writes the leaves of a TOML value into `into`, by their keys with dots.
fn flatten(prefix: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let dot = if prefix.is_empty() { "" } else { "." };
                flatten(&format!("{prefix}{dot}{key}"), value, into);
            }
        }
        value => {
            into.insert(prefix.into(), value.to_string());
        }
    }
}

/// Checks that the data are those that the run was started with, by the hashes of the manifests.
///
/// # Errors
/// When they are not; the message names the first folder that differs.
pub(super) fn check_data(recipe: &Recipe, started: &[String], now: &[String], out: &Path) -> Result<(), TrainError> {
    for (entry, (started, now)) in recipe.data.iter().zip(started.iter().zip(now)) {
        if started != now {
            let cause =
                format!("the data in `{}` are not the data that the run was started with", entry.path.display());
            return Err(TrainError::Differs { path: out.into(), cause });
        }
    }
    Ok(())
}
