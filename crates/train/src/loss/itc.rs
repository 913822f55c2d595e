//! Image-text contrast: an image alone and a text alone, prompts standing in for the rest, must find each other among all
//! of the batch (specification, section 3).

use burn::tensor::{Tensor, TensorData};
use ptu_model::kernel::cross_entropy;

use super::{Loss, answers};
use crate::shared::Shared;

pub fn loss(step: &Shared<'_>) -> Option<Loss> {
    let hidden = same(step.batch.pairs(), |i, j| step.batch.same(i, j));
    contrast(step.similarity()?, hidden)
}

/// The loss of `[b, b]` logits, images in rows; `hidden` is added to them. `None` for fewer than two pairs.
pub fn contrast(logits: Tensor<2>, hidden: Option<Vec<f32>>) -> Option<Loss> {
    let b = logits.dims()[0];
    if b < 2 {
        return None;
    }
    let logits = match hidden {
        Some(hidden) => {
            let hidden = Tensor::from_data(TensorData::new(hidden, [b, b]), &logits.device());
            logits + hidden
        }
        None => logits,
    };
    let classes: Vec<usize> = (0..b).collect();
    let transposed = logits.clone().transpose();
    let answers = [answers(&logits, &classes), answers(&transposed, &classes)].concat();
    let value = (cross_entropy(logits, &classes) + cross_entropy(transposed, &classes)).div_scalar(2.0);
    Some(Loss { value, answers })
}

/// What is added to `[b, b]` logits so that two records with the same image or the same text are no negatives of each
/// other: the most negative number there, 0 elsewhere; `None` when all differ.
pub fn same(b: usize, same: impl Fn(usize, usize) -> bool) -> Option<Vec<f32>> {
    let hidden: Vec<f32> = (0..b * b)
        .map(|cell| (cell / b, cell % b))
        .map(|(i, j)| if i != j && same(i, j) { f32::MIN } else { 0.0 })
        .collect();
    hidden.iter().any(|value| *value != 0.0).then_some(hidden)
}
