//! Dropout whose masks are a pure function of (seed, step, rank, call).

use std::cell::Cell;

use burn::tensor::Tensor;
use ptu_random::{Key, Place};

use crate::kernel::{DropMask, drop};

/// Drops activations in training. The engine's own dropout is not used: its generator cannot be replayed.
///
/// The calls of one step are counted, so two places of the network never share a mask, and a replayed step, making the
/// same calls in the same order, gets the same masks.
#[derive(Debug)]
pub struct Dropout {
    /// Draws of 16 bits below this are dropped.
    threshold: u16,
    key: Option<Key>,
    calls: Cell<u64>,
}

impl Dropout {
    /// Nothing is dropped: evaluation.
    pub fn off() -> Self {
        Self { threshold: 0, key: None, calls: Cell::new(0) }
    }

    /// Drops a share `probability` (to 1 in 65,536) of the values, for the step that `key` names.
    pub fn new(probability: f64, key: Key) -> Self {
        let threshold = (probability * 65_536.0).round() as u16;
        Self { threshold, key: (threshold > 0).then_some(key), calls: Cell::new(0) }
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
        let call = self.calls.replace(self.calls.get() + 1);
        Some(DropMask::new(self.key?.stream(Place::Dropout, call), self.threshold))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn kept(dropout: &Dropout) -> Vec<f32> {
        let ones: Tensor<2> = Tensor::ones([100, 777], &Device::flex());
        dropout.apply(ones).into_data().try_into_vec().unwrap()
    }

    #[test]
    fn drops_its_share_and_keeps_the_mean() {
        let values = kept(&Dropout::new(0.1, Key::new(1)));
        let dropped = values.iter().filter(|value| **value == 0.0).count() as f64 / values.len() as f64;
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
        assert!((dropped - 0.1).abs() < 0.005, "{dropped}");
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
    }

    #[test]
    fn a_replayed_step_gets_the_same_masks_and_two_calls_differ() {
        let (first, again) = (Dropout::new(0.5, Key::new(1).at(3)), Dropout::new(0.5, Key::new(1).at(3)));
        let masks = [kept(&first), kept(&first)];
        assert_eq!(masks, [kept(&again), kept(&again)]);
        assert_ne!(masks[0], masks[1]);
        assert_ne!(masks[0], kept(&Dropout::new(0.5, Key::new(1).at(4))));
    }

    #[test]
    fn off_changes_nothing() {
        assert!(kept(&Dropout::off()).iter().all(|value| *value == 1.0));
        assert!(kept(&Dropout::new(0.0, Key::new(1))).iter().all(|value| *value == 1.0));
    }
}
