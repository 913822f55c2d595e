//! Masked language modelling: masked words are predicted from the rest of the text and from the image. If there is no image,
//! prompts are used in place of it (specification, section 3).

use ptu_data::{MaskedTexts, TrainBatch};
use ptu_kernels::cross_entropy;
use ptu_model::Read;
use ptu_model::forward::FusedPair;
use ptu_random::Key;

use super::{answers, used};
use crate::batch::{masked_pair, masked_text};
use crate::forward::StepForward;
use crate::objective::{Loss, Objective};
use crate::recipe::MlmConfig;

/// Masked language modelling, with these settings.
pub struct Mlm(pub MlmConfig);

impl Objective for Mlm {
    fn pairs(&self, batch: &TrainBatch, _key: Key) -> Vec<FusedPair> {
        let with_image = self.masked_positions(&batch.masked_pairs).into_iter().enumerate();
        let with_image =
            with_image.map(|(row, positions)| FusedPair::both(row, masked_pair(row), Read::Text(positions)));
        let without_image = self.masked_positions(&batch.masked_texts).into_iter().enumerate();
        let without_image =
            without_image.map(|(row, positions)| FusedPair::text_alone(masked_text(row), Read::Text(positions)));
        with_image.chain(without_image).collect()
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let head = step.model.heads.mlm.as_ref()?;
        let labels: Vec<usize> = [&step.batch.masked_pairs, &step.batch.masked_texts]
            .into_iter()
            .flat_map(|texts| self.classes(texts))
            .collect();
        if labels.is_empty() {
            return None;
        }
        let states = step.text_states(&self.pairs(step.batch, step.key));
        let logits = head.forward(states, step.pass()); // [m, v]: logits for the masked positions only
        let answers = answers(&logits, &labels);
        Some(Loss::new(cross_entropy(logits, &labels), answers))
    }
}

impl Mlm {
    /// The masked positions of each text that is used; nothing if no text of the batch has any.
    fn masked_positions(&self, texts: &MaskedTexts) -> Vec<Vec<usize>> {
        let mut places = if texts.any() { texts.places() } else { vec![] };
        places.truncate(used(self.0.share, places.len()));
        places
    }

    /// The classes of these positions.
    fn classes(&self, texts: &MaskedTexts) -> Vec<usize> {
        let masked = self.masked_positions(texts).iter().map(Vec::len).sum();
        texts.classes().take(masked).collect()
    }
}
