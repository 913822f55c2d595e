//! The file that describes a study: which runs there are, what is done with each, and what is measured.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ptu_data::Split;
use ptu_model::files;
use serde::Deserialize;

use super::StudyError;

/// The largest file of a study that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// What stands for the folder of `--data` in values of a study.
const DATA: &str = "{data}";

/// A study: a grid of runs, and what is measured of each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyRecipe {
    /// Its name. A folder belongs to the study of one name.
    pub name: String,
    /// The title of tables and of the page.
    pub title: String,
    /// What it asks, in a sentence.
    #[serde(default)]
    pub question: String,
    /// The seeds of each cell.
    #[serde(default = "three_seeds")]
    pub seeds: Vec<u64>,
    /// The cell from which differences are computed; the first one if it is not named.
    #[serde(default)]
    pub reference: Option<String>,
    /// The split that is scored.
    #[serde(default = "test")]
    pub split: Split,
    /// A phantom corpus that is prepared in the study's folder, on which everything is trained and scored.
    #[serde(default)]
    pub corpus: Option<Corpus>,
    /// Pre-training.
    pub pretrain: Pretraining,
    /// The grid: each combination of the values of all axes is a cell.
    #[serde(default)]
    pub axis: Vec<Axis>,
    /// Cells beside the grid.
    #[serde(default)]
    pub cell: Vec<Value>,
    /// What the model of each cell is fine-tuned for.
    #[serde(default)]
    pub finetune: Vec<Finetuning>,
    /// Labels for the probes of measures of fidelity.
    #[serde(default)]
    pub fidelity_labels: Vec<String>,
    /// When a cell is ended early.
    #[serde(default)]
    pub stop: Vec<StopRule>,
    /// What is measured, in the order of the columns.
    pub measure: Vec<Measure>,
}

/// A phantom corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corpus {
    /// Number of training pairs.
    pub train: u64,
    /// Number of pairs for validation.
    pub validate: u64,
    /// Number of pairs that are held out.
    pub test: u64,
    /// Its seed.
    #[serde(default)]
    pub seed: u64,
    /// Height and width of its images in pixels.
    #[serde(default = "side")]
    pub side: usize,
}

/// Pre-training of all cells.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pretraining {
    /// The recipe, relative to the file of the study.
    pub recipe: PathBuf,
    /// Changes to it, as `key=value`.
    #[serde(default)]
    pub set: Vec<String>,
}

/// A direction of the grid.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// What changes along it.
    pub name: String,
    /// Its values.
    pub value: Vec<Value>,
}

/// A value of an axis, or a cell of its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// Changes to the recipe of pre-training.
    #[serde(default)]
    pub set: Vec<String>,
    /// Changes to the recipes of all fine-tunings.
    #[serde(default)]
    pub finetune: Vec<String>,
}

/// A task for which the models of all cells are fine-tuned.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finetuning {
    /// Its name.
    pub name: String,
    /// The recipe, relative to the file of the study.
    pub recipe: PathBuf,
    /// Changes to it.
    #[serde(default)]
    pub set: Vec<String>,
    /// Whether it is also scored with missing images or texts. The scores are named like `accuracy, 70 % of images or texts missing, prompts`.
    #[serde(default)]
    pub missing: bool,
}

/// Ends a cell whose loss is too high.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopRule {
    /// Steps of pre-training after which it holds.
    pub after: u64,
    /// The largest loss of a logged step that goes on.
    pub loss_above: f64,
}

/// Something that is measured.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// The heading of its column.
    pub name: String,
    /// What it is read from: `pretrain` (scores of `evaluate`), `losses` (of the last validation), `fidelity` (of completed pairs), or the
    /// name of a fine-tuning.
    pub of: String,
    /// The scores; the mean of several.
    pub score: Vec<String>,
    /// Scores of the same model whose mean is subtracted, those of a baseline for example.
    #[serde(default)]
    pub minus: Vec<String>,
    /// Whether a lower value is better.
    #[serde(default)]
    pub lower_is_better: bool,
    /// The title of the table that its column stands in. Without it, this is the first table.
    #[serde(default)]
    pub table: String,
}

impl Measure {
    /// All scores that it needs.
    pub(super) fn scores(&self) -> impl Iterator<Item = &String> {
        self.score.iter().chain(&self.minus)
    }
}

fn three_seeds() -> Vec<u64> {
    vec![0, 1, 2]
}

fn test() -> Split {
    Split::Test
}

fn side() -> usize {
    64
}

/// What measures read, apart from fine-tunings.
pub(super) const PRETRAIN: &str = "pretrain";
pub(super) const LOSSES: &str = "losses";
pub(super) const FIDELITY: &str = "fidelity";

impl StudyRecipe {
    /// Whether something is measured of completed pairs.
    pub(super) fn measures_fidelity(&self) -> bool {
        self.measure.iter().any(|measure| measure.of == FIDELITY)
    }

    /// Reads a study; `data` is the folder that `{data}` stands for.
    ///
    /// # Errors
    /// When the file cannot be read, when a key does not exist or a name is not known, or when `{data}` is used and not given.
    pub fn load(path: &Path, data: Option<&Path>) -> Result<Self, StudyError> {
        let wrong = |cause: String| StudyError::Recipe { path: path.into(), cause };
        let bytes = files::read(path, LARGEST).map_err(|error| wrong(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8 text".into()))?;
        let text = match data {
            Some(data) => text.replace(DATA, &data.display().to_string()),
            None if text.contains(DATA) => {
                return Err(wrong(format!("it needs a folder of data (`{DATA}`); name it with `--data`")));
            }
            None => text,
        };
        let mut study: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        study.pretrain.recipe = folder.join(&study.pretrain.recipe);
        study.finetune.iter_mut().for_each(|one| one.recipe = folder.join(&one.recipe));
        study.check().map_err(wrong)?;
        Ok(study)
    }

    fn check(&self) -> Result<(), String> {
        let different = |what: &str, names: Vec<&str>| -> Result<(), String> {
            let mut seen = BTreeSet::new();
            match names.into_iter().find(|name| !seen.insert(name.to_lowercase())) {
                Some(name) => Err(format!("{what} `{name}` is there twice; give each another name")),
                None => Ok(()),
            }
        };
        let seeds: BTreeSet<u64> = self.seeds.iter().copied().collect();
        if self.seeds.is_empty() || seeds.len() < self.seeds.len() {
            return Err("`seeds` must name at least one seed, and each once".into());
        }
        if self.axis.is_empty() && self.cell.is_empty() {
            return Err("it has no cells: add an `[[axis]]` with values, or a `[[cell]]`".into());
        }
        if let Some(axis) = self.axis.iter().find(|axis| axis.value.is_empty()) {
            return Err(format!("axis `{}` has no `[[axis.value]]`", axis.name));
        }
        different("axis", self.axis.iter().map(|axis| axis.name.as_str()).collect())?;
        for axis in &self.axis {
            different("value", axis.value.iter().map(|value| value.name.as_str()).collect())?;
        }
        different("cell", self.cell.iter().map(|cell| cell.name.as_str()).collect())?;
        different("fine-tuning", self.finetune.iter().map(|one| one.name.as_str()).collect())?;
        if let Some(one) = self.finetune.iter().find(|one| [PRETRAIN, LOSSES, FIDELITY].contains(&one.name.as_str())) {
            return Err(format!(
                "a fine-tuning is named `{}`, which measures read from elsewhere; give it another name",
                one.name
            ));
        }
        different("measure", self.measure.iter().map(|one| one.name.as_str()).collect())?;
        for measure in &self.measure {
            let names = || self.finetune.iter().map(|one| one.name.as_str()).chain([PRETRAIN, LOSSES, FIDELITY]);
            if !names().any(|name| name == measure.of) {
                let known = names().collect::<Vec<_>>().join(", ");
                return Err(format!("measure `{}` is `of` `{}`; known are {known}", measure.name, measure.of));
            }
            let is_complete = self.finetune.iter().any(|one| one.name == measure.of && !one.missing);
            if let Some(score) = measure.scores().find(|score| is_complete && score.contains(" missing, ")) {
                return Err(format!(
                    "measure `{}` names `{score}`, but `{}` is not scored with missing images or texts; add `missing = true` to it",
                    measure.name, measure.of
                ));
            }
            if measure.score.is_empty() {
                return Err(format!("measure `{}` names no `score`", measure.name));
            }
        }
        if self.measure.is_empty() {
            return Err("it measures nothing: add a `[[measure]]`".into());
        }
        Ok(())
    }
}
