//! The cells of a study, with the recipes of each.

use std::path::Path;

use ptu_data::Manifest;
use ptu_data::files::sha256_of_parts;
use ptu_train::Recipe;
use ptu_train::recipe::DataEntry;

use super::recipe::{StudyRecipe, Value};
use super::{DATA, StudyError};

/// Digits of a key that name a folder.
const SHOWN: usize = 16;

/// A cell: one way to train and to fine-tune, with several seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The name of its value along each axis, or its own name.
    pub values: Vec<String>,
    set: Vec<String>,
    finetune: Vec<String>,
}

/// The recipes of a cell with one seed.
#[derive(Clone, Debug)]
pub(super) struct CellRecipes {
    pub pretrain: Stage,
    /// One for each fine-tuning of the study, without the model from which it starts.
    pub finetune: Vec<Stage>,
}

/// A recipe, and the name of its folder. Equal recipes that start from equal models have equal folders.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub recipe: Recipe,
    pub folder: String,
    /// Whether it is also scored with missing images or texts.
    pub missing: bool,
}

impl Cell {
    /// Its name: those of its values, joined.
    pub fn name(&self) -> String {
        joined(&self.values)
    }

    /// All cells of a study: the grid in the order of its axes, then those beside it.
    ///
    /// # Errors
    /// When two axes change the same key of a cell, or two cells have the same name.
    pub fn all(study: &StudyRecipe) -> Result<Vec<Self>, StudyError> {
        let mut cells: Vec<Self> = vec![];
        if !study.axis.is_empty() {
            cells.push(Self { values: vec![], set: vec![], finetune: vec![] });
        }
        for axis in &study.axis {
            let mut next = vec![];
            for cell in &cells {
                for value in &axis.value {
                    next.push(cell.with(value).map_err(|key| StudyError::Contradiction {
                        cell: joined(&[&cell.values[..], std::slice::from_ref(&value.name)].concat()),
                        key,
                    })?);
                }
            }
            cells = next;
        }
        cells.extend(study.cell.iter().map(|cell| Self {
            values: vec![cell.name.clone()],
            set: cell.set.clone(),
            finetune: cell.finetune.clone(),
        }));
        for (index, cell) in cells.iter().enumerate() {
            if cells[..index].iter().any(|other| other.name() == cell.name()) {
                return Err(StudyError::SameCell { cells: [cell.name(), cell.name()] });
            }
        }
        Ok(cells)
    }

    /// This cell with a value of another axis; the key that both change.
    fn with(&self, value: &Value) -> Result<Self, String> {
        // `model.image_prompts` is changed by `model.image_prompts.size` too.
        let holds = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let clash = |ours: &[String], theirs: &[String]| {
            let is_changed = |new: &&str| ours.iter().map(|set| key(set)).any(|old| holds(old, new) || holds(new, old));
            theirs.iter().map(|set| key(set)).find(is_changed).map(String::from)
        };
        if let Some(key) = clash(&self.set, &value.set).or_else(|| clash(&self.finetune, &value.finetune)) {
            return Err(key);
        }
        Ok(Self {
            values: [&self.values[..], std::slice::from_ref(&value.name)].concat(),
            set: [&self.set[..], &value.set].concat(),
            finetune: [&self.finetune[..], &value.finetune].concat(),
        })
    }

    /// The recipes of this cell; `data` is the corpus of the study, if it has one, and `sets` are changes to pre-training of all cells.
    ///
    /// # Errors
    /// When a recipe cannot be read or is not valid.
    pub(super) fn recipes(
        &self,
        study: &StudyRecipe,
        seed: u64,
        data: Option<&Path>,
        sets: &[String],
    ) -> Result<CellRecipes, StudyError> {
        let load = |path: &Path, changes: &[&[String]]| -> Result<Recipe, StudyError> {
            let wrong = |cause: String| StudyError::Cell { cell: self.name(), cause };
            let is_ours = |key: &&str| *key == "seed" || *key == "data" && data.is_some();
            if let Some(key) = changes.iter().copied().flatten().map(|set| key(set)).find(is_ours) {
                let set_by = if key == "seed" { "`seeds`" } else { "`[corpus]`" };
                return Err(wrong(format!(
                    "`set` changes `{key}`, which {set_by} of the study sets; remove one of them"
                )));
            }
            let seed = [format!("seed={seed}")];
            let recipe = Recipe::load(path, &[changes, &[&seed]].concat().concat());
            let mut recipe = recipe.map_err(|error| wrong(format!("`{}`: {error}", path.display())))?;
            if let Some(data) = data {
                recipe.data = vec![DataEntry { path: data.into(), weight: 1.0 }];
            }
            recipe.from_anywhere().map_err(|error| wrong(error.to_string()))
        };
        let pretrain = load(&study.pretrain.recipe, &[&study.pretrain.set, sets, &self.set])?;
        if !pretrain.task.is_pretraining() {
            let cause = format!(
                "`{}` is for fine-tuning; `[pretrain]` needs one without `[task]`",
                study.pretrain.recipe.display()
            );
            return Err(StudyError::Cell { cell: self.name(), cause });
        }
        let pretrain = Stage::new("pretrain", pretrain, &[], data);
        let finetune = study.finetune.iter().map(|one| {
            let recipe = load(&one.recipe, &[&one.set, &self.finetune])?;
            // Runs that are scored with missing modalities are others than those of a study that does not ask for it.
            let missing = one.missing.then_some("missing");
            let parts: Vec<&str> = std::iter::once(pretrain.folder.as_str()).chain(missing).collect();
            Ok(Stage { missing: one.missing, ..Stage::new(&one.name, recipe, &parts, data) })
        });
        Ok(CellRecipes { finetune: finetune.collect::<Result<_, StudyError>>()?, pretrain })
    }
}

impl Stage {
    /// The stage of a recipe; `parts` is what its result depends on too: the folder of the stage whose model it starts from, for example. `data`
    /// is the corpus of the study, if it has one. The name depends on what the data are, and not on where they lie, so that a study and its data
    /// may be moved, and runs on other data are other runs.
    fn new(name: &str, recipe: Recipe, parts: &[&str], data: Option<&Path>) -> Self {
        let mut named = recipe.clone();
        for DataEntry { path, .. } in &mut named.data {
            match data {
                // The corpus is part of what the folder of the study holds.
                Some(_) => *path = DATA.into(),
                // Data that cannot be read are an error of the run.
                None => *path = Manifest::read(path).map_or(path.clone(), |manifest| manifest.hash().into()),
            }
        }
        let key = sha256_of_parts([&[env!("CARGO_PKG_VERSION")], parts, &[&named.to_toml()]].concat());
        Self { recipe, missing: false, folder: format!("{}-{}", file_name(name), &key[..SHOWN]) }
    }
}

/// The key that a change (`key=value`) sets.
fn key(set: &str) -> &str {
    set.split('=').next().unwrap_or_default().trim()
}

/// The name of a cell with these values.
pub(super) fn joined(values: &[String]) -> String {
    values.join(", ")
}

/// A name as the name of a file: letters, digits and dashes.
pub(super) fn file_name(name: &str) -> String {
    let parts = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}
