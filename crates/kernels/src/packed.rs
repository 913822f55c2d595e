//! Packed (variable-length) sequences: token sequences of different lengths in one tensor, one after another. There is no
//! padding, so no time is spent on it.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::rows;

/// Packed (variable-length) sequences, similar to PyTorch's jagged nested tensors.
#[derive(Clone, Debug)]
pub struct Packed {
    /// `[rows, d]`: all tokens of the first sequence, then all of the second, and so on.
    pub tokens: Tensor<2>,
    /// Number of tokens of each sequence; they add up to the number of rows.
    pub lengths: Arc<Vec<usize>>,
}

impl Packed {
    /// Sequences of these lengths.
    ///
    /// # Panics
    /// If the lengths do not add up to the number of rows.
    pub fn new(tokens: Tensor<2>, lengths: Vec<usize>) -> Self {
        let (rows, sum) = (tokens.dims()[0], lengths.iter().sum::<usize>());
        assert!(rows == sum, "the lengths add up to {sum} tokens, but there are {rows} rows");
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

    /// The same sequence lengths with other tokens.
    pub fn with(&self, tokens: Tensor<2>) -> Self {
        Self { tokens, lengths: Arc::clone(&self.lengths) }
    }

    /// Concatenates the sequences of all parts.
    ///
    /// # Panics
    /// If `parts` is empty.
    pub fn cat(parts: &[Self]) -> Self {
        let filled: Vec<&Self> = parts.iter().filter(|part| part.tokens.dims()[0] > 0).collect();
        let tokens = match filled.as_slice() {
            [] => parts[0].tokens.clone(),
            [part] => part.tokens.clone(),
            _ => Tensor::cat(filled.iter().map(|part| part.tokens.clone()).collect(), 0),
        };
        Self { tokens, lengths: Arc::new(parts.iter().flat_map(|part| part.lengths.iter().copied()).collect()) }
    }

    /// Joins sequences `i` of all parts to one sequence, in the order of the parts.
    ///
    /// # Panics
    /// If the parts differ in the number of sequences, or if there are more than five.
    pub fn join(parts: &[&Self]) -> Self {
        let count = parts.iter().map(|part| part.count()).max().unwrap_or(0);
        assert!(parts.iter().all(|part| part.count() == count), "the parts to be joined differ in number");
        let mut offset = 0;
        let starts: Vec<Vec<usize>> = parts
            .iter()
            .map(|part| {
                let starts = part.starts().into_iter().map(|start| offset + start).collect();
                offset += part.tokens.dims()[0];
                starts
            })
            .collect();
        let (mut index, mut lengths) = (Vec::with_capacity(offset), Vec::with_capacity(count));
        for which in 0..count {
            let before = index.len();
            for (part, starts) in parts.iter().zip(&starts) {
                index.extend(starts[which]..starts[which] + part.lengths[which]);
            }
            lengths.push(index.len() - before);
        }
        let tables = parts.iter().map(|part| part.tokens.clone()).collect();
        Self::new(rows(tables, Arc::new(index)), lengths)
    }

    /// The inverse of [`Self::join`] for two parts: the first `firsts[i]` tokens of sequence `i`, and the others.
    ///
    /// # Panics
    /// If a sequence has fewer tokens.
    pub fn split(&self, firsts: &[usize]) -> [Self; 2] {
        let (mut index, mut lengths) = (<[Vec<usize>; 2]>::default(), <[Vec<usize>; 2]>::default());
        for ((start, length), first) in self.starts().into_iter().zip(self.lengths.iter()).zip(firsts) {
            let rest = length.checked_sub(*first).expect("a sequence is at least as long as its first part");
            index[0].extend(start..start + first);
            index[1].extend(start + first..start + length);
            lengths[0].push(*first);
            lengths[1].push(rest);
        }
        let [first, rest] = index;
        let [of_first, of_rest] = lengths;
        [self.pick(first, of_first), self.pick(rest, of_rest)]
    }

    /// Selects sequences by number, in any order; a number may be repeated.
    pub fn select(&self, sequences: impl IntoIterator<Item = usize>) -> Self {
        let (starts, mut index, mut lengths) = (self.starts(), vec![], vec![]);
        for which in sequences {
            index.extend(starts[which]..starts[which] + self.lengths[which]);
            lengths.push(self.lengths[which]);
        }
        self.pick(index, lengths)
    }

    /// Selects tokens by row and forms sequences of these lengths.
    pub fn pick(&self, index: Vec<usize>, lengths: Vec<usize>) -> Self {
        Self::new(self.tokens_at(index), lengths)
    }

    /// The first token of each of these sequences, `[sequences.len(), d]`.
    ///
    /// # Panics
    /// If one of these sequences is empty.
    pub fn first_tokens(&self, sequences: impl IntoIterator<Item = usize>) -> Tensor<2> {
        let starts = self.starts();
        let first = |which: usize| {
            assert!(self.lengths[which] > 0, "sequence {which} has no token");
            starts[which]
        };
        self.tokens_at(sequences.into_iter().map(first).collect())
    }

    /// Selects tokens by row, `[index.len(), d]`.
    fn tokens_at(&self, index: Vec<usize>) -> Tensor<2> {
        let all = self.tokens.dims()[0] == index.len() && index.iter().enumerate().all(|(number, row)| number == *row);
        if all { self.tokens.clone() } else { rows(vec![self.tokens.clone()], Arc::new(index)) }
    }
}

/// The start offset of each sequence, given the lengths of packed sequences (a cumulative sum that starts at 0).
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

    /// Six tokens of width 1 with the values 0 to 5, in sequences of 2, 1 and 3 tokens.
    fn packed() -> Packed {
        let tokens = Tensor::from_data(TensorData::new((0..6).map(|x| x as f32).collect(), [6, 1]), &Device::flex());
        Packed::new(tokens, vec![2, 1, 3])
    }

    fn values(x: Tensor<2>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn select_takes_whole_sequences() {
        let some = packed().select([2, 0, 2]);
        assert_eq!(*some.lengths, [3, 2, 3]);
        assert_eq!(values(some.tokens), [3.0, 4.0, 5.0, 0.0, 1.0, 3.0, 4.0, 5.0]);
        assert_eq!(values(packed().select([0, 1, 2]).tokens), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn pick_takes_single_tokens() {
        assert_eq!(values(packed().first_tokens([2, 0])), [3.0, 0.0]);
        let some = packed().pick(vec![1, 5], vec![1, 0, 1]);
        assert_eq!((some.starts(), values(some.tokens)), (vec![0, 1, 1], vec![1.0, 5.0]));
    }

    #[test]
    fn cat_concatenates_sequences() {
        let both = Packed::cat(&[packed(), packed().select([1])]);
        assert_eq!((both.count(), both.tokens.dims()), (4, [7, 1]));
    }

    #[test]
    fn parts_are_joined_sequence_by_sequence_and_split_again() {
        let other = Packed::new(Tensor::from_floats([[7.0], [8.0]], &Device::flex()), vec![0, 2, 0]);
        let joined = Packed::join(&[&packed(), &other]);
        assert_eq!(*joined.lengths, [2, 3, 3]);
        assert_eq!(values(joined.tokens.clone()), [0.0, 1.0, 2.0, 7.0, 8.0, 3.0, 4.0, 5.0]);
        for (part, expected) in joined.split(&[2, 1, 3]).iter().zip([packed(), other]) {
            assert_eq!(part.lengths, expected.lengths);
            assert_eq!(values(part.tokens.clone()), values(expected.tokens));
        }
    }

    #[test]
    #[should_panic(expected = "5 tokens, but there are 6 rows")]
    fn lengths_must_add_up_to_the_rows() {
        let _ = Packed::new(packed().tokens, vec![5]);
    }
}
