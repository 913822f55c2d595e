//! What `evaluate` is asked.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ptu_data::Split;
use ptu_kernels::ComputePrecision;
use ptu_model::Heads;
use ptu_train::objective::ObjectiveKind;
use ptu_train::recipe::EvaluateConfig;
use ptu_train::{Recipe, folder};

use crate::EvaluateError;
use crate::labels::CLASS;

/// What is scored on what.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// Folder of the bundle.
    pub bundle: PathBuf,
    /// Shard folders.
    pub data: Vec<PathBuf>,
    /// Which of their splits.
    pub split: Split,
    /// Which text, how many pairs at most, which label makes hits.
    pub config: EvaluateConfig,
    /// Draws records, masks, partners, resamples.
    pub seed: u64,
    /// What computes.
    pub device: Device,
    /// In what linear maps and attention multiply.
    pub products: ComputePrecision,
    /// Ranks this many of the nearest anew by matching, besides.
    pub rerank: Option<usize>,
    /// Takes more and more halves away, besides.
    pub missing: bool,
    /// Scores even what the model has learned from.
    pub force: bool,
    /// Folders of the data that the model was trained on, where they are known.
    pub training: Vec<PathBuf>,
    /// Labels of hits or galleries that somebody named for this evaluation: they must stand in the data. Those that a recipe names may
    /// be missing from other data than its own.
    pub named: Vec<String>,
}

impl EvaluateOptions {
    /// The bundle of a run on the data of its recipe, or any bundle on the folders named. `path` is a run folder or a
    /// bundle; `data` replaces the recipe's.
    ///
    /// # Errors
    /// A path that is neither; a bundle without a recipe and without data.
    pub fn of(path: &Path, data: Vec<PathBuf>, split: Split, device: Device) -> Result<Self, EvaluateError> {
        let recipe = path.join(folder::RECIPE);
        let (bundle, recipe) = if recipe.exists() {
            (path.join(folder::BUNDLE), Some(folder::recipe(path)?))
        } else {
            (path.to_path_buf(), None)
        };
        let training = |recipe: &Recipe| recipe.data.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>();
        let training = recipe.as_ref().map_or(vec![], training);
        let data = match (recipe.is_some(), data.is_empty()) {
            (true, true) => training.clone(),
            (false, true) => return Err(EvaluateError::NoData { path: path.into() }),
            (_, false) => data,
        };
        let seed = recipe.as_ref().map_or(0, |recipe| recipe.seed);
        let config = recipe.map_or_else(EvaluateConfig::default, |recipe| recipe.evaluate);
        let (rerank, missing, force, products, named) = (None, false, false, ComputePrecision::F32, vec![]);
        Ok(Self { bundle, data, split, config, seed, device, products, rerank, missing, force, training, named })
    }

    /// Whether pairs are chosen, judged and computed as those of `other` are: then equal models get equal scores. What is
    /// scored besides may differ.
    pub fn chooses_as(&self, other: &Self) -> bool {
        let of = |one: &Self| {
            let EvaluateConfig { gallery, text, hits, by, .. } = one.config.clone();
            (
                one.data.iter().map(|path| same_path(path)).collect::<Vec<_>>(),
                one.split,
                one.seed,
                one.products,
                gallery,
                text,
                hits,
                by,
            )
        };
        of(self) == of(other)
    }

    /// Refuses what a model cannot be asked, before anything is computed.
    pub(super) fn check(&self, heads: &Heads) -> Result<(), EvaluateError> {
        let (itc, itm, mlm) = (heads.itc.is_some(), heads.itm.is_some(), heads.mlm.is_some());
        let (no_labels, by_sentences) = (self.config.labels.is_empty(), !self.config.sentence.is_empty());
        let cannot = |asked, objective| Err(EvaluateError::NotLearned { asked, objective });
        if let Some(sentence) = self.config.sentence.iter().find(|sentence| !sentence.contains(CLASS)) {
            let cause = format!("it has no `{CLASS}`, where the name of the class stands");
            return Err(EvaluateError::Sentence { sentence: sentence.clone(), cause });
        }
        match (self.rerank.is_some(), self.missing) {
            (true, _) if !itc => cannot("ranking anew what was found", ObjectiveKind::Itc),
            (true, _) if !itm => cannot("ranking anew by matching", ObjectiveKind::Itm),
            (_, true) if no_labels && !mlm => {
                cannot("taking halves away without a label for probes", ObjectiveKind::Mlm)
            }
            _ if by_sentences && !no_labels && !itc => cannot("finding classes by sentences", ObjectiveKind::Itc),
            _ => Ok(()),
        }
    }
}

/// A path in the form in which paths are compared.
fn same_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.into())
}
