//! Image-text matching: does this image belong to this text? Half of the batch keeps its image, half gets another one
//! (specification, section 3).

use ptu_data::{Partners, TrainBatch};
use ptu_kernels::cross_entropy;
use ptu_model::Read;
use ptu_model::forward::FusedPair;
use ptu_random::Key;

use super::{Itc, answers};
use crate::forward::StepForward;
use crate::objective::{Loss, Objective};
use crate::recipe::PartnerChoice;

/// Image-text matching.
pub struct Itm {
    /// How false images are chosen.
    pub partners: PartnerChoice,
}

impl Objective for Itm {
    fn pairs(&self, batch: &TrainBatch, key: Key) -> Vec<FusedPair> {
        match self.drawn(batch, key) {
            Some(partners) => matched(&partners),
            // Partners depend on what the contrast says of the batch.
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
    /// Who is matched with whom: as given, or drawn from the step's key.
    pub fn partners(&self, step: &StepForward<'_>) -> Partners {
        let drawn = self.drawn(step.batch, step.key);
        drawn.unwrap_or_else(|| step.batch.draw_partners(step.key, hardness(step).as_deref()))
    }

    /// The same where nothing has to be computed for it.
    fn drawn(&self, batch: &TrainBatch, key: Key) -> Option<Partners> {
        match (&batch.partners, self.partners) {
            (Some(given), _) => Some(given.clone()),
            (None, PartnerChoice::Random) => Some(batch.draw_partners(key, None)),
            (None, PartnerChoice::Hard) => None,
        }
    }
}

/// Each text with its partner's image.
pub fn matched(partners: &Partners) -> Vec<FusedPair> {
    partners.image.iter().enumerate().map(|(text, image)| FusedPair::both(*image, text, Read::Pooled)).collect()
}

/// For text i and image j how hard they are to tell apart, exp(similarity / temperature), without gradient. `None` where the
/// model has not learned to compare.
fn hardness(step: &StepForward<'_>) -> Option<Vec<f64>> {
    let similarity = Itc::similarity(step)?.transpose(); // [b, b], texts in rows
    let b = similarity.dims()[0];
    let values: Vec<f32> = similarity.inner().into_data().try_into_vec().expect("the model computes in f32");
    let weights = values.chunks_exact(b).flat_map(|row| {
        // Over the row's largest, so that no exponential overflows; a common factor does not change a draw.
        let largest = row.iter().copied().fold(f32::MIN, f32::max);
        row.iter().map(move |value| f64::from(value - largest).exp()).collect::<Vec<_>>()
    });
    Some(weights.collect())
}
