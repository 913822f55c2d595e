//! Softmax and cross-entropy in one pass over the logits.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::loops::{largest, rows_a_task, sum, vectorised};
use super::math::exp;
use super::operation::{Operation, is_ours, rows_and_columns, run, tensor, values};

/// Mean of `-log softmax` at the wanted class: `logits [m, c]`, one class a row -> `[1]`.
///
/// # Panics
/// If there is not one class a row, or a class is not there.
pub fn cross_entropy(logits: Tensor<2>, classes: &[usize]) -> Tensor<1> {
    let [m, c] = logits.dims();
    assert!(classes.len() == m && classes.iter().all(|class| *class < c), "{m} rows of {c} classes");
    if !is_ours(&logits) {
        return plain_cross_entropy(logits, classes);
    }
    run(CrossEntropy { classes: Arc::new(classes.to_vec()) }, vec![logits.into_dispatch()])
}

fn plain_cross_entropy(logits: Tensor<2>, classes: &[usize]) -> Tensor<1> {
    let device = logits.device();
    let wanted: Vec<i32> = classes.iter().map(|&class| class as i32).collect();
    let wanted: Tensor<2, Int> = Tensor::from_data(TensorData::new(wanted, [classes.len(), 1]), &device);
    log_softmax(logits, 1).gather(1, wanted).mean().neg()
}

#[derive(Debug)]
struct CrossEntropy {
    classes: Arc<Vec<usize>>,
}

impl Operation for CrossEntropy {
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let logits = &inputs[0];
        let [m, c] = rows_and_columns(logits);
        let sums: Vec<[f64; 2]> = values(logits).par_chunks(c).map(largest_and_sum).collect();
        let losses = values(logits).chunks_exact(c).zip(self.classes.iter()).zip(&sums);
        let total: f64 = losses.map(|((row, class), [largest, sum])| largest + sum.ln() - f64::from(row[*class])).sum();
        let scales = || sums.iter().flat_map(|[largest, sum]| [*largest as f32, (1.0 / sum) as f32]).collect();
        let kept = if keep { vec![logits.clone(), tensor(scales(), [m, 2])] } else { vec![] };
        (tensor(vec![(total / m as f64) as f32], [1]), kept)
    }

    fn backward(&self, gradient: &FlexTensor, kept: &[FlexTensor], _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let (logits, scales) = (&kept[0], values(&kept[1]));
        let [m, c] = rows_and_columns(logits);
        let (scale, task) = (values(gradient)[0] / m as f32, rows_a_task(c));
        let mut d = vec![0.0; m * c];
        let inputs = values(logits).par_chunks(task * c).zip(scales.par_chunks(2 * task));
        d.par_chunks_mut(task * c).zip(inputs).zip(self.classes.par_chunks(task)).for_each(
            |((d, (rows, scales)), classes)| {
                let each = d.chunks_exact_mut(c).zip(rows.chunks_exact(c)).zip(scales.chunks_exact(2).zip(classes));
                for ((d, row), (scales, class)) in each {
                    // Over the largest, not by a logarithm: probabilities then add up to 1 to rounding, and gradients of
                    // rows that are nearly alike cancel as they should.
                    let [largest, factor] = [scales[0], scales[1] * scale];
                    vectorised(
                        &mut *d,
                        #[inline(always)]
                        |d| {
                            for (d, x) in d.iter_mut().zip(row) {
                                *d = factor * exp(x - largest);
                            }
                        },
                    );
                    d[*class] -= scale;
                }
            },
        );
        vec![Some(tensor(d, [m, c]))]
    }
}

/// The largest value of a row, and the sum of `e^(x - largest)`.
fn largest_and_sum(row: &[f32]) -> [f64; 2] {
    vectorised(
        row,
        #[inline(always)]
        |row| {
            let largest = largest(row);
            let total = sum(
                row,
                #[inline(always)]
                |x| exp(x - largest),
            );
            [f64::from(largest), total]
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::twins::{close, compare, host, random};
    use super::*;

    #[test]
    fn cross_entropy_equals_the_plain_one() {
        for (m, c) in [(1, 2), (7, 5), (65, 1003)] {
            let classes: Vec<usize> = (0..m).map(|row| (row * 31) % c).collect();
            compare(
                "cross-entropy",
                [random([m, c], 1)],
                |[x]| cross_entropy(x, &classes),
                |[x]| plain_cross_entropy(x, &classes),
            );
        }
    }

    #[test]
    fn hidden_and_large_logits_stay_finite() {
        let x = random([2, 3], 1) * 0.0
            + Tensor::from_floats([[0.0, f32::MIN, 0.0], [300.0, 0.0, -300.0]], &Default::default());
        let losses = |row: usize, class: usize| host(cross_entropy(x.clone().narrow(0, row, 1), &[class]));
        close("half", &losses(0, 0), &[2f32.ln()]);
        close("far", &losses(1, 2), &[600.0]);
    }
}
