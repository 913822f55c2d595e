//! The trait of training objectives, and the names of the pre-training objectives (specification, section 3).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;
use ptu_data::TrainBatch;
use ptu_model::HeadKind;
use ptu_model::forward::FusedPair;
use ptu_random::Key;
use serde::{Deserialize, Serialize};

use crate::forward::StepForward;

/// A training objective. It declares which image-text pairs it needs in the fusion encoder. The pairs of all objectives of a
/// step are computed together, and each objective reads the results of its own pairs.
pub trait Objective {
    /// The pairs that the objective needs, as rows of the batch. Random numbers come from `key`, the key of the step.
    fn pairs(&self, batch: &TrainBatch, key: Key) -> Vec<FusedPair>;

    /// The loss on a batch; `None` when the batch contains nothing that this objective can use.
    fn loss(&self, step: &StepForward<'_>) -> Option<Loss>;

    /// Whether the loss is reported, that is, added to the total and written to the log. It is not when it only passes on a
    /// gradient that was computed elsewhere (see [`CachedItc`](crate::loss::CachedItc)).
    fn is_measured(&self) -> bool {
        true
    }
}

/// The loss of one objective on one batch.
#[derive(Debug)]
pub struct Loss {
    /// Mean over the scored answers, a tensor with one element.
    pub value: Tensor<1>,
    /// Whether each scored answer is right. MLM has one answer per masked token (first those of pairs, then those of texts
    /// without an image), ITC one per image and then one per text, ITM one per pair. Empty when answers are not right or wrong.
    pub answers: Vec<bool>,
    /// Other counts, by their names in the log. The log omits counts of 0.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Loss {
    /// A loss without other counts.
    pub fn new(value: Tensor<1>, answers: Vec<bool>) -> Self {
        Self { value, answers, counts: BTreeMap::new() }
    }
}

/// An objective of a step, with its name and weight.
pub struct Weighted<'a> {
    /// The name in the log.
    pub name: String,
    /// Factor of the loss in the total.
    pub weight: f64,
    /// The objective.
    pub objective: Box<dyn Objective + 'a>,
}

/// The pre-training objectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectiveKind {
    /// Masked language modelling.
    Mlm,
    /// Image-text contrast (contrastive learning).
    Itc,
    /// Image-text matching. It comes after the contrast, because hard negatives are drawn by the similarities of the contrast.
    Itm,
    /// Masked language modelling of the texts of pairs without their images.
    MlmTextOnly,
    /// Masked image modelling.
    Mim,
    /// Masked image modelling of the images of pairs without their texts.
    MimImageOnly,
}

/// Default factor of an objective's loss in the total (specification, section 3).
pub fn default_weight(kind: ObjectiveKind) -> f64 {
    match kind {
        ObjectiveKind::Mlm | ObjectiveKind::MlmTextOnly | ObjectiveKind::Mim | ObjectiveKind::MimImageOnly => 1.0,
        ObjectiveKind::Itm => 0.5,
        ObjectiveKind::Itc => 0.1,
    }
}

impl ObjectiveKind {
    /// All objectives, in the order in which a step computes them.
    pub const ALL: [Self; 6] = [Self::Mlm, Self::Itc, Self::Itm, Self::MlmTextOnly, Self::Mim, Self::MimImageOnly];
    /// The objectives of the paper, in the order in which a step computes them.
    pub const PUBLISHED: [Self; 3] = [Self::Mlm, Self::Itc, Self::Itm];

    /// The names of all objectives, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The name in recipes and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlm => "mlm",
            Self::Itm => "itm",
            Self::Itc => "itc",
            Self::MlmTextOnly => "mlm_text_only",
            Self::Mim => "mim",
            Self::MimImageOnly => "mim_image_only",
        }
    }

    /// The head that the objective trains.
    pub fn head(self) -> HeadKind {
        match self {
            Self::Mlm | Self::MlmTextOnly => HeadKind::Mlm,
            Self::Itm => HeadKind::Itm,
            Self::Itc => HeadKind::Itc,
            Self::Mim | Self::MimImageOnly => HeadKind::Mim,
        }
    }
}

impl FromStr for ObjectiveKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let error = || format!("`{word}` is not one of {}", Self::names());
        Self::ALL.into_iter().find(|kind| kind.name() == word).ok_or_else(error)
    }
}

impl fmt::Display for ObjectiveKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
