//! Multi-head attention of BERT, with post-norm.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ptu_kernels::{AttentionPlan, Packed, Pass, Visible, linears};

use super::{LayerNorm, Linear};

/// Multi-head attention of BERT with residual connection and post-norm: `LN(x + dropout(Wo attention(x, y)))`.
#[derive(Module, Debug)]
pub struct Attention {
    /// Query projection.
    pub query: Linear,
    /// Key projection.
    pub key: Linear,
    /// Value projection.
    pub value: Linear,
    /// Output projection.
    pub output: Linear,
    /// Layer norm after the residual connection.
    pub norm: LayerNorm,
    heads: usize,
}

impl Attention {
    /// Attention of width `d` with this number of heads.
    pub fn new(d: usize, heads: usize, eps: f64, device: &Device) -> Self {
        let linear = || Linear::new(d, d, device);
        Self {
            query: linear(),
            key: linear(),
            value: linear(),
            output: linear(),
            norm: LayerNorm::new(d, eps, device),
            heads,
        }
    }

    /// Self-attention: each sequence attends to itself.
    pub fn self_attention(&self, x: &Packed, pass: &Pass) -> Packed {
        self.attend_to_itself(x, Visible::All, pass)
    }

    /// Causal self-attention: each token attends to itself and to the tokens before it.
    pub fn causal_self_attention(&self, x: &Packed, pass: &Pass) -> Packed {
        self.attend_to_itself(x, Visible::Causal, pass)
    }

    fn attend_to_itself(&self, x: &Packed, visible: Visible, pass: &Pass) -> Packed {
        let joined =
            linears(x.tokens.clone(), [self.query.parts(), self.key.parts(), self.value.parts()], pass.precision); // [rows, 3d]
        let plan = AttentionPlan { visible, ..self.plan(&x.lengths, &x.lengths, false, pass) };
        self.finish(x, ptu_kernels::self_attention(joined, plan), pass)
    }

    /// Cross-attention: sequence `i` of `x` attends to sequence `i` of `y`.
    pub fn cross_attention(&self, x: &Packed, y: &Packed, pass: &Pass) -> Packed {
        self.cross_attention_to(x, &y.with(self.keys_and_values(y.tokens.clone(), pass)), pass)
    }

    /// Keys and values of tokens, next to each other: `[rows, d] -> [rows, 2d]`.
    pub fn keys_and_values(&self, tokens: Tensor<2>, pass: &Pass) -> Tensor<2> {
        linears(tokens, [self.key.parts(), self.value.parts()], pass.precision)
    }

    /// As [`Self::cross_attention`], with keys and values that were computed before: see [`Self::keys_and_values`].
    pub fn cross_attention_to(&self, x: &Packed, joined: &Packed, pass: &Pass) -> Packed {
        let queries = self.query.forward(x.tokens.clone(), pass); //                              [rows of x, d]
        let plan = self.plan(&x.lengths, &joined.lengths, true, pass);
        self.finish(x, ptu_kernels::cross_attention(queries, joined.tokens.clone(), plan), pass)
    }

    /// Attention weights of each token of sequence `i` of `x` over the tokens of sequence `i` of `y`, averaged over heads.
    /// For each sequence `[tokens of x, tokens of y]`; each row sums to 1. Computed with simple loops; used for display only.
    pub fn weights(&self, x: &Packed, y: &Packed) -> Vec<Vec<f32>> {
        let [queries, keys] =
            [(&self.query, x), (&self.key, y)].map(|(map, of)| of.with(map.forward(of.tokens.clone(), &Pass::off())));
        attention_weights((&queries, &keys), self.heads)
    }

    fn plan(&self, queries: &Arc<Vec<usize>>, keys: &Arc<Vec<usize>>, crosses: bool, pass: &Pass) -> AttentionPlan {
        let (queries, keys) = (Arc::clone(queries), Arc::clone(keys));
        AttentionPlan {
            heads: self.heads,
            queries,
            keys,
            visible: Visible::All,
            mask: pass.mask(),
            precision: pass.precision,
            record: pass.record(crosses),
        }
    }

    /// Output projection, dropout, residual connection and layer norm.
    fn finish(&self, x: &Packed, mixed: Tensor<2>, pass: &Pass) -> Packed {
        x.with(self.norm.forward_sum(x.tokens.clone(), self.output.forward(mixed, pass), pass))
    }
}

/// Attention weights of queries over the keys of their sequence, averaged over heads: see [`Attention::weights`].
pub fn attention_weights((queries, keys): (&Packed, &Packed), heads: usize) -> Vec<Vec<f32>> {
    let host = |x: &Packed| -> Vec<f32> {
        x.tokens.clone().inner().into_data().try_into_vec().expect("the model computes in f32")
    };
    let d = queries.tokens.dims()[1];
    let of = |x: &Packed| x.starts().into_iter().zip(x.lengths.to_vec());
    let (query_values, key_values) = (host(queries), host(keys));
    of(queries)
        .zip(of(keys))
        .map(|((from, m), (start, n))| {
            mean_weights((&query_values[from * d..], m), (&key_values[start * d..], n), (d, heads))
        })
        .collect()
}

/// Attention weights of one sequence of m queries over n keys, averaged over heads: `[m, n]`.
fn mean_weights((queries, m): (&[f32], usize), (keys, n): (&[f32], usize), (d, heads): (usize, usize)) -> Vec<f32> {
    let (mut mean, size) = (vec![0.0; m * n], d / heads);
    for head in 0..heads {
        for (query, mean) in mean.chunks_exact_mut(n).enumerate() {
            let query = &queries[query * d + head * size..][..size];
            let dot =
                |key: usize| query.iter().zip(&keys[key * d + head * size..][..size]).map(|(x, y)| x * y).sum::<f32>();
            let scores: Vec<f32> = (0..n).map(|key| dot(key) / (size as f32).sqrt()).collect();
            let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = scores.iter().map(|score| (score - most).exp()).sum();
            mean.iter_mut().zip(&scores).for_each(|(mean, score)| *mean += (score - most).exp() / sum / heads as f32);
        }
    }
    mean
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::*;

    /// The attention weights of `weights` sum to 1 and equal weights computed directly.
    #[test]
    fn attention_weights_equal_those_computed_directly() {
        let (d, device) = (4, Device::flex());
        let mut stream = Key::new(2).stream(Place::Sample, 0);
        let mut tensor = |rows: usize| {
            let values: Vec<f32> = (0..rows * d).map(|_| stream.normal() as f32).collect();
            Tensor::<2>::from_data(burn::tensor::TensorData::new(values, [rows, d]), &device)
        };
        let mut attention = Attention::new(d, 2, 1e-5, &device);
        for map in [&mut attention.query, &mut attention.key] {
            map.weight = burn::module::Param::from_tensor(tensor(d));
        }
        let (x, y) = (Packed::new(tensor(5), vec![3, 2]), Packed::new(tensor(6), vec![2, 4]));
        let weights = attention.weights(&x, &y);
        assert_eq!(weights.iter().map(Vec::len).collect::<Vec<_>>(), [6, 8]);
        assert!(
            weights
                .iter()
                .zip([2, 4])
                .all(|(weights, n)| weights.chunks_exact(n).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5))
        );
        let host = |x: Tensor<2>| -> Vec<f32> { x.into_data().try_into_vec().unwrap() };
        let queries = host(attention.query.forward(x.tokens.clone(), &Pass::off()));
        let keys = host(attention.key.forward(y.tokens.clone(), &Pass::off()));
        // The second query of the second sequence, computed directly: row 4 of x, rows 2 to 5 of y, two heads of width two.
        let expected: Vec<f32> = (0..4)
            .map(|key| {
                let of_head = |head: usize| {
                    let score = |key: usize| {
                        let at = |row: usize, column: usize| row * d + 2 * head + column;
                        let dot = queries[at(4, 0)] * keys[at(2 + key, 0)] + queries[at(4, 1)] * keys[at(2 + key, 1)];
                        (dot / 2.0f32.sqrt()).exp()
                    };
                    score(key) / (0..4).map(score).sum::<f32>()
                };
                (of_head(0) + of_head(1)) / 2.0
            })
            .collect();
        assert!(
            weights[1][4..].iter().zip(&expected).all(|(ours, expected)| (ours - expected).abs() < 1e-5),
            "{:?} {expected:?}",
            &weights[1][4..]
        );
    }
}
