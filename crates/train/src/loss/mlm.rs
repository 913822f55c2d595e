//! Masked language modelling: masked words are predicted from the rest of the text and from the image. If there is no image,
//! prompts are used in place of it (specification, section 3).

use ptu_data::{MaskedTexts, TrainBatch};
use ptu_kernels::cross_entropy;
use ptu_model::Read;
use ptu_model::forward::FusedPair;
use ptu_random::Key;

use super::answers;
use crate::batch::{masked_pair, masked_text};
use crate::forward::StepForward;
use crate::objective::{Loss, Objective};

/// Masked language modelling.
pub struct Mlm;

impl Objective for Mlm {
    fn pairs(&self, batch: &TrainBatch, _key: Key) -> Vec<FusedPair> {
        let with_image = masked_positions(&batch.masked_pairs).enumerate();
        let with_image =
            with_image.map(|(row, positions)| FusedPair::both(row, masked_pair(row), Read::Text(positions)));
        let without_image = masked_positions(&batch.masked_texts).enumerate();
        let without_image =
            without_image.map(|(row, positions)| FusedPair::text_alone(masked_text(row), Read::Text(positions)));
        with_image.chain(without_image).collect()
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let head = step.model.heads.mlm.as_ref()?;
        let labels: Vec<usize> = step.batch.masked_pairs.classes().chain(step.batch.masked_texts.classes()).collect();
        if labels.is_empty() {
            return None;
        }
        let states = step.text_states(&self.pairs(step.batch, step.key));
        let logits = head.forward(states, step.pass()); // [m, v]: logits for the masked positions only
        let answers = answers(&logits, &labels);
        Some(Loss::new(cross_entropy(logits, &labels), answers))
    }
}

/// The masked positions of each text; an empty iterator if no text has any.
fn masked_positions(texts: &MaskedTexts) -> impl Iterator<Item = Vec<usize>> {
    (if texts.any() { texts.places() } else { vec![] }).into_iter()
}
