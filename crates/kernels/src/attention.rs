//! Attention of packed sequences: each sequence of queries attends to the sequence of keys with its number.

mod loops;

use std::sync::Arc;

use burn::backend::TensorMetadata;
use burn::tensor::{Tensor, TensorData, activation};
use burn_flex::FlexTensor;

use super::drop::DropMask;
use super::matrix::ComputePrecision;
use super::operation::{Operation, is_ours, run, tensor, values};
use super::rows::rows;
use loops::{Gradients, Inputs, Sequences};

/// Who attends to whom.
#[derive(Clone, Debug)]
pub struct AttentionPlan {
    /// Heads; the width is a multiple of them.
    pub heads: usize,
    /// Length of each sequence of queries; 0 is allowed.
    pub queries: Arc<Vec<usize>>,
    /// Length of each sequence of keys, at least 1.
    pub keys: Arc<Vec<usize>>,
    /// What is dropped of the probabilities.
    pub mask: Option<DropMask>,
    /// In what products are computed.
    pub products: ComputePrecision,
}

/// Sequences that attend to themselves: queries, keys and values side by side, `[rows, 3d] -> [rows, d]`.
///
/// # Panics
/// If the plan's lengths are not those of the rows.
pub fn self_attention(joined: Tensor<2>, plan: AttentionPlan) -> Tensor<2> {
    plan.check(joined.dims()[0], joined.dims()[0]);
    if !is_ours(&joined) {
        let d = joined.dims()[1] / 3;
        let part = |index: usize| joined.clone().narrow(1, index * d, d);
        return plain_attention([part(0), part(1), part(2)], &plan);
    }
    run(plan, vec![joined.into_dispatch()])
}

/// Sequences that attend to others: `queries [q, d]`, keys and values side by side `[k, 2d]` -> `[q, d]`.
///
/// # Panics
/// As [`self_attention`].
pub fn cross_attention(queries: Tensor<2>, joined: Tensor<2>, plan: AttentionPlan) -> Tensor<2> {
    plan.check(queries.dims()[0], joined.dims()[0]);
    if !is_ours(&queries) {
        let d = queries.dims()[1];
        return plain_attention([queries, joined.clone().narrow(1, 0, d), joined.narrow(1, d, d)], &plan);
    }
    run(plan, vec![queries.into_dispatch(), joined.into_dispatch()])
}

impl AttentionPlan {
    fn check(&self, queries: usize, keys: usize) {
        let sums = [self.queries.iter().sum::<usize>(), self.keys.iter().sum()];
        assert!(
            self.queries.len() == self.keys.len() && sums == [queries, keys] && !self.keys.contains(&0),
            "sequences of {sums:?} tokens are not {queries} queries and {keys} keys"
        );
    }

    /// Inputs as the loops see them: one tensor with three parts, or queries and a tensor with two parts.
    fn inputs<'a>(&self, tensors: &'a [FlexTensor]) -> Inputs<'a> {
        match tensors {
            [joined] => Inputs::joined(values(joined), joined.shape()[1] / 3),
            _ => Inputs::apart(values(&tensors[0]), values(&tensors[1]), tensors[0].shape()[1]),
        }
    }

    fn sequences(&self) -> Sequences {
        Sequences::new(self.heads, &self.queries, &self.keys)
    }
}

impl Operation for AttentionPlan {
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let parts = self.inputs(inputs);
        let (out, probabilities) = loops::forward(&self.sequences(), &parts, self.mask.as_ref(), self.products, keep);
        let shape = [out.len() / parts.d.max(1), parts.d];
        let kept = match probabilities {
            Some(probabilities) => {
                let cells = [probabilities.len()];
                inputs.iter().cloned().chain([tensor(probabilities, cells)]).collect()
            }
            None => vec![],
        };
        (tensor(out, shape), kept)
    }

    fn backward(&self, gradient: &FlexTensor, kept: &[FlexTensor], _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let (probabilities, inputs) = kept.split_last().expect("probabilities are kept last");
        let parts = self.inputs(inputs);
        let gradients = loops::backward(&self.sequences(), values(gradient), &parts, values(probabilities), self);
        match gradients {
            Gradients::Joined(all) => vec![Some(tensor(all, inputs[0].shape()))],
            Gradients::Apart(queries, joined) => {
                vec![Some(tensor(queries, inputs[0].shape())), Some(tensor(joined, inputs[1].shape()))]
            }
        }
    }
}

/// Attention of the engine's operations, sequence by sequence.
fn plain_attention(parts: [Tensor<2>; 3], plan: &AttentionPlan) -> Tensor<2> {
    let (d, device) = (parts[0].dims()[1], parts[0].device());
    let (h, e) = (plan.heads, d / plan.heads);
    let (mut query, mut key, mut cell) = (0, 0, 0);
    let mut outs = vec![];
    for (&q, &k) in plan.queries.iter().zip(plan.keys.iter()) {
        let split = |part: usize, from: usize, rows: usize| {
            parts[part].clone().narrow(0, from, rows).reshape([rows, h, e]).swap_dims(0, 1) //          [h, rows, e]
        };
        if q > 0 {
            let (queries, keys, values) = (split(0, query, q), split(1, key, k), split(2, key, k));
            let scores = queries.mul_scalar((e as f64).powf(-0.5)).matmul(keys.swap_dims(1, 2)); //     [h, q, k]
            let mut weights = activation::softmax(scores, 2);
            if let Some(mask) = &plan.mask {
                let mut factors = vec![0.0; h * q * k];
                mask.factors(cell, &mut factors);
                let factors: Tensor<3> = Tensor::from_data(TensorData::new(factors, [h, q, k]), &device);
                weights = weights * factors;
            }
            outs.push(weights.matmul(values).swap_dims(0, 1).reshape([q, d])); //                       [q, d]
        }
        (query, key, cell) = (query + q, key + k, cell + h * q * k);
    }
    match outs.is_empty() {
        true => rows(vec![parts[0].clone()], Arc::new(vec![])),
        false => Tensor::cat(outs, 0),
    }
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::super::twins::{compare, random};
    use super::*;

    fn plans(heads: usize, queries: &[usize], keys: &[usize]) -> [AttentionPlan; 2] {
        let mask = DropMask::new(Key::new(5).stream(Place::Dropout, 1), 20_000);
        let plan = AttentionPlan {
            heads,
            queries: Arc::new(queries.to_vec()),
            keys: Arc::new(keys.to_vec()),
            mask: None,
            products: ComputePrecision::F32,
        };
        [AttentionPlan { mask: Some(mask), ..plan.clone() }, plan]
    }

    #[test]
    fn self_attention_equals_the_plain_one() {
        // One token, several lengths, more queries than one task takes.
        for (d, h, lengths) in [(8, 2, &[1][..]), (48, 3, &[17, 1, 9]), (32, 1, &[150, 3])] {
            let rows = lengths.iter().sum::<usize>();
            for plan in plans(h, lengths, lengths) {
                let part = |x: &Tensor<2>, index: usize| x.clone().narrow(1, index * d, d);
                compare(
                    "self-attention",
                    [random([rows, 3 * d], 1)],
                    |[x]| self_attention(x, plan.clone()),
                    |[x]| plain_attention([part(&x, 0), part(&x, 1), part(&x, 2)], &plan),
                );
            }
        }
    }

    #[test]
    fn cross_attention_equals_the_plain_one() {
        for (d, h, queries, keys) in [(48, 3, &[17, 0, 1, 0][..], &[9, 4, 33, 2][..]), (64, 2, &[130, 2], &[70, 1])] {
            let [q, k] = [queries, keys].map(|lengths| lengths.iter().sum::<usize>());
            for plan in plans(h, queries, keys) {
                // Both inputs in one tensor, since the twins take inputs of one shape.
                let split = |x: Tensor<2>| (x.clone().narrow(0, 0, q).narrow(1, 0, d), x.narrow(0, q, k));
                compare(
                    "cross-attention",
                    [random([q + k, 2 * d], 1)],
                    |[x]| {
                        let (queries, joined) = split(x);
                        cross_attention(queries, joined, plan.clone())
                    },
                    |[x]| {
                        let (queries, joined) = split(x);
                        plain_attention([queries, joined.clone().narrow(1, 0, d), joined.narrow(1, d, d)], &plan)
                    },
                );
            }
        }
    }

    #[test]
    fn nobody_may_ask() {
        let [_, plan] = plans(2, &[0, 0], &[3, 1]);
        assert_eq!(cross_attention(random([0, 8], 1), random([4, 16], 2), plan).dims(), [0, 8]);
    }

    #[test]
    #[should_panic(expected = "are not 4 queries and 4 keys")]
    fn lengths_must_be_those_of_the_rows() {
        let [_, plan] = plans(2, &[3], &[3]);
        let _ = self_attention(random([4, 24], 1), plan);
    }
}
