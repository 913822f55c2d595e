//! Masked language modelling: masked words are guessed from the rest of the text and the image, or, where there is no
//! image, from the prompts that stand in for it (specification, section 3).

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
        let with_image = places(&batch.masked_pairs).enumerate();
        let with_image = with_image.map(|(row, places)| FusedPair::both(row, masked_pair(row), Read::Text(places)));
        let alone = places(&batch.masked_texts).enumerate();
        let alone = alone.map(|(row, places)| FusedPair::text_alone(masked_text(row), Read::Text(places)));
        with_image.chain(alone).collect()
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let head = step.model.heads.mlm.as_ref()?;
        let labels: Vec<usize> = step.batch.masked_pairs.classes().chain(step.batch.masked_texts.classes()).collect();
        if labels.is_empty() {
            return None;
        }
        let states = step.text_states(&self.pairs(step.batch, step.key));
        let logits = head.forward(states, step.pass()); // [m, v]: only the masked positions are decoded
        let answers = answers(&logits, &labels);
        Some(Loss::new(cross_entropy(logits, &labels), answers))
    }
}

/// Masked places of each text; of none where nothing is masked.
fn places(texts: &MaskedTexts) -> impl Iterator<Item = Vec<usize>> {
    (if texts.any() { texts.places() } else { vec![] }).into_iter()
}
