//! Masked language modelling: masked words are guessed from the rest of the text and the image, or, where there is no
//! image, from the prompts that stand in for it (SPEC 3).

use burn::tensor::{Int, Tensor, TensorData};

use super::{Loss, answers, cross_entropy};
use crate::batch::MaskedTexts;
use crate::shared::Shared;

pub fn loss(step: &Shared<'_>) -> Option<Loss> {
    let head = step.model.heads.mlm.as_ref()?;
    let (mut states, mut labels) = (vec![], vec![]);
    let batch = step.batch;
    if batch.masked_pairs.any() {
        let text = step.model.encode_text(step.model.embed_text(&batch.masked_pairs.texts, step.dropout), step.dropout);
        let fused = step.model.fuse_text(step.pair_images(), text, step.dropout);
        states.push(masked_states(fused, &batch.masked_pairs));
        labels.extend(batch.masked_pairs.classes());
    }
    if batch.masked_texts.any() {
        let embedded = step.model.embed_text(&batch.masked_texts.texts, step.dropout);
        let (image, chosen) = step.model.complete_image(&embedded);
        step.note_image_prompts(&chosen);
        let (image, text) = (step.model.encode_image(image), step.model.encode_text(embedded, step.dropout));
        states.push(masked_states(step.model.fuse_text(image, text, step.dropout), &batch.masked_texts));
        labels.extend(batch.masked_texts.classes());
    }
    if labels.is_empty() {
        return None;
    }
    let logits = head.forward(Tensor::cat(states, 0)); // [m, v]: only the masked positions are decoded
    Some(Loss { answers: answers(&logits, &labels), value: cross_entropy(logits, &labels) })
}

/// States at the masked positions, row by row: `[b, t, d] -> [m, d]`.
fn masked_states(fused: Tensor<3>, masked: &MaskedTexts) -> Tensor<2> {
    let [b, t, d] = fused.dims();
    let places: Vec<i32> = masked.places().map(|place| place as i32).collect();
    let places: Tensor<1, Int> = Tensor::from_data(TensorData::new(places.clone(), [places.len()]), &fused.device());
    fused.reshape([b * t, d]).select(0, places)
}
