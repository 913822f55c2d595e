//! Image-text matching: does this image belong to this text? Half of the batch keeps its image, half gets another one
//! (SPEC 3).

use super::{Loss, answers, cross_entropy};
use crate::shared::Shared;

pub fn loss(step: &Shared<'_>) -> Option<Loss> {
    let head = step.model.heads.itm.as_ref()?;
    if step.batch.pairs() == 0 {
        return None;
    }
    let partners = step.partners();
    let image = step.images_at(&partners.image);
    let features = step.model.fuse_pooled(image, step.texts(), step.dropout); // [b, 2d]
    let logits = head.forward(features); //                                     [b, 2], index 1 = match
    let classes: Vec<usize> = partners.matched.iter().map(|&matched| usize::from(matched)).collect();
    Some(Loss { answers: answers(&logits, &classes), value: cross_entropy(logits, &classes) })
}
