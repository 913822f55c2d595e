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

/// Masked language modelling.
pub struct Mlm {
    /// The settings.
    pub config: MlmConfig,
    /// Whether the texts of pairs lack their images, and no other texts are used.
    pub is_text_only: bool,
}

impl Objective for Mlm {
    fn pairs(&self, batch: &TrainBatch, _key: Key) -> Vec<FusedPair> {
        let of_pairs = self.masked_positions(&batch.masked_pairs).into_iter().enumerate();
        let of_pairs = of_pairs.map(|(row, positions)| match self.is_text_only {
            false => FusedPair::both(row, masked_pair(row), Read::Text(positions)),
            true => FusedPair::text_alone(masked_pair(row), Read::Text(positions)),
        });
        let others = self.others(batch).into_iter().flat_map(|texts| self.masked_positions(texts)).enumerate();
        let others = others.map(|(row, positions)| FusedPair::text_alone(masked_text(row), Read::Text(positions)));
        of_pairs.chain(others).collect()
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let head = step.model.heads.mlm.as_ref()?;
        let texts = std::iter::once(&step.batch.masked_pairs).chain(self.others(step.batch));
        let labels: Vec<usize> = texts.flat_map(|texts| self.classes(texts)).collect();
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
    /// The texts of records without an image, if they are used.
    fn others<'b>(&self, batch: &'b TrainBatch) -> Option<&'b MaskedTexts> {
        (!self.is_text_only).then_some(&batch.masked_texts)
    }

    /// The masked positions of each text that is used; nothing if no text of the batch has any.
    fn masked_positions(&self, texts: &MaskedTexts) -> Vec<Vec<usize>> {
        let mut places = if texts.any() { texts.places() } else { vec![] };
        places.truncate(used(self.config.share, places.len()));
        places
    }

    /// The classes of these positions.
    fn classes(&self, texts: &MaskedTexts) -> Vec<usize> {
        let masked = self.masked_positions(texts).iter().map(Vec::len).sum();
        texts.classes().take(masked).collect()
    }
}
