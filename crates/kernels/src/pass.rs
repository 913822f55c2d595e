//! Settings of a forward pass that go through the layers with the data: dropout, which image patches are used, precision, gradient
//! checkpointing, and what is recorded to explain a result.

use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::Tensor;
use ptu_random::{Key, Place};

use crate::block_gradients::BlockGradients;
use crate::trace::{NetworkPart, RecordSlot, Trace};
use crate::{ComputePrecision, DropMask, drop};

/// The settings and the state of one forward pass.
///
/// Dropout masks are a pure function of (seed, step, rank, call). The engine's own dropout is not used, because its generator
/// cannot be made to produce the same mask again. The calls of one step are counted, so two layers of the network never share a
/// mask. A step that is computed again makes the same calls in the same order and therefore gets the same masks.
#[derive(Debug)]
pub struct Pass {
    /// A value is dropped if its random 16-bit number is below this threshold.
    threshold: u16,
    key: Key,
    calls: AtomicU64,
    checkpoint: Option<BlockGradients>,
    /// Share of an image's patches that is used, if not all of them are.
    patch_keep: Option<f64>,
    trace: Option<Trace>,
    /// Share of the training that is done, in [0, 1].
    progress: f64,
    /// Whether losses of the prompts are computed.
    learns_prompts: bool,
    /// Precision of the products in linear maps and attention. Norms, softmax and losses always use f32.
    pub precision: ComputePrecision,
}

impl Pass {
    /// A pass without dropout, in f32: for evaluation.
    pub fn off() -> Self {
        Self {
            threshold: 0,
            key: Key::new(0),
            calls: AtomicU64::new(0),
            checkpoint: None,
            patch_keep: None,
            trace: None,
            progress: 1.0,
            learns_prompts: false,
            precision: ComputePrecision::F32,
        }
    }

    /// A pass with dropout of this probability (rounded to 1 in 65,536); `key` identifies the training step.
    pub fn new(probability: f64, key: Key) -> Self {
        let threshold = (probability * 65_536.0).round() as u16;
        Self { threshold, key, ..Self::off() }
    }

    /// The same pass, but only this random share of each image's patches is used, at least one patch; `None` for all.
    pub fn keeping(self, patch_keep: Option<f64>) -> Self {
        Self { patch_keep, ..self }
    }

    /// The same pass, with this precision of products.
    pub fn with(self, precision: ComputePrecision) -> Self {
        Self { precision, ..self }
    }

    /// The same pass, recorded to explain a result. It has no dropout and no checkpointing.
    pub fn traced(self, trace: Trace) -> Self {
        Self { threshold: 0, checkpoint: None, trace: Some(trace), ..self }
    }

    /// The same pass, after this share of a training, in [0, 1]; in other passes the training is over. `learns_prompts`: whether the prompts
    /// in place of missing modalities are trained.
    pub fn in_training(self, progress: f64, learns_prompts: bool) -> Self {
        Self { progress, learns_prompts, ..self }
    }

    /// Share of the training that is done, in [0, 1].
    pub fn progress(&self) -> f64 {
        self.progress
    }

    /// Whether losses of the prompts are computed.
    pub fn learns_prompts(&self) -> bool {
        self.learns_prompts
    }

    /// The recording; `None` if the pass is not recorded.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// The attention calls that follow belong to this part of the network.
    pub fn enter(&self, part: NetworkPart) {
        self.trace.iter().for_each(|trace| trace.enter(part));
    }

    /// Where the next attention call is recorded; `crosses`: whether it attends to another stream.
    pub fn record(&self, crosses: bool) -> Option<RecordSlot> {
        self.trace.as_ref().map(|trace| trace.slot(crosses))
    }

    /// The patches that are used of each of `b` images with `p` patches each, in ascending order; `None` for all.
    pub fn patches(&self, b: usize, p: usize) -> Option<Vec<Vec<usize>>> {
        let keep = ((self.patch_keep? * p as f64).round() as usize).clamp(1, p);
        let of_image = |image: usize| self.key.stream(Place::Patches, image as u64).subset(keep, p);
        Some((0..b).map(of_image).collect())
    }

    /// The same pass, with gradient checkpointing: blocks store only their inputs, are computed again in the backward pass, and
    /// write the gradients of their weights to `gradients`.
    pub fn checkpointed(self, gradients: BlockGradients) -> Self {
        Self { checkpoint: Some(gradients), ..self }
    }

    /// A pass that produces the same masks from here on, without checkpointing.
    pub(crate) fn again(&self) -> Self {
        let calls = AtomicU64::new(self.calls());
        let Self { threshold, key, patch_keep, progress, learns_prompts, precision, .. } = *self;
        Self { threshold, key, calls, checkpoint: None, patch_keep, trace: None, progress, learns_prompts, precision }
    }

    /// The storage for the gradients of checkpointed blocks; `None` without checkpointing.
    pub(crate) fn checkpoint(&self) -> Option<&BlockGradients> {
        self.checkpoint.as_ref()
    }

    /// Sets the number of masks requested so far, after a checkpointed block has counted its own requests.
    pub(crate) fn set_calls(&self, calls: u64) {
        self.calls.store(calls, Ordering::Relaxed);
    }

    /// Number of masks requested so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Dropout: sets a random share of `x` to zero and scales the other values so that the mean stays the same.
    pub fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self.mask() {
            Some(mask) => drop(x, &mask),
            None => x,
        }
    }

    /// The next dropout mask; `None` without dropout.
    pub fn mask(&self) -> Option<DropMask> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        (self.threshold > 0).then(|| DropMask::new(self.key.stream(Place::Dropout, call), self.threshold))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn ones_after_dropout(pass: &Pass) -> Vec<f32> {
        let ones: Tensor<2> = Tensor::ones([100, 777], &Device::flex());
        pass.apply(ones).into_data().try_into_vec().unwrap()
    }

    #[test]
    fn dropout_drops_its_share_and_keeps_the_mean() {
        let values = ones_after_dropout(&Pass::new(0.1, Key::new(1)));
        let dropped = values.iter().filter(|value| **value == 0.0).count() as f64 / values.len() as f64;
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
        assert!((dropped - 0.1).abs() < 0.005, "{dropped}");
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
    }

    #[test]
    fn a_replayed_step_gets_the_same_masks_and_two_calls_differ() {
        let (first, again) = (Pass::new(0.5, Key::new(1).at(3)), Pass::new(0.5, Key::new(1).at(3)));
        let masks = [ones_after_dropout(&first), ones_after_dropout(&first)];
        assert_eq!(masks, [ones_after_dropout(&again), ones_after_dropout(&again)]);
        assert_ne!(masks[0], masks[1]);
        assert_ne!(masks[0], ones_after_dropout(&Pass::new(0.5, Key::new(1).at(4))));
    }

    #[test]
    fn patches_are_drawn_anew_for_each_image_and_step() {
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
    fn no_dropout_changes_nothing() {
        assert!(ones_after_dropout(&Pass::off()).iter().all(|value| *value == 1.0));
        assert!(ones_after_dropout(&Pass::new(0.0, Key::new(1))).iter().all(|value| *value == 1.0));
    }
}
