//! Masked image modelling: pixels of removed patches are predicted from the other patches and from the text. If there is no text, prompts
//! are used in place of it (specification, section 3.4).

use burn::tensor::Tensor;
use ptu_data::TrainBatch;
use ptu_model::Read;
use ptu_model::forward::FusedPair;
use ptu_random::Key;

use crate::batch::{masked_image, masked_image_alone};
use crate::forward::StepForward;
use crate::objective::{Loss, Objective};

/// Masked image modelling.
pub struct Mim {
    /// Whether the images of pairs lack their texts, and no other images are used.
    pub is_image_only: bool,
}

impl Objective for Mim {
    fn pairs(&self, batch: &TrainBatch, _key: Key) -> Vec<FusedPair> {
        let of_pairs = (0..batch.pairs()).map(|row| match self.is_image_only {
            false => FusedPair::both(masked_image(row), row, Read::MaskedImage),
            true => FusedPair::image_alone(masked_image(row), Read::MaskedImage),
        });
        let others =
            (0..self.others(batch)).map(|row| FusedPair::image_alone(masked_image_alone(row), Read::MaskedImage));
        of_pairs.chain(others).collect()
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let head = step.model.heads.mim.as_ref()?;
        let pairs = self.pairs(step.batch, step.key);
        if pairs.is_empty() {
            return None;
        }
        let (arrays, kept) = (&step.batch.batch, step.kept_patches());
        let (of_pairs, others) = (&kept.pairs[..step.batch.pairs()], &kept.images[..self.others(step.batch)]);
        let all = [of_pairs, others].concat();
        let predicted = head.forward(&step.states(&pairs).image, &all, step.pass()); // [removed patches, pixels of a patch]
        let wanted = [head.targets(&arrays.pair_images, of_pairs), head.targets(&arrays.images, others)];
        let difference = predicted - Tensor::cat(wanted.to_vec(), 0);
        Some(Loss::new((difference.clone() * difference).mean(), vec![]))
    }
}

impl Mim {
    /// Number of images of records without a text that are used.
    fn others(&self, batch: &TrainBatch) -> usize {
        if self.is_image_only { 0 } else { batch.batch.images.count }
    }
}
