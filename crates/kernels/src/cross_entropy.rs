//! Softmax and cross-entropy in one pass over the logits.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::loops::{largest, rows_a_task, sum, vectorised};
use super::math::exp;
use super::operation::{Operation, is_cpu_f32, rows_and_columns, run, tensor, values};

/// Cross-entropy, averaged over the rows: mean of `-log softmax` at the target class. `logits [m, c]`, one class for each row ->
/// `[1]`.
///
/// # Panics
/// If the number of classes is not the number of rows, or if a class is not below `c`.
pub fn cross_entropy(logits: Tensor<2>, classes: &[usize]) -> Tensor<1> {
    let [m, c] = logits.dims();
    assert!(
        classes.len() == m && classes.iter().all(|class| *class < c),
        "logits of {m} rows and {c} classes need {m} target classes, each below {c}"
    );
    if !is_cpu_f32(&logits) {
        return reference_cross_entropy(logits, classes);
    }
    run(CrossEntropy { classes: Arc::new(classes.to_vec()) }, vec![logits.into_dispatch()])
}

fn reference_cross_entropy(logits: Tensor<2>, classes: &[usize]) -> Tensor<1> {
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
        let saved = if keep { vec![logits.clone(), tensor(scales(), [m, 2])] } else { vec![] };
        (tensor(vec![(total / m as f64) as f32], [1]), saved)
    }

    fn backward(&self, gradient: &FlexTensor, saved: &[FlexTensor], _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let (logits, scales) = (&saved[0], values(&saved[1]));
        let [m, c] = rows_and_columns(logits);
        let (scale, task) = (values(gradient)[0] / m as f32, rows_a_task(c));
        let mut d = vec![0.0; m * c];
        let inputs = values(logits).par_chunks(task * c).zip(scales.par_chunks(2 * task));
        d.par_chunks_mut(task * c).zip(inputs).zip(self.classes.par_chunks(task)).for_each(
            |((d, (rows, scales)), classes)| {
                let each = d.chunks_exact_mut(c).zip(rows.chunks_exact(c)).zip(scales.chunks_exact(2).zip(classes));
                for ((d, row), (scales, class)) in each {
                    // The largest logit is subtracted instead of the logarithm of the sum. The probabilities then add up to 1 up
                    // to rounding, and the gradients of nearly equal rows cancel as they should.
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
    use super::super::reference::{close, compare, host, random};
    use super::*;

    #[test]
    fn cross_entropy_matches_the_reference() {
        for (m, c) in [(1, 2), (7, 5), (65, 1003)] {
            let classes: Vec<usize> = (0..m).map(|row| (row * 31) % c).collect();
            compare(
                "cross-entropy",
                [random([m, c], 1)],
                |[x]| cross_entropy(x, &classes),
                |[x]| reference_cross_entropy(x, &classes),
            );
        }
    }

    #[test]
    fn masked_and_large_logits_stay_finite() {
        let x = random([2, 3], 1) * 0.0
            + Tensor::from_floats([[0.0, f32::MIN, 0.0], [300.0, 0.0, -300.0]], &Default::default());
        let losses = |row: usize, class: usize| host(cross_entropy(x.clone().narrow(0, row, 1), &[class]));
        close("masked logit", &losses(0, 0), &[2f32.ln()]);
        close("large logits", &losses(1, 2), &[600.0]);
    }
}
