//! Image-text matching: the model predicts whether an image and a text belong together. Half of the texts of a batch keep their
//! image, the other half get the image of another pair (specification, section 3).

use ptu_data::{Partners, TrainBatch};
use ptu_kernels::cross_entropy;
use ptu_model::Read;
use ptu_model::forward::FusedPair;
use ptu_random::Key;

use super::{Itc, answers, used};
use crate::forward::StepForward;
use crate::objective::{Loss, Objective};
use crate::recipe::{ItmConfig, PartnerChoice};

/// Image-text matching, with these settings.
pub struct Itm(pub ItmConfig);

impl Objective for Itm {
    fn pairs(&self, batch: &TrainBatch, key: Key) -> Vec<FusedPair> {
        match self.drawn(batch, key) {
            Some(partners) => matched(&partners),
            // Hard negatives depend on the similarities of the contrast, so its pairs are needed first.
            None => Itc.pairs(batch, key),
        }
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let head = step.model.heads.itm.as_ref()?;
        if step.batch.pairs() == 0 {
            return None;
        }
        let partners = self.partners(step);
        let logits = head.forward(step.pooled(&matched(&partners)), step.pass()); // [b, 2], index 1 = match
        let classes: Vec<usize> = partners.matched.iter().map(|&matched| usize::from(matched)).collect();
        let counts = [("without_partner", partners.without_partner as u64)].into();
        Some(Loss { answers: answers(&logits, &classes), value: cross_entropy(logits, &classes), counts })
    }
}

impl Itm {
    /// The image for each text that is used: as given in the batch, or drawn with the key of the step.
    pub fn partners(&self, step: &StepForward<'_>) -> Partners {
        let drawn = self.drawn(step.batch, step.key);
        drawn.unwrap_or_else(|| step.batch.draw_partners(self.texts(step.batch), step.key, hardness(step).as_deref()))
    }

    /// The same if the model is not needed for it; `None` for hard negatives, which need the model's similarities.
    fn drawn(&self, batch: &TrainBatch, key: Key) -> Option<Partners> {
        match (&batch.partners, self.0.partners) {
            (Some(given), _) => Some(given.first(self.texts(batch))),
            (None, PartnerChoice::Random) => Some(batch.draw_partners(self.texts(batch), key, None)),
            (None, PartnerChoice::Hard) => None,
        }
    }

    /// Number of texts of a batch that are used.
    fn texts(&self, batch: &TrainBatch) -> usize {
        used(self.0.share, batch.pairs())
    }
}

/// Each text paired with the image that was drawn for it.
pub fn matched(partners: &Partners) -> Vec<FusedPair> {
    partners.image.iter().enumerate().map(|(text, image)| FusedPair::both(*image, text, Read::Pooled)).collect()
}

/// Weights for drawing hard negatives: exp(similarity / temperature) for text i and image j, without gradient. `None` if the
/// model has no contrast head.
fn hardness(step: &StepForward<'_>) -> Option<Vec<f64>> {
    let similarity = Itc::similarity(step)?.transpose(); // [b, b], texts in rows
    let b = similarity.dims()[0];
    let values: Vec<f32> = similarity.inner().into_data().try_into_vec().expect("the model computes in f32");
    let weights = values.chunks_exact(b).flat_map(|row| {
        // The largest value of the row is subtracted so that no exponential overflows. A common factor does not change the draw.
        let largest = row.iter().copied().fold(f32::MIN, f32::max);
        row.iter().map(move |value| f64::from(value - largest).exp()).collect::<Vec<_>>()
    });
    Some(weights.collect())
}
