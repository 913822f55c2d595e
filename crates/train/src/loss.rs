//! Losses of the objectives (specification, section 3). Each sees the shared encodings of a step and gives a value and its
//! answers.

mod itc;
mod itm;
mod mlm;

use burn::tensor::Tensor;
pub use itc::{contrast, same};

use crate::objective::ObjectiveKind;
use crate::shared::Shared;

/// One objective's result on one batch.
#[derive(Debug)]
pub struct Loss {
    /// Mean over what was scored, one element.
    pub value: Tensor<1>,
    /// For each answer that was scored whether it was right: MLM one a masked place (pairs, then texts alone), ITC one an
    /// image, then one a text, ITM one a pair.
    pub answers: Vec<bool>,
}

impl ObjectiveKind {
    /// The loss on a batch; `None` when the batch holds nothing that this objective can use.
    pub fn loss(self, step: &Shared<'_>) -> Option<Loss> {
        match self {
            Self::Mlm => mlm::loss(step),
            Self::Itm => itm::loss(step),
            Self::Itc => itc::loss(step),
        }
    }
}

/// For each row of `logits [m, c]` whether the wanted class is the largest.
fn answers(logits: &Tensor<2>, classes: &[usize]) -> Vec<bool> {
    let c = logits.dims()[1];
    let values: Vec<f32> = logits.clone().inner().into_data().try_into_vec().expect("the model computes in f32");
    let largest = |row: &[f32]| row.iter().enumerate().max_by(|x, y| x.1.total_cmp(y.1)).map(|(class, _)| class);
    values.chunks_exact(c).zip(classes).map(|(row, class)| largest(row) == Some(*class)).collect()
}
