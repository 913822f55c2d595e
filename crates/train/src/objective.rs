//! Pre-training objectives (SPEC 3). Each sees the shared encodings of a step and gives a loss and two counts.

mod itc;
mod itm;
mod mlm;

use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;
pub use itc::{contrast, same};
use ptu_model::HeadKind;
use serde::{Deserialize, Serialize};

use crate::shared::Shared;

/// The closed set of objectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveKind {
    /// Masked language modelling.
    Mlm,
    /// Image-text contrast.
    Itc,
    /// Image-text matching; behind the contrast, whose similarities choose hard partners.
    Itm,
}

/// One objective's result on one batch.
#[derive(Debug)]
pub struct Loss {
    /// Mean over what was scored, one element.
    pub value: Tensor<1>,
    /// For each answer that was scored whether it was right: MLM one a masked place (pairs, then texts alone), ITC one an
    /// image, then one a text, ITM one a pair.
    pub answers: Vec<bool>,
}

/// What an objective is multiplied with in the total, unless a recipe says otherwise (SPEC 3).
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

    /// The loss on a batch; `None` when the batch holds nothing that this objective can use.
    pub fn loss(self, step: &Shared<'_>) -> Option<Loss> {
        match self {
            Self::Mlm => mlm::loss(step),
            Self::Itm => itm::loss(step),
            Self::Itc => itc::loss(step),
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

/// For each row of `logits [m, c]` whether the wanted class is the largest.
fn answers(logits: &Tensor<2>, classes: &[usize]) -> Vec<bool> {
    let c = logits.dims()[1];
    let values: Vec<f32> = logits.clone().inner().into_data().try_into_vec().expect("the model computes in f32");
    let largest = |row: &[f32]| row.iter().enumerate().max_by(|x, y| x.1.total_cmp(y.1)).map(|(class, _)| class);
    values.chunks_exact(c).zip(classes).map(|(row, class)| largest(row) == Some(*class)).collect()
}
