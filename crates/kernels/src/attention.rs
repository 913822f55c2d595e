//! Multi-head attention of packed (variable-length) sequences: query sequence `i` attends to key sequence `i`.

mod loops;

use std::sync::Arc;

use burn::backend::TensorMetadata;
use burn::tensor::{Device, Tensor, TensorData, activation};
use burn_flex::FlexTensor;

use super::drop::DropMask;
use super::matrix::ComputePrecision;
use super::operation::{Operation, is_cpu_f32, run, tensor, values};
use super::rows::rows;
use super::trace::RecordSlot;
use loops::{Gradients, Inputs, Sequences};

/// Which keys of its sequence a query attends to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visible {
    /// All keys.
    #[default]
    All,
    /// Causal attention: the last query attends to all keys, and each query before it to one key less. With as many queries as
    /// keys, query `i` attends to the keys 0 to `i`.
    Causal,
}

/// The parameters of one attention call: heads, lengths of the sequences, dropout, precision.
#[derive(Clone, Debug)]
pub struct AttentionPlan {
    /// Number of heads; the width must be a multiple of it.
    pub heads: usize,
    /// Number of queries in each sequence; 0 is allowed.
    pub queries: Arc<Vec<usize>>,
    /// Number of keys in each sequence, at least 1.
    pub keys: Arc<Vec<usize>>,
    /// Which keys a query attends to.
    pub visible: Visible,
    /// Dropout of the attention probabilities.
    pub mask: Option<DropMask>,
    /// Precision of the matrix products.
    pub precision: ComputePrecision,
    /// Where the backward pass records what the probabilities are worth, if it does. The call has no dropout then.
    pub record: Option<RecordSlot>,
}

/// Self-attention: each sequence attends to itself. Each row of `joined` has queries, keys and values next to each other:
/// `[rows, 3d] -> [rows, d]`.
///
/// # Panics
/// If the lengths in `plan` do not add up to the number of rows, or if a sequence of causal attention has fewer keys than
/// queries.
pub fn self_attention(joined: Tensor<2>, plan: AttentionPlan) -> Tensor<2> {
    plan.check(joined.dims()[0], joined.dims()[0]);
    if !is_cpu_f32(&joined) {
        let d = joined.dims()[1] / 3;
        let part = |index: usize| joined.clone().narrow(1, index * d, d);
        return reference_attention([part(0), part(1), part(2)], &plan);
    }
    run(plan, vec![joined.into_dispatch()])
}

/// Cross-attention: the sequences of `queries [q, d]` attend to those of `joined [k, 2d]`, whose rows have keys and values
/// next to each other; the result is `[q, d]`.
///
/// # Panics
/// As [`self_attention`].
pub fn cross_attention(queries: Tensor<2>, joined: Tensor<2>, plan: AttentionPlan) -> Tensor<2> {
    plan.check(queries.dims()[0], joined.dims()[0]);
    if !is_cpu_f32(&queries) {
        let d = queries.dims()[1];
        return reference_attention([queries, joined.clone().narrow(1, 0, d), joined.narrow(1, d, d)], &plan);
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
        let fits = self.visible == Visible::All || self.queries.iter().zip(self.keys.iter()).all(|(q, k)| q <= k);
        assert!(fits, "a sequence of causal attention has fewer keys than queries");
    }

    /// The inputs for the loops: one tensor with queries, keys and values, or queries and one tensor with keys and values.
    fn inputs<'a>(&self, tensors: &'a [FlexTensor]) -> Inputs<'a> {
        match tensors {
            [joined] => Inputs::joined(values(joined), joined.shape()[1] / 3),
            _ => Inputs::separate(values(&tensors[0]), values(&tensors[1]), tensors[0].shape()[1]),
        }
    }

    fn sequences(&self) -> Sequences {
        Sequences::new(self.heads, &self.queries, &self.keys, self.visible)
    }
}

impl Operation for AttentionPlan {
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let parts = self.inputs(inputs);
        let (out, probabilities) = loops::forward(&self.sequences(), &parts, self.mask.as_ref(), self.precision, keep);
        let shape = [out.len() / parts.d.max(1), parts.d];
        let saved = match probabilities {
            Some(probabilities) => {
                let count = [probabilities.len()];
                inputs.iter().cloned().chain([tensor(probabilities, count)]).collect()
            }
            None => vec![],
        };
        (tensor(out, shape), saved)
    }

    fn backward(&self, gradient: &FlexTensor, saved: &[FlexTensor], _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let (probabilities, inputs) = saved.split_last().expect("the probabilities are the last saved tensor");
        let parts = self.inputs(inputs);
        if let Some(record) = &self.record {
            record.write(loops::relevance(
                &self.sequences(),
                values(gradient),
                &parts,
                values(probabilities),
                self.precision,
            ));
        }
        let gradients = loops::backward(&self.sequences(), values(gradient), &parts, values(probabilities), self);
        match gradients {
            Gradients::Joined(all) => vec![Some(tensor(all, inputs[0].shape()))],
            Gradients::Separate(queries, joined) => {
                vec![Some(tensor(queries, inputs[0].shape())), Some(tensor(joined, inputs[1].shape()))]
            }
        }
    }
}

/// Reference implementation: attention made of the engine's operations, sequence by sequence.
fn reference_attention(parts: [Tensor<2>; 3], plan: &AttentionPlan) -> Tensor<2> {
    let (d, device) = (parts[0].dims()[1], parts[0].device());
    let (h, e) = (plan.heads, d / plan.heads);
    let (mut query, mut key, mut first_probability) = (0, 0, 0);
    let mut outs = vec![];
    for (&q, &k) in plan.queries.iter().zip(plan.keys.iter()) {
        let split = |part: usize, from: usize, rows: usize| {
            parts[part].clone().narrow(0, from, rows).reshape([rows, h, e]).swap_dims(0, 1) //          [h, rows, e]
        };
        if q > 0 {
            let (queries, keys, values) = (split(0, query, q), split(1, key, k), split(2, key, k));
            let scores = queries.mul_scalar((e as f64).powf(-0.5)).matmul(keys.swap_dims(1, 2)); //     [h, q, k]
            let scores = match plan.visible {
                Visible::All => scores,
                Visible::Causal => scores + causal_mask(q, k, &device),
            };
            let mut weights = activation::softmax(scores, 2);
            if let Some(mask) = &plan.mask {
                let mut factors = vec![0.0; h * q * k];
                mask.factors(first_probability, &mut factors);
                let factors: Tensor<3> = Tensor::from_data(TensorData::new(factors, [h, q, k]), &device);
                weights = weights * factors;
            }
            outs.push(weights.matmul(values).swap_dims(0, 1).reshape([q, d])); //                       [q, d]
        }
        (query, key, first_probability) = (query + q, key + k, first_probability + h * q * k);
    }
    match outs.is_empty() {
        true => rows(vec![parts[0].clone()], Arc::new(vec![])),
        false => Tensor::cat(outs, 0),
    }
}

/// 0 where a query attends to a key in causal attention, elsewhere a number so low that the probability is 0: `[1, q, k]`.
fn causal_mask(q: usize, k: usize, device: &Device) -> Tensor<3> {
    let of = |query: usize| (0..k).map(move |key| if key + q <= k + query { 0.0 } else { -1e30f32 });
    Tensor::from_data(TensorData::new((0..q).flat_map(of).collect::<Vec<f32>>(), [1, q, k]), device)
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::super::reference::{compare, host, random};
    use super::super::trace::{NetworkPart, Trace};
    use super::*;

    fn plans(heads: usize, queries: &[usize], keys: &[usize]) -> [AttentionPlan; 2] {
        let mask = DropMask::new(Key::new(5).stream(Place::Dropout, 1), 20_000);
        let plan = AttentionPlan {
            heads,
            queries: Arc::new(queries.to_vec()),
            keys: Arc::new(keys.to_vec()),
            visible: Visible::All,
            mask: None,
            precision: ComputePrecision::F32,
            record: None,
        };
        [AttentionPlan { mask: Some(mask), ..plan.clone() }, plan]
    }

    #[test]
    fn self_attention_matches_the_reference() {
        // A single token; several lengths; more queries than one block.
        for (d, h, lengths) in [(8, 2, &[1][..]), (48, 3, &[17, 1, 9]), (32, 1, &[150, 3])] {
            let rows = lengths.iter().sum::<usize>();
            for plan in plans(h, lengths, lengths) {
                let part = |x: &Tensor<2>, index: usize| x.clone().narrow(1, index * d, d);
                compare(
                    "self-attention",
                    [random([rows, 3 * d], 1)],
                    |[x]| self_attention(x, plan.clone()),
                    |[x]| reference_attention([part(&x, 0), part(&x, 1), part(&x, 2)], &plan),
                );
            }
        }
    }

    #[test]
    fn cross_attention_matches_the_reference() {
        for (d, h, queries, keys) in [(48, 3, &[17, 0, 1, 0][..], &[9, 4, 33, 2][..]), (64, 2, &[130, 2], &[70, 1])] {
            let [q, k] = [queries, keys].map(|lengths| lengths.iter().sum::<usize>());
            for plan in plans(h, queries, keys) {
                // Both inputs come from one tensor, because `compare` needs inputs of the same shape.
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
                        reference_attention([queries, joined.clone().narrow(1, 0, d), joined.narrow(1, d, d)], &plan)
                    },
                );
            }
        }
    }

    #[test]
    fn causal_attention_matches_the_reference() {
        // As many queries as keys, in one block and in several; fewer queries than keys; a sequence without queries.
        for (d, h, queries, keys) in [
            (48, 3, &[17, 1, 9][..], &[17, 1, 9][..]),
            (32, 2, &[150, 64, 65], &[150, 64, 65]),
            (16, 2, &[3, 0, 1, 70], &[9, 4, 33, 140]),
        ] {
            let [q, k] = [queries, keys].map(|lengths| lengths.iter().sum::<usize>());
            for plan in plans(h, queries, keys) {
                let plan = AttentionPlan { visible: Visible::Causal, ..plan };
                let split = |x: Tensor<2>| (x.clone().narrow(0, 0, q).narrow(1, 0, d), x.narrow(0, q, k));
                compare(
                    "causal cross-attention",
                    [random([q + k, 2 * d], 1)],
                    |[x]| {
                        let (queries, joined) = split(x);
                        cross_attention(queries, joined, plan.clone())
                    },
                    |[x]| {
                        let (queries, joined) = split(x);
                        reference_attention([queries, joined.clone().narrow(1, 0, d), joined.narrow(1, d, d)], &plan)
                    },
                );
                if queries == keys {
                    let part = |x: &Tensor<2>, index: usize| x.clone().narrow(1, index * d, d);
                    compare(
                        "causal self-attention",
                        [random([k, 3 * d], 1)],
                        |[x]| self_attention(x, plan.clone()),
                        |[x]| reference_attention([part(&x, 0), part(&x, 1), part(&x, 2)], &plan),
                    );
                }
            }
        }
    }

    /// A later key must not change an earlier result by a single bit, whatever its values are.
    #[test]
    fn causal_attention_does_not_see_later_keys() {
        let [_, plan] = plans(2, &[70], &[70]);
        let plan = AttentionPlan { visible: Visible::Causal, ..plan };
        let x: Tensor<2> = random([70, 48], 1);
        let changed = Tensor::cat(vec![x.clone().narrow(0, 0, 69), Tensor::full([1, 48], 1e30, &x.device())], 0);
        let [before, after] = [x, changed].map(|x| host(self_attention(x, plan.clone())));
        assert_eq!(before[..69 * 16], after[..69 * 16]);
        assert_ne!(before[69 * 16..], after[69 * 16..]);
    }

    #[test]
    #[should_panic(expected = "fewer keys than queries")]
    fn causal_attention_needs_a_key_for_each_query() {
        let [_, plan] = plans(2, &[3], &[2]);
        let plan = AttentionPlan { visible: Visible::Causal, ..plan };
        let _ = cross_attention(random([3, 8], 1), random([2, 16], 2), plan);
    }

    /// What is recorded equals probability times gradient, computed directly.
    #[test]
    fn relevance_is_the_positive_part_of_probability_times_gradient() {
        let (d, h, lengths) = (8, 2, [3usize, 70]);
        let (e, n) = (d / h, 73);
        let trace = Trace::default();
        trace.enter(NetworkPart::TextEncoder);
        let [_, plan] = plans(h, &lengths, &lengths);
        let plan = AttentionPlan { record: Some(trace.slot(false)), ..plan };
        let (joined, weights) = (random([n, 3 * d], 1).require_grad(), random::<2>([n, d], 2));
        let loss = (self_attention(joined.clone(), plan) * weights.clone()).sum();
        assert!(trace.attention()[0].relevance.is_empty(), "nothing is known before the backward pass");
        let _ = loss.backward();
        let (x, g) = (host(joined), host(weights));
        let mut start = 0;
        for (length, found) in lengths.into_iter().zip(&trace.attention()[0].relevance) {
            let at = |row: usize, part: usize, head: usize, place: usize| {
                x[(start + row) * 3 * d + part * d + head * e + place]
            };
            for (query, key) in [(0, 0), (2, 1), (length - 1, length - 2)] {
                let of_head = |head: usize| {
                    let dot = |key: usize| (0..e).map(|c| at(query, 0, head, c) * at(key, 1, head, c)).sum::<f32>();
                    let score = |key: usize| (dot(key) / (e as f32).sqrt()).exp();
                    let probability = score(key) / (0..length).map(score).sum::<f32>();
                    let of_output = |c: usize| g[(start + query) * d + head * e + c];
                    let gradient: f32 = (0..e).map(|c| of_output(c) * at(key, 2, head, c)).sum();
                    (probability * gradient).max(0.0) / h as f32
                };
                let expected: f32 = (0..h).map(of_head).sum();
                let found = found[query * length + key];
                assert!((found - expected).abs() < 1e-4 * (1.0 + expected), "{found} {expected}");
            }
            start += length;
        }
        assert_eq!(trace.attention()[0].part, Some(NetworkPart::TextEncoder));
    }

    #[test]
    fn all_query_sequences_may_be_empty() {
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
