//! Dropout whose masks are generated again in the backward pass instead of being stored.

use burn::backend::TensorMetadata;
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use ptu_random::Stream;

use super::fresh::fresh;
use super::loops::{CHUNK, vectorised};
use super::operation::{Operation, is_cpu_f32, run, tensor, values};

/// Random 16-bit numbers in one block of the generator.
const DRAWS_PER_BLOCK: usize = 8;
/// Blocks that are generated in one vectorised call.
const BLOCKS_AT_ONCE: usize = 8;
/// Random 16-bit numbers in these blocks.
const DRAWS_AT_ONCE: usize = DRAWS_PER_BLOCK * BLOCKS_AT_ONCE;

/// A dropout mask: decides which values of a tensor are dropped, as a pure function of a stream and the index of a value.
#[derive(Clone, Debug)]
pub struct DropMask {
    stream: Stream,
    /// A value is dropped if its random 16-bit number is below this threshold.
    threshold: u16,
}

impl DropMask {
    /// A mask that drops values with probability `threshold` / 65,536.
    pub fn new(stream: Stream, threshold: u16) -> Self {
        Self { stream, threshold }
    }

    /// Writes the dropout factors of the values from index `start` on: 0 for a dropped value, otherwise 1 / (1 - probability), so
    /// that the mean stays the same.
    pub fn factors(&self, start: usize, factors: &mut [f32]) {
        vectorised(
            factors,
            #[inline(always)]
            |factors| self.fill(start, factors),
        );
    }

    #[inline(always)]
    fn fill(&self, start: usize, factors: &mut [f32]) {
        let to_whole = start.next_multiple_of(DRAWS_PER_BLOCK) - start;
        let (head, rest) = factors.split_at_mut(to_whole.min(factors.len()));
        let (whole, tail) = rest.as_chunks_mut::<DRAWS_AT_ONCE>();
        let first = (start + head.len()) / DRAWS_PER_BLOCK;
        self.block((start / DRAWS_PER_BLOCK) as u64, start % DRAWS_PER_BLOCK, head);
        for (number, factors) in whole.iter_mut().enumerate() {
            let words = self.stream.blocks_at::<BLOCKS_AT_ONCE>((first + number * BLOCKS_AT_ONCE) as u64);
            // First put the words into the order of the draws, then take two draws from each word. As two loops, both vectorise.
            let mut draws = [0; DRAWS_AT_ONCE / 2];
            for lane in 0..BLOCKS_AT_ONCE {
                for (position, word) in words.iter().enumerate() {
                    draws[lane * (DRAWS_PER_BLOCK / 2) + position] = word[lane];
                }
            }
            for (pair, draw) in factors.as_chunks_mut::<2>().0.iter_mut().zip(&draws) {
                *pair = [self.factor(*draw as u16), self.factor((draw >> 16) as u16)];
            }
        }
        let after = first + whole.len() * BLOCKS_AT_ONCE;
        for (number, factors) in tail.chunks_mut(DRAWS_PER_BLOCK).enumerate() {
            self.block((after + number) as u64, 0, factors);
        }
    }

    /// The factors of one block of draws, from draw number `skip` on.
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

    /// `x` multiplied by its dropout factors.
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

    /// The factors of a whole tensor, for reference implementations.
    pub fn tensor<const D: usize>(&self, like: &Tensor<D>) -> Tensor<D> {
        let mut factors = vec![0.0; like.shape().num_elements()];
        self.factors(0, &mut factors);
        let factors = Tensor::from_data(TensorData::new(factors, like.shape()), &like.device().inner());
        if like.is_autodiff() { factors.autodiff() } else { factors }
    }
}

/// Dropout: sets some values to zero and scales the others so that the mean stays the same.
pub fn drop<const D: usize>(x: Tensor<D>, mask: &DropMask) -> Tensor<D> {
    if is_cpu_f32(&x) { run(Drop(mask.clone()), vec![x.into_dispatch()]) } else { x.clone() * mask.tensor(&x) }
}

#[derive(Debug)]
struct Drop(DropMask);

impl Operation for Drop {
    fn forward(&self, inputs: &[FlexTensor], _keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        (tensor(self.0.apply(values(&inputs[0])), inputs[0].shape()), vec![])
    }

    fn backward(&self, gradient: &FlexTensor, _saved: &[FlexTensor], _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        vec![Some(tensor(self.0.apply(values(gradient)), gradient.shape()))]
    }
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::super::reference::{compare, random};
    use super::*;

    fn mask() -> DropMask {
        DropMask::new(Key::new(3).stream(Place::Dropout, 4), 20_000)
    }

    #[test]
    fn dropout_matches_the_reference() {
        compare("dropout", [random([123, 77], 1)], |[x]| drop(x, &mask()), |[x]| x.clone() * mask().tensor(&x));
    }

    #[test]
    fn factors_do_not_depend_on_the_start_index() {
        // The expected factors, computed draw by draw from the definition of the generator.
        let draw =
            |index: usize| (mask().stream.block_at(index as u64 / 8)[index % 8 / 2] >> (16 * (index % 2))) as u16;
        let all: Vec<f32> = (0..400).map(|index| mask().factor(draw(index))).collect();
        for start in 0..70 {
            for length in [0, 1, 5, 41, 64, 130, 300] {
                let mut some = vec![0.0; length];
                mask().factors(start, &mut some);
                assert_eq!(some, all[start..start + length], "{length} from {start}");
            }
        }
    }
}
