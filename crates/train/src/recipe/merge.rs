//! Parses a recipe: applies overrides to the TOML table, checks that all keys exist, and converts it to [`Recipe`].

use std::path::Path;

use ptu_data::MissingShares;
use toml::{Table, Value};

use super::section::typed;
use super::similar::most_similar;
use super::task::VqaRecipe;
use super::task_keys;
use super::{InitRecipe, Recipe, TaskRecipe};
use crate::RecipeError;

/// Parses a recipe and applies its overrides. The ranges of values are not checked here.
pub fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Recipe, RecipeError> {
    let mut table: Table = text
        .parse()
        .map_err(|error: toml::de::Error| RecipeError::Syntax { path: path.into(), cause: error.to_string() })?;
    one_length(&table, path)?;
    let had_epochs = length(&table, "epochs").is_some();
    for assignment in overrides {
        set(&mut table, assignment)?;
        keep_length(&mut table, assignment);
    }
    move_keys(&mut table);
    let validates = overrides.iter().any(|set| key_of(set) == "train.validate_every");
    check_keys(&table, &all_keys(), "", path)?;
    refuse_unused_keys(&table, path)?;
    if is_finetuning(&table) && LENGTHS.iter().all(|key| length(&table, key).is_none()) {
        let cause = "is missing, and so is `train.epochs`; write how long to train: the number of steps (`steps = 1000`) or of passes \
                     over the training data (`epochs = 10`)";
        return Err(RecipeError::Value { path: path.into(), key: "train.steps".into(), cause: cause.into() });
    }
    let task = table.get("task").and_then(Value::as_table).cloned();
    let mut recipe: Recipe = typed(table).map_err(|(key, cause)| match task {
        Some(task) if key.split('.').next() == Some("task") => task_keys::error(&task, &cause, path),
        _ => RecipeError::Value { path: path.into(), key, cause },
    })?;
    // What a recipe says of validation is meant in its own unit, whichever unit an override of its length has.
    recipe.train.validates_by_epoch = if validates { recipe.train.epochs.is_some() } else { had_epochs };
    Ok(recipe)
}

/// The key of an override.
fn key_of(assignment: &str) -> &str {
    assignment.split('=').next().unwrap_or_default().trim()
}

/// The keys of `[train]` that say how long a run trains. One of them is used.
const LENGTHS: [&str; 2] = ["steps", "epochs"];

/// The value of one of these keys.
fn length<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    table.get("train")?.get(key)
}

/// Refuses a recipe that says twice how long to train.
fn one_length(table: &Table, path: &Path) -> Result<(), RecipeError> {
    if !LENGTHS.iter().all(|key| length(table, key).is_some()) {
        return Ok(());
    }
    let cause = "says how long to train, and so does `train.steps`; remove one of them";
    Err(RecipeError::Value { path: path.into(), key: "train.epochs".into(), cause: cause.into() })
}

/// An override of one of the two keys takes the place of the other one in the recipe.
fn keep_length(table: &mut Table, assignment: &str) {
    let replaced = match key_of(assignment) {
        "train.steps" => "epochs",
        "train.epochs" => "steps",
        _ => return,
    };
    if let Some(Value::Table(train)) = table.get_mut("train") {
        train.remove(replaced);
    }
}

/// Keys that only pre-training has.
const PRETRAINING_KEYS: [&str; 4] = ["objectives", "weights", "mlm", "itm"];
/// Keys of `[model]` that a recipe may have although the model starts from another one: the dropout, some keys of the
/// image, and the other model itself.
const STARTED_MODEL_KEYS: [&str; 3] = ["dropout", "image", "init"];
/// Keys of `[model.image]` that a recipe may have although the model starts from another one: no weight but positions depends on them.
const CHANGEABLE_IMAGE_KEYS: [&str; 2] = ["size", "merge"];
/// Keys of `[model.image]` that a recipe may have although the image encoder is a published one: those that are chosen, and those that its
/// files may lack.
const STARTED_IMAGE_KEYS: [&str; 5] = ["size", "drop_last", "heads", "activation", "merge"];
/// The same for `[model.text]`.
const STARTED_TEXT_KEYS: [&str; 1] = ["heads"];
/// Keys that were in `[finetune]` in earlier versions and are now in `[train]`.
const MOVED_KEYS: [&str; 3] = ["freeze", "cache", "cache_limit"];

/// Moves keys of a recipe of an earlier version to their present table.
fn move_keys(table: &mut Table) {
    for key in MOVED_KEYS {
        let Some(value) =
            table.get_mut("finetune").and_then(Value::as_table_mut).and_then(|finetune| finetune.remove(key))
        else {
            continue;
        };
        if let Value::Table(train) = table.entry("train").or_insert_with(|| Value::Table(Table::new())) {
            train.entry(key).or_insert(value);
        }
    }
}

/// Whether a recipe names another task than pre-training.
fn is_finetuning(table: &Table) -> bool {
    let kind = table.get("task").and_then(|task| task.get("kind")).and_then(Value::as_str);
    kind.is_some_and(|kind| kind != TaskRecipe::Pretraining.name())
}

/// The key that names another model, from which the model of a recipe starts and which determines its sizes.
fn start_key(table: &Table) -> Option<&'static str> {
    let has = |table: Option<&Value>| table.is_some_and(|table| table.get("model").is_some());
    if is_finetuning(table) && has(table.get("finetune")) {
        return Some("finetune.model");
    }
    has(init(table)).then_some("model.init.model")
}

/// `[model.init]`.
fn init(table: &Table) -> Option<&Value> {
    table.get("model")?.get("init")
}

/// Refuses keys that have no effect: those of pre-training in a fine-tuning recipe, and sizes of what starts from published weights or
/// from another model.
fn refuse_unused_keys(table: &Table, path: &Path) -> Result<(), RecipeError> {
    let refused = |key: String, cause: &str| Err(RecipeError::Value { path: path.into(), key, cause: cause.into() });
    if let Some(key) = PRETRAINING_KEYS.iter().find(|key| is_finetuning(table) && table.contains_key(**key)) {
        return refused(key.to_string(), "belongs to pre-training; remove it from this fine-tuning recipe");
    }
    if let Some((key, by)) = determined_by_encoder(table) {
        return refused(
            key,
            &format!("is determined by the published encoder (`model.init.{by}`); remove it from this recipe"),
        );
    }
    let Some(start) = start_key(table) else { return Ok(()) };
    let cause =
        &format!("is determined by the model from which training starts (`{start}`); remove it from this recipe");
    if table.contains_key("fit") {
        return refused("fit".into(), cause);
    }
    let model = table.get("model").and_then(Value::as_table);
    let mut keys = model.into_iter().flat_map(Table::keys);
    if let Some(key) = keys.find(|key| !STARTED_MODEL_KEYS.contains(&key.as_str())) {
        return refused(format!("model.{key}"), cause);
    }
    let image = model.and_then(|model| model.get("image")).and_then(Value::as_table);
    if let Some(key) =
        image.into_iter().flat_map(Table::keys).find(|key| !CHANGEABLE_IMAGE_KEYS.contains(&key.as_str()))
    {
        return refused(format!("model.image.{key}"), cause);
    }
    Ok(())
}

/// A key of `[model]` whose value a published encoder gives, and the key of `[model.init]` that names this encoder.
fn determined_by_encoder(table: &Table) -> Option<(String, &'static str)> {
    let (init, model) = (init(table)?, table.get("model")?.as_table()?);
    let keys = |section: &str| model.get(section).and_then(Value::as_table).into_iter().flat_map(Table::keys);
    if init.get("image").is_some()
        && let Some(key) = keys("image").find(|key| !STARTED_IMAGE_KEYS.contains(&key.as_str()))
    {
        return Some((format!("model.image.{key}"), "image"));
    }
    init.get("text")?;
    if model.contains_key("style") {
        return Some(("model.style".into(), "text"));
    }
    let key = keys("text").find(|key| !STARTED_TEXT_KEYS.contains(&key.as_str()))?;
    Some((format!("model.text.{key}"), "text"))
}

/// Removes keys that have no effect from the written form of a recipe.
pub fn remove_unused_keys(table: &mut Table) {
    if is_finetuning(table) {
        table.retain(|key, _| !PRETRAINING_KEYS.contains(&key));
    }
    let (has_model, has_text) =
        (start_key(table).is_some(), init(table).is_some_and(|init| init.get("text").is_some()));
    if has_model {
        table.remove("fit");
    }
    if let Some(Value::Table(model)) = table.get_mut("model") {
        model.retain(|key, _| !has_model || STARTED_MODEL_KEYS.contains(&key));
        if has_text {
            model.remove("style");
        }
    }
}

/// A recipe with every key that a recipe can have: the default recipe, with values for its optional keys.
fn all_keys() -> Table {
    let mut recipe = Recipe { task: TaskRecipe::Vqa(VqaRecipe::default()), ..Recipe::default() };
    recipe.finetune.model = Some("folder".into());
    recipe.finetune.missing = MissingShares { images: 0.5, texts: 0.5 };
    recipe.train.freeze = vec!["name".into()];
    recipe.train.freeze_except = vec!["name".into()];
    recipe.train.freeze_steps = Some(1);
    recipe.model.init = InitRecipe {
        model: Some("folder".into()),
        image: Some("folder".into()),
        text: Some("folder".into()),
        mean: Some([0.5; 3]),
        std: Some([0.5; 3]),
        standardise: Some(true),
    };
    recipe.model.mim.insert("ratio".into(), Value::Float(0.75));
    recipe.finetune.from_scratch = true;
    recipe.train.epochs = Some(1.0);
    recipe.train.patience = 1;
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
        "task"
            | "model.image"
            | "model.text"
            | "model.fusion"
            | "model.image_prompts"
            | "model.text_prompts"
            | "model.contrast"
            | "model.mim"
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
