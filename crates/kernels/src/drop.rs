//! Dropout whose masks are drawn again in the backward pass instead of being kept.

use burn::backend::TensorMetadata;
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use ptu_random::Stream;

use super::fresh::fresh;
use super::loops::{CHUNK, vectorised};
use super::operation::{Operation, is_ours, run, tensor, values};

/// Draws that one block of the generator gives.
const DRAWS: usize = 8;
/// Blocks that are made side by side.
const BLOCKS: usize = 8;
/// Draws of them.
const TOGETHER: usize = DRAWS * BLOCKS;

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
        vectorised(
            factors,
            #[inline(always)]
            |factors| self.fill(start, factors),
        );
    }

    #[inline(always)]
    fn fill(&self, start: usize, factors: &mut [f32]) {
        let to_whole = start.next_multiple_of(DRAWS) - start;
        let (head, rest) = factors.split_at_mut(to_whole.min(factors.len()));
        let (whole, tail) = rest.as_chunks_mut::<TOGETHER>();
        let first = (start + head.len()) / DRAWS;
        self.block((start / DRAWS) as u64, start % DRAWS, head);
        for (number, factors) in whole.iter_mut().enumerate() {
            let words = self.stream.blocks_at::<BLOCKS>((first + number * BLOCKS) as u64);
            // First in the order of draws, then two of each word: apart, both loops vectorise.
            let mut draws = [0; TOGETHER / 2];
            for lane in 0..BLOCKS {
                for (place, word) in words.iter().enumerate() {
                    draws[lane * (DRAWS / 2) + place] = word[lane];
                }
            }
            for (pair, draw) in factors.as_chunks_mut::<2>().0.iter_mut().zip(&draws) {
                *pair = [self.factor(*draw as u16), self.factor((draw >> 16) as u16)];
            }
        }
        let after = first + whole.len() * BLOCKS;
        for (number, factors) in tail.chunks_mut(DRAWS).enumerate() {
            self.block((after + number) as u64, 0, factors);
        }
    }

    /// The factors of one block of draws from the `skip`-th on.
    #[inline(always)]
    fn block(&self, index: u64, skip: usize, factors: &mut [f32]) {
        let words = self.stream.block_at(index);
        for (factor, draw) in factors.iter_mut().zip(skip..) {
            *factor = self.factor((words[draw / 2] >> (16 * (draw % 2))) as u16);
        }
    }

    #[inline(always)]
    fn factor(&self, draw: u16) -> f32 {
        if draw < self.threshold { 0.0 } else { 1.0 / (1.0 - f32::from(self.threshold) / 65_536.0) }
    }

    /// `x` times its factors.
    pub fn apply(&self, x: &[f32]) -> Vec<f32> {
        fresh(x.len(), CHUNK, |start, y| {
            let mut factors = vec![0.0; y.len()];
            self.factors(start, &mut factors);
            vectorised(
                y,
                #[inline(always)]
                |y| {
                    let [x, factors] = [&x[start..], &factors].map(|values| &values[..y.len()]);
                    y.write_each(
                        #[inline(always)]
                        |i| x[i] * factors[i],
                    )
                },
            )
        })
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
        // By the generator's definition, one draw after another.
        let draw =
            |place: usize| (mask().stream.block_at(place as u64 / 8)[place % 8 / 2] >> (16 * (place % 2))) as u16;
        let all: Vec<f32> = (0..400).map(|place| mask().factor(draw(place))).collect();
        for start in 0..70 {
            for length in [0, 1, 5, 41, 64, 130, 300] {
                let mut some = vec![0.0; length];
                mask().factors(start, &mut some);
                assert_eq!(some, all[start..start + length], "{length} from {start}");
            }
        }
    }
}
