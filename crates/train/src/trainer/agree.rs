//! Whether a run that is in a folder may go on as it is asked to, or be extended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Observer;
use crate::folder::{self, RunFolder};
use crate::{Recipe, TrainError, state};

/// The recipe that a run goes on with: that of its folder, which the one given must be equal to. A finished run may be given
/// more steps: it is extended.
///
/// # Errors
/// Keys that differ, with both values.
pub(super) fn with_folder(
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
    let mut differs = differences(&started, &now);
    let (before, after) = (started.train.steps, now.train.steps);
    if differs.len() == 1 && after > before {
        let saved = state::saved_step(&folder.join(folder::STATE))?.unwrap_or(0);
        if saved == before {
            now.train.extended_from.push(before);
            observer.note(&extended(&now, before));
            return Ok(now);
        }
        differs[0] += &format!(", and only a finished run can be extended: {saved} of {before} steps are saved");
    }
    Err(TrainError::Differs {
        path: folder.path().into(),
        cause: format!("the recipe differs in {}", differs.join(", ")),
    })
}

/// What becomes of the learning rate.
fn extended(recipe: &Recipe, before: u64) -> String {
    let steps = recipe.train.steps;
    let (schedule, _) = recipe.schedule_at(before);
    format!(
        "the finished run of {before} steps is extended to {steps}: its learning rate starts again, rising to {} over {} steps and \
         falling to 0 at step {steps}",
        recipe.optimizer.learning_rate, schedule.warmup
    )
}

/// Keys whose values differ, with both values.
fn differences(started: &Recipe, now: &Recipe) -> Vec<String> {
    let flat = |recipe: &Recipe| {
        let mut values = BTreeMap::new();
        let table = toml::Table::try_from(recipe).expect("a recipe is a table");
        flatten("", &toml::Value::Table(table), &mut values);
        values
    };
    let (started, now) = (flat(started), flat(now));
    let keys: BTreeSet<&String> = started.keys().chain(now.keys()).collect();
    let none = "nothing".to_string();
    keys.into_iter()
        .filter(|key| started.get(*key) != now.get(*key))
        .map(|key| format!("`{key}` ({}, now {})", started.get(key).unwrap_or(&none), now.get(key).unwrap_or(&none)))
        .collect()
}

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

/// Data that are not those that a run was started with.
///
/// # Errors
/// Naming the first such folder.
pub(super) fn on_data(recipe: &Recipe, started: &[String], now: &[String], out: &Path) -> Result<(), TrainError> {
    for (entry, (started, now)) in recipe.data.iter().zip(started.iter().zip(now)) {
        if started != now {
            let cause = format!("the data in `{}` is not what it was started with", entry.path.display());
            return Err(TrainError::Differs { path: out.into(), cause });
        }
    }
    Ok(())
}
