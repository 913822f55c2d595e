//! Means of the tokens of packed sequences.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use ptu_kernels::{Packed, rows};

/// The mean of the tokens of each sequence, `[count, d]`. The mean of no tokens is zero.
pub(crate) fn of(x: &Packed) -> Tensor<2> {
    let (all, b) = (x.tokens.dims()[0], x.count());
    let mut weights = vec![0.0; b * all];
    for (sequence, (start, length)) in x.starts().into_iter().zip(x.lengths.iter()).enumerate() {
        weights[sequence * all..][start..start + length].fill(1.0 / *length as f32);
    }
    let weights: Tensor<2> = Tensor::from_data(TensorData::new(weights, [b, all]), &x.tokens.device());
    weights.matmul(x.tokens.clone())
}

/// Puts the mean of the tokens of each sequence before them.
pub(crate) fn before(x: &Packed) -> Packed {
    let b = x.count();
    let index = x.starts().into_iter().zip(x.lengths.iter()).enumerate();
    let index =
        index.flat_map(|(sequence, (start, length))| std::iter::once(sequence).chain(b + start..b + start + length));
    let lengths = x.lengths.iter().map(|length| 1 + length).collect();
    Packed::new(rows(vec![of(x), x.tokens.clone()], Arc::new(index.collect())), lengths)
}

/// Adds the mean of the tokens of each sequence to its first token. Each sequence must have a token.
pub(crate) fn added_to_first(x: &Packed) -> Packed {
    let b = x.count();
    let firsts = x.first_tokens(0..b) + of(x);
    let index = x.starts().into_iter().zip(x.lengths.iter()).enumerate();
    let index = index
        .flat_map(|(sequence, (start, length))| std::iter::once(sequence).chain(b + start + 1..b + start + length));
    x.with(rows(vec![firsts, x.tokens.clone()], Arc::new(index.collect())))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn values(x: &Packed) -> Vec<f32> {
        x.tokens.clone().into_data().try_into_vec().unwrap()
    }

    #[test]
    fn the_mean_stands_before_the_tokens() {
        let tokens = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 6.0], [5.0, 5.0]], &Device::flex());
        let found = before(&Packed::new(tokens, vec![2, 0, 1]));
        assert_eq!(*found.lengths, [3, 1, 2]);
        let values: Vec<f32> = found.tokens.into_data().try_into_vec().unwrap();
        assert_eq!(values, [2.0, 4.0, 1.0, 2.0, 3.0, 6.0, 0.0, 0.0, 5.0, 5.0, 5.0, 5.0]);
    }

    #[test]
    fn the_mean_is_added_to_the_first_token() {
        let tokens = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 6.0], [5.0, 5.0]], &Device::flex());
        let found = added_to_first(&Packed::new(tokens, vec![2, 1]));
        assert_eq!(values(&found), [3.0, 6.0, 3.0, 6.0, 10.0, 10.0]);
        assert_eq!(*found.lengths, [2, 1]);
    }
}
