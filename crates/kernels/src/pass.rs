//! What goes through the layers with the data of a step: dropout masks, which patches are kept, and what blocks keep for the
//! backward pass.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::Tensor;
use ptu_random::{Key, Place};

use crate::block_gradients::BlockGradients;
use crate::{ComputePrecision, DropMask, drop};

/// One way of a step's data through the layers.
///
/// Dropout masks are a pure function of (seed, step, rank, call); the engine's own dropout is not used: its generator cannot
/// be made to draw the same again. The calls of one step are counted, so two places of the network never share a mask, and a step that is computed again,
/// making the same calls in the same order, gets the same masks.
#[derive(Debug)]
pub struct Pass {
    /// Draws of 16 bits below this are dropped.
    threshold: u16,
    key: Key,
    calls: AtomicU64,
    checkpoint: Option<BlockGradients>,
    /// Share of an image's patches that is kept, where some are left out.
    patch_keep: Option<f64>,
    /// In what linear maps and attention multiply; norms, softmax and losses are f32 always.
    pub products: ComputePrecision,
}

impl Pass {
    /// Nothing is dropped: evaluation.
    pub fn off() -> Self {
        Self {
            threshold: 0,
            key: Key::new(0),
            calls: AtomicU64::new(0),
            checkpoint: None,
            patch_keep: None,
            products: ComputePrecision::F32,
        }
    }

    /// Drops a share `probability` (to 1 in 65,536) of the values, for the step that `key` names.
    pub fn new(probability: f64, key: Key) -> Self {
        let threshold = (probability * 65_536.0).round() as u16;
        Self { threshold, key, ..Self::off() }
    }

    /// The same, but of each image's patches only a random share goes in, at least one; `None` for all.
    pub fn keeping(self, patch_keep: Option<f64>) -> Self {
        Self { patch_keep, ..self }
    }

    /// The same, with products in this.
    pub fn with(self, products: ComputePrecision) -> Self {
        Self { products, ..self }
    }

    /// Patches of `p` that are kept of each of `b` images, ascending; `None` for all.
    pub fn patches(&self, b: usize, p: usize) -> Option<Vec<Vec<usize>>> {
        let keep = ((self.patch_keep? * p as f64).round() as usize).clamp(1, p);
        let of_image = |image: usize| {
            let mut patches: Vec<usize> = (0..p).collect();
            self.key.stream(Place::Patches, image as u64).shuffle(&mut patches);
            patches.truncate(keep);
            patches.sort_unstable();
            patches
        };
        Some((0..b).map(of_image).collect())
    }

    /// The same, with gradient checkpointing: blocks keep only what goes into them, are computed again in the backward pass, and
    /// put the gradients of their weights into `gradients`.
    pub fn checkpointed(self, gradients: BlockGradients) -> Self {
        Self { checkpoint: Some(gradients), ..self }
    }

    /// The same masks from here on, nothing checkpointed.
    pub(crate) fn again(&self) -> Self {
        let calls = AtomicU64::new(self.calls());
        let Self { threshold, key, patch_keep, products, .. } = *self;
        Self { threshold, key, calls, checkpoint: None, patch_keep, products }
    }

    /// Where checkpointed blocks put their gradients; `None` where nothing is checkpointed.
    pub(crate) fn checkpoint(&self) -> Option<&BlockGradients> {
        self.checkpoint.as_ref()
    }

    /// As many masks were asked for as a block that computes again has seen.
    pub(crate) fn set_calls(&self, calls: u64) {
        self.calls.store(calls, Ordering::Relaxed);
    }

    /// Masks asked for so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Zeroes a random share of `x` and scales the rest so that the mean stays.
    pub fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self.mask() {
            Some(mask) => drop(x, &mask),
            None => x,
        }
    }

    /// The next mask; `None` when nothing is dropped.
    pub fn mask(&self) -> Option<DropMask> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        (self.threshold > 0).then(|| DropMask::new(self.key.stream(Place::Dropout, call), self.threshold))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn kept(pass: &Pass) -> Vec<f32> {
        let ones: Tensor<2> = Tensor::ones([100, 777], &Device::flex());
        pass.apply(ones).into_data().try_into_vec().unwrap()
    }

    #[test]
    fn drops_its_share_and_keeps_the_mean() {
        let values = kept(&Pass::new(0.1, Key::new(1)));
        let dropped = values.iter().filter(|value| **value == 0.0).count() as f64 / values.len() as f64;
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
        assert!((dropped - 0.1).abs() < 0.005, "{dropped}");
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
    }

    #[test]
    fn a_replayed_step_gets_the_same_masks_and_two_calls_differ() {
        let (first, again) = (Pass::new(0.5, Key::new(1).at(3)), Pass::new(0.5, Key::new(1).at(3)));
        let masks = [kept(&first), kept(&first)];
        assert_eq!(masks, [kept(&again), kept(&again)]);
        assert_ne!(masks[0], masks[1]);
        assert_ne!(masks[0], kept(&Pass::new(0.5, Key::new(1).at(4))));
    }

    #[test]
    fn patches_are_drawn_for_each_image_and_step() {
        let patches = |step: u64| Pass::new(0.0, Key::new(1).at(step)).keeping(Some(0.5)).patches(3, 9).unwrap();
        let drawn = patches(1);
        assert!(
            drawn.iter().all(|of| of.len() == 5 && of.is_sorted() && of.iter().all(|patch| *patch < 9)),
            "{drawn:?}"
        );
        assert!(drawn == patches(1) && drawn != patches(2) && drawn[0] != drawn[1]);
        assert_eq!(Pass::new(0.0, Key::new(1)).keeping(Some(0.01)).patches(1, 9).unwrap()[0].len(), 1);
        assert_eq!(Pass::off().patches(3, 9), None);
    }

    #[test]
    fn off_changes_nothing() {
        assert!(kept(&Pass::off()).iter().all(|value| *value == 1.0));
        assert!(kept(&Pass::new(0.0, Key::new(1))).iter().all(|value| *value == 1.0));
    }
}
