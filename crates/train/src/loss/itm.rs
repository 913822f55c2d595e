//! Image-text matching: does this image belong to this text? Half of the batch keeps its image, half gets another one
//! (specification, section 3).

use ptu_model::kernel::cross_entropy;

use super::{Loss, answers};
use crate::shared::Shared;

pub fn loss(step: &Shared<'_>) -> Option<Loss> {
    let head = step.model.heads.itm.as_ref()?;
    if step.batch.pairs() == 0 {
        return None;
    }
    let logits = head.forward(step.matched(), step.pass()); //                  [b, 2], index 1 = match
    let classes: Vec<usize> = step.partners().matched.iter().map(|&matched| usize::from(matched)).collect();
    Some(Loss { answers: answers(&logits, &classes), value: cross_entropy(logits, &classes) })
}
