//! The pre-training objectives (specification, section 3): what one is, and those that there are by name.

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

/// Something that a model learns from a batch. It declares which images and texts it needs to meet in the fusion; what all
/// objectives of a step declare is computed together, and each reads its part.
pub trait Objective {
    /// The pairs that it needs, by the batch's rows. `key` names the step, for what is drawn.
    fn pairs(&self, batch: &TrainBatch, key: Key) -> Vec<FusedPair>;

    /// The loss on a batch; `None` when the batch holds nothing that this objective can use.
    fn loss(&self, step: &StepForward<'_>) -> Option<Loss>;

    /// Whether its loss is one that people read. One that only carries a gradient which was computed elsewhere is not: it is
    /// neither part of the total nor of the log.
    fn is_measured(&self) -> bool {
        true
    }
}

/// One objective's result on one batch.
#[derive(Debug)]
pub struct Loss {
    /// Mean over what was scored, one element.
    pub value: Tensor<1>,
    /// For each answer that was scored whether it was right: MLM one a masked place (pairs, then texts alone), ITC one an
    /// image, then one a text, ITM one a pair. Empty where an answer is not right or wrong.
    pub answers: Vec<bool>,
    /// What else is counted, by the name in the log; what is 0 is left out there.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Loss {
    /// With nothing else counted.
    pub fn new(value: Tensor<1>, answers: Vec<bool>) -> Self {
        Self { value, answers, counts: BTreeMap::new() }
    }
}

/// An objective of a step.
pub struct Weighted<'a> {
    /// By name, as in the log.
    pub name: String,
    /// What it is multiplied with in the total.
    pub weight: f64,
    /// What it computes.
    pub objective: Box<dyn Objective + 'a>,
}

/// The closed set of objectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveKind {
    /// Masked language modelling.
    Mlm,
    /// Image-text contrast.
    Itc,
    /// Image-text matching; after the contrast, whose similarities choose hard partners.
    Itm,
}

/// What an objective is multiplied with in the total, unless a recipe says otherwise (specification, section 3).
pub fn default_weight(kind: ObjectiveKind) -> f64 {
    match kind {
        ObjectiveKind::Mlm => 1.0,
        ObjectiveKind::Itm => 0.5,
        ObjectiveKind::Itc => 0.1,
    }
}

impl ObjectiveKind {
    /// All objectives, in the order in which a step computes them.
    pub const ALL: [Self; 3] = [Self::Mlm, Self::Itc, Self::Itm];

    /// The name in recipes and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlm => "mlm",
            Self::Itm => "itm",
            Self::Itc => "itc",
        }
    }

    /// The head that it trains.
    pub fn head(self) -> HeadKind {
        match self {
            Self::Mlm => HeadKind::Mlm,
            Self::Itm => HeadKind::Itm,
            Self::Itc => HeadKind::Itc,
        }
    }
}

impl FromStr for ObjectiveKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == word).ok_or(format!("`{word}` is none of mlm, itm, itc"))
    }
}

impl fmt::Display for ObjectiveKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
