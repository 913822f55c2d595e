//! Dropout whose masks are drawn again in the backward pass instead of being kept.

use burn::backend::TensorMetadata;
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use ptu_random::Stream;
use rayon::prelude::*;

use super::loops::CHUNK;
use super::operation::{Operation, is_ours, run, tensor, values};

/// Which values of a tensor are dropped: a pure function of a stream and a value's place.
#[derive(Clone, Debug)]
pub struct DropMask {
    stream: Stream,
    /// Draws of 16 bits below this are dropped.
    threshold: u16,
}

impl DropMask {
    /// Drops a share of `threshold` in 65,536.
    pub fn new(stream: Stream, threshold: u16) -> Self {
        Self { stream, threshold }
    }

    /// What the values from place `start` on are multiplied with: 0 for a dropped one, else a little more than 1, so that
    /// the mean stays.
    pub fn factors(&self, start: usize, factors: &mut [f32]) {
        let keep = 1.0 / (1.0 - f32::from(self.threshold) / 65_536.0);
        let (mut place, mut rest) = (start, factors);
        while !rest.is_empty() {
            // One block of the generator gives 8 draws.
            let (words, skip) = (self.stream.block_at(place as u64 / 8), place % 8);
            let (now, later) = rest.split_at_mut(rest.len().min(8 - skip));
            for (factor, draw) in now.iter_mut().zip(skip..) {
                let draw = (words[draw / 2] >> (16 * (draw % 2))) as u16;
                *factor = if draw < self.threshold { 0.0 } else { keep };
            }
            (place, rest) = (place + now.len(), later);
        }
    }

    /// `x` times its factors.
    pub fn apply(&self, x: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).enumerate().for_each(|(chunk, (y, x))| {
            self.factors(chunk * CHUNK, y);
            y.iter_mut().zip(x).for_each(|(y, x)| *y *= x);
        });
        y
    }

    /// All factors of a tensor, for the plain twins.
    pub fn tensor<const D: usize>(&self, like: &Tensor<D>) -> Tensor<D> {
        let mut factors = vec![0.0; like.shape().num_elements()];
        self.factors(0, &mut factors);
        let factors = Tensor::from_data(TensorData::new(factors, like.shape()), &like.device().inner());
        if like.is_autodiff() { factors.autodiff() } else { factors }
    }
}

/// Zeroes some values and makes the others a little larger.
pub fn drop<const D: usize>(x: Tensor<D>, mask: &DropMask) -> Tensor<D> {
    if is_ours(&x) { run(Drop(mask.clone()), vec![x.into_dispatch()]) } else { x.clone() * mask.tensor(&x) }
}

#[derive(Debug)]
struct Drop(DropMask);

impl Operation for Drop {
    fn forward(&self, inputs: &[FlexTensor], _keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        (tensor(self.0.apply(values(&inputs[0])), inputs[0].shape()), vec![])
    }

    fn backward(&self, gradient: &FlexTensor, _kept: &[FlexTensor], _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        vec![Some(tensor(self.0.apply(values(gradient)), gradient.shape()))]
    }
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::super::twins::{compare, random};
    use super::*;

    fn mask() -> DropMask {
        DropMask::new(Key::new(3).stream(Place::Dropout, 4), 20_000)
    }

    #[test]
    fn dropout_equals_the_plain_one() {
        compare("dropout", [random([123, 77], 1)], |[x]| drop(x, &mask()), |[x]| x.clone() * mask().tensor(&x));
    }

    #[test]
    fn factors_do_not_depend_on_where_one_starts() {
        let mut all = vec![0.0; 100];
        mask().factors(0, &mut all);
        for start in 0..30 {
            let mut some = vec![0.0; 41];
            mask().factors(start, &mut some);
            assert_eq!(some, all[start..start + 41], "from {start}");
        }
    }
}
