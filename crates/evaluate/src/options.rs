//! Options of an evaluation.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ptu_data::{MissingShares, Split};
use ptu_kernels::ComputePrecision;
use ptu_model::generate::GenerationConfig;
use ptu_model::{Heads, StandIn};
use ptu_train::objective::ObjectiveKind;
use ptu_train::recipe::EvaluateConfig;
use ptu_train::{Recipe, folder};

use crate::EvaluateError;
use crate::labels::CLASS;
use crate::probe_space::ProbeSpace;

/// Which model is scored, on which data, and how.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// Folder of the bundle.
    pub bundle: PathBuf,
    /// Folders of shards that are scored.
    pub data: Vec<PathBuf>,
    /// The split of these folders that is scored.
    pub split: Split,
    /// Which text of a record is used, the largest number of pairs, and the label whose equality makes a hit.
    pub config: EvaluateConfig,
    /// Seed for the sampling of records, masks, images for ITM, bootstrap resamples, and texts that are sampled.
    pub seed: u64,
    /// The device that computes.
    pub device: Device,
    /// Precision of the matrix products in linear layers and attention.
    pub precision: ComputePrecision,
    /// Also rerank this many of the nearest candidates by image-text matching; `None` for no reranking.
    pub rerank: Option<usize>,
    /// Also score with images or texts removed from a growing share of the records.
    pub missing: bool,
    /// Also score records that the model has learned from.
    pub force: bool,
    /// Folders of the data that the model was trained on, if they are known.
    pub training: Vec<PathBuf>,
    /// Shares of the training records whose image or texts were missing in training, and the seed that chose them.
    pub training_missing: (MissingShares, u64),
    /// Whether `data` are those of the run's recipe: then their splits belong to the data that the model was trained on, and other data in
    /// their place are refused.
    pub is_own_data: bool,
    /// The bundle whose linear probe a fine-tuned model is compared with; `None` for no comparison.
    pub probe: Option<PathBuf>,
    /// Which features of that bundle the linear probe reads.
    pub probe_space: ProbeSpace,
    /// What takes the place of a missing image or text of a fine-tuned model.
    pub stand_in: StandIn,
    /// How a model that writes texts generates them; `None` for the way of its recipe.
    pub generation: Option<GenerationConfig>,
    /// Labels of hits or galleries that the user named for this evaluation. The data must have them. Labels that a recipe names
    /// may be missing in data other than the recipe's own.
    pub requested_labels: Vec<String>,
}

impl EvaluateOptions {
    /// Options to evaluate the bundle of a run on the data of its recipe, or any bundle on the folders in `data`. `path` is a run
    /// folder or a bundle. If `data` is not empty, it replaces the data of the recipe.
    ///
    /// # Errors
    /// If `path` is neither a run folder nor a bundle, or if it is a bundle without a recipe and `data` is empty.
    pub fn of(path: &Path, data: Vec<PathBuf>, split: Split, device: Device) -> Result<Self, EvaluateError> {
        let recipe = path.join(folder::RECIPE);
        let (bundle, recipe) = if recipe.exists() {
            (folder::bundle_of(path)?, Some(folder::recipe(path)?))
        } else {
            (path.to_path_buf(), None)
        };
        let training = |recipe: &Recipe| recipe.data.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>();
        let training = recipe.as_ref().map_or(vec![], training);
        let is_own_data = recipe.is_some() && data.is_empty();
        let data = match (recipe.is_some(), data.is_empty()) {
            (true, true) => training.clone(),
            (false, true) => return Err(EvaluateError::NoData { path: path.into() }),
            (_, false) => data,
        };
        let seed = recipe.as_ref().map_or(0, |recipe| recipe.seed);
        let training_missing =
            recipe.as_ref().map_or((MissingShares::default(), 0), |recipe| (recipe.finetune.missing, recipe.seed));
        let config = recipe.map_or_else(EvaluateConfig::default, |recipe| recipe.evaluate);
        let (rerank, missing, force, precision, requested_labels) = (None, false, false, ComputePrecision::F32, vec![]);
        Ok(Self {
            bundle,
            data,
            split,
            config,
            seed,
            device,
            precision,
            rerank,
            missing,
            force,
            training,
            training_missing,
            is_own_data,
            probe: None,
            probe_space: ProbeSpace::default(),
            stand_in: StandIn::default(),
            generation: None,
            requested_labels,
        })
    }

    /// True if these options select the pairs, count hits and compute scores in the same way as `other`. Then equal models get
    /// equal scores. The additional scores (reranking, missing modalities) may differ.
    pub fn is_comparable_to(&self, other: &Self) -> bool {
        let of = |one: &Self| {
            let EvaluateConfig { gallery, text, hits, by, .. } = one.config.clone();
            (
                one.data.iter().map(|path| same_path(path)).collect::<Vec<_>>(),
                one.split,
                one.seed,
                one.precision,
                gallery,
                text,
                hits,
                by,
            )
        };
        of(self) == of(other)
    }

    /// Refuses requested scores that the model cannot give, before anything is computed.
    pub(super) fn check(&self, heads: &Heads) -> Result<(), EvaluateError> {
        let (itc, itm, mlm) = (heads.itc.is_some(), heads.itm.is_some(), heads.mlm.is_some());
        let (no_labels, by_sentences) = (self.config.labels.is_empty(), !self.config.sentence.is_empty());
        let cannot = |request, objective| Err(EvaluateError::NotLearned { request, objective });
        if let Some(sentence) = self.config.sentence.iter().find(|sentence| !sentence.contains(CLASS)) {
            let cause = format!("it does not contain `{CLASS}`, which stands for the name of the class");
            return Err(EvaluateError::Sentence { sentence: sentence.clone(), cause });
        }
        match (self.rerank.is_some(), self.missing) {
            (true, _) if !itc => cannot("reranking of retrieval results", ObjectiveKind::Itc),
            (true, _) if !itm => cannot("reranking by matching", ObjectiveKind::Itm),
            (_, true) if no_labels && !mlm => {
                cannot("scoring with missing images or texts without a label for probes", ObjectiveKind::Mlm)
            }
            _ if by_sentences && !no_labels && !itc => cannot("classification by sentences", ObjectiveKind::Itc),
            _ => Ok(()),
        }
    }
}

/// The path in canonical form, so that two spellings of one path are equal.
fn same_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.into())
}
