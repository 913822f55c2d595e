//! Masked language modelling: masked words are guessed from the rest of the text and the image, or, where there is no
//! image, from the prompts that stand in for it (specification, section 3).

use ptu_model::kernel::cross_entropy;

use super::{Loss, answers};
use crate::shared::Shared;

pub fn loss(step: &Shared<'_>) -> Option<Loss> {
    let head = step.model.heads.mlm.as_ref()?;
    let labels: Vec<usize> = step.batch.masked_pairs.classes().chain(step.batch.masked_texts.classes()).collect();
    if labels.is_empty() {
        return None;
    }
    let logits = head.forward(step.masked_states(), step.pass()); // [m, v]: only the masked positions are decoded
    Some(Loss { answers: answers(&logits, &labels), value: cross_entropy(logits, &labels) })
}
