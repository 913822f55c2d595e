//! Token sequences of several lengths, one behind the other: nothing is padded, so nothing is computed for padding.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::rows;

/// Packed sequences.
#[derive(Clone, Debug)]
pub struct Packed {
    /// `[rows, d]`: all tokens of the first sequence, then all of the second, and so on.
    pub tokens: Tensor<2>,
    /// Tokens of each sequence; they add up to the rows.
    pub lengths: Arc<Vec<usize>>,
}

impl Packed {
    /// # Panics
    /// If the lengths do not add up to the rows.
    pub fn new(tokens: Tensor<2>, lengths: Vec<usize>) -> Self {
        let (rows, sum) = (tokens.dims()[0], lengths.iter().sum::<usize>());
        assert!(rows == sum, "sequences of {sum} tokens in {rows} rows");
        Self { tokens, lengths: Arc::new(lengths) }
    }

    /// Number of sequences.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// First row of each sequence.
    pub fn starts(&self) -> Vec<usize> {
        starts(self.lengths.iter().copied())
    }

    /// Other tokens in the same places.
    pub fn with(&self, tokens: Tensor<2>) -> Self {
        Self { tokens, lengths: Arc::clone(&self.lengths) }
    }

    /// Sequences one behind the other.
    ///
    /// # Panics
    /// If there are no parts.
    pub fn cat(parts: &[Self]) -> Self {
        let filled: Vec<&Self> = parts.iter().filter(|part| part.tokens.dims()[0] > 0).collect();
        let tokens = match filled.as_slice() {
            [] => parts[0].tokens.clone(),
            [part] => part.tokens.clone(),
            _ => Tensor::cat(filled.iter().map(|part| part.tokens.clone()).collect(), 0),
        };
        Self { tokens, lengths: Arc::new(parts.iter().flat_map(|part| part.lengths.iter().copied()).collect()) }
    }

    /// Some sequences, in any order, each as often as wanted.
    pub fn select(&self, sequences: impl IntoIterator<Item = usize>) -> Self {
        let (starts, mut index, mut lengths) = (self.starts(), vec![], vec![]);
        for which in sequences {
            index.extend(starts[which]..starts[which] + self.lengths[which]);
            lengths.push(self.lengths[which]);
        }
        self.pick(index, lengths)
    }

    /// Some tokens by their rows, as sequences of these lengths.
    pub fn pick(&self, index: Vec<usize>, lengths: Vec<usize>) -> Self {
        Self::new(self.tokens_at(index), lengths)
    }

    /// The first token of each of some sequences, `[sequences.len(), d]`.
    ///
    /// # Panics
    /// If a sequence has none.
    pub fn first_tokens(&self, sequences: impl IntoIterator<Item = usize>) -> Tensor<2> {
        let starts = self.starts();
        let first = |which: usize| {
            assert!(self.lengths[which] > 0, "sequence {which} has no token");
            starts[which]
        };
        self.tokens_at(sequences.into_iter().map(first).collect())
    }

    /// Tokens by their rows, `[index.len(), d]`.
    fn tokens_at(&self, index: Vec<usize>) -> Tensor<2> {
        let all = self.tokens.dims()[0] == index.len() && index.iter().enumerate().all(|(place, row)| place == *row);
        if all { self.tokens.clone() } else { rows(vec![self.tokens.clone()], Arc::new(index)) }
    }
}

/// Where each of several lengths begins, one behind the other.
pub fn starts(lengths: impl Iterator<Item = usize>) -> Vec<usize> {
    let starts = lengths.scan(0, |next, length| {
        *next += length;
        Some(*next - length)
    });
    starts.collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    /// Six rows of one value, 0 to 5, in sequences of 2, 1 and 3.
    fn packed() -> Packed {
        let tokens = Tensor::from_data(TensorData::new((0..6).map(|x| x as f32).collect(), [6, 1]), &Device::flex());
        Packed::new(tokens, vec![2, 1, 3])
    }

    fn values(x: Tensor<2>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn sequences_are_selected_whole() {
        let some = packed().select([2, 0, 2]);
        assert_eq!(*some.lengths, [3, 2, 3]);
        assert_eq!(values(some.tokens), [3.0, 4.0, 5.0, 0.0, 1.0, 3.0, 4.0, 5.0]);
        assert_eq!(values(packed().select([0, 1, 2]).tokens), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn tokens_are_picked_one_by_one() {
        assert_eq!(values(packed().first_tokens([2, 0])), [3.0, 0.0]);
        let some = packed().pick(vec![1, 5], vec![1, 0, 1]);
        assert_eq!((some.starts(), values(some.tokens)), (vec![0, 1, 1], vec![1.0, 5.0]));
    }

    #[test]
    fn parts_are_joined() {
        let both = Packed::cat(&[packed(), packed().select([1])]);
        assert_eq!((both.count(), both.tokens.dims()), (4, [7, 1]));
    }

    #[test]
    #[should_panic(expected = "sequences of 5 tokens in 6 rows")]
    fn lengths_must_fit() {
        let _ = Packed::new(packed().tokens, vec![5]);
    }
}
