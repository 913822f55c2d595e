//! What was found of one cell with one seed. It is one file, so that a study can be collected without its models.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ptu_data::Split;
use ptu_model::files;
use serde::{Deserialize, Serialize};

use super::StudyError;
use super::grid::{Cell, file_name, joined};
use super::recipe::{Measure, StudyRecipe};

/// The folder of results in that of a study.
pub(super) const RESULTS: &str = "results";
/// The largest result that is read, in bytes.
const LARGEST: u64 = 1 << 24;

/// What was found of one cell with one seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellResult {
    /// The values of the cell.
    pub cell: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// All scores of each of its runs: of `pretrain`, `losses` (of the last validation) and each fine-tuning; null where one is undefined.
    pub scores: BTreeMap<String, BTreeMap<String, Option<f64>>>,
    /// Losses on the validation split over the steps of pre-training, by objective.
    pub curves: BTreeMap<String, Vec<(u64, f64)>>,
    /// Number of weights of the model, and those of its prompts among them.
    pub weights: usize,
    /// Number of weights of the prompts.
    pub prompt_weights: usize,
    /// Why the cell was ended early; it has no scores but losses then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// The folders of its runs, in that of the study.
    pub runs: Vec<String>,
    /// Seconds for which each of these was trained and scored; no table depends on them.
    #[serde(default)]
    pub seconds: BTreeMap<String, f64>,
    /// What was scored, and how.
    pub measured: Measured,
}

/// What the scores of a result depend on beside its runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The split.
    pub split: Split,
    /// The labels of the probes of fidelity; `None` if no fidelity was measured.
    pub fidelity_labels: Option<Vec<String>>,
}

impl Measured {
    /// What a study measures.
    pub(super) fn of(study: &StudyRecipe) -> Self {
        let labels = study.measures_fidelity().then(|| study.fidelity_labels.clone());
        Self { split: study.split, fidelity_labels: labels }
    }
}

impl CellResult {
    /// The name of its cell.
    pub fn name(&self) -> String {
        joined(&self.cell)
    }

    /// The value of a measure: the mean of its scores, less that of those that it subtracts; `None` if one is undefined or is not there.
    pub fn value(&self, measure: &Measure) -> Option<f64> {
        let scores = self.scores.get(&measure.of)?;
        let mean = |names: &[String]| -> Option<f64> {
            let each: Option<Vec<f64>> = names.iter().map(|name| *scores.get(name)?).collect();
            each.map(|each| each.iter().sum::<f64>() / each.len() as f64)
        };
        let value = mean(&measure.score)?;
        if measure.minus.is_empty() { Some(value) } else { Some(value - mean(&measure.minus)?) }
    }

    /// The file of a result in the folder of a study.
    pub(super) fn path(study: &Path, cell: &Cell, seed: u64, split: Split) -> PathBuf {
        let name = cell.name();
        // Different names may have equal letters.
        let tag = ptu_random::index_of(&name) as u32;
        study.join(RESULTS).join(format!("{}-{tag:08x}-seed-{seed}-{split}.json", file_name(&name)))
    }

    /// Reads a result; `None` if there is none, or if it is that of other runs than `runs`, or measured otherwise (the study has changed since
    /// then).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn read(path: &Path, runs: &[String], measured: &Measured) -> Result<Option<Self>, StudyError> {
        if !path.exists() {
            return Ok(None);
        }
        let bytes = files::read(path, LARGEST)?;
        let wrong = |error: serde_json::Error| StudyError::Result { path: path.into(), cause: error.to_string() };
        let found: Self = serde_json::from_slice(&bytes).map_err(wrong)?;
        Ok(Some(found).filter(|found| found.runs == runs && found.measured == *measured))
    }

    /// Writes the result.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), StudyError> {
        let json = serde_json::to_vec_pretty(self).expect("a result can be written as JSON");
        Ok(files::write_bytes(path, &json)?)
    }
}
