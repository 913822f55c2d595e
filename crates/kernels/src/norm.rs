//! Layer norm, alone and after a residual connection with dropout.

use burn::backend::TensorMetadata;
use burn::tensor::{Tensor, module};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::drop::DropMask;
use super::fresh::{fresh, fresh_pair};
use super::loops::{add, dot, map_pair, rows_a_task, sum, vectorised};
use super::operation::{Operation, is_cpu_f32, rows_and_columns, run, tensor, values};

/// Layer norm over the last axis: `[.., d] -> [.., d]`.
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<D> {
    if !is_cpu_f32(&x) {
        return module::layer_norm(x, weight, Some(bias), eps);
    }
    run(LayerNorm { eps: eps as f32 }, vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()])
}

/// Residual connection, dropout and layer norm in one operation: layer norm of `x + dropout(y)`, `[rows, d] -> [rows, d]`.
pub fn residual_norm(
    x: Tensor<2>,
    y: Tensor<2>,
    [weight, bias]: [Tensor<1>; 2],
    eps: f64,
    mask: Option<DropMask>,
) -> Tensor<2> {
    if !is_cpu_f32(&x) {
        return reference_residual_norm(x, y, [weight, bias], eps, mask);
    }
    let inputs = vec![x.into_dispatch(), y.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    run(ResidualNorm { eps: eps as f32, mask }, inputs)
}

fn reference_residual_norm(
    x: Tensor<2>,
    y: Tensor<2>,
    [weight, bias]: [Tensor<1>; 2],
    eps: f64,
    mask: Option<DropMask>,
) -> Tensor<2> {
    let y = match mask {
        Some(mask) => y.clone() * mask.tensor(&y),
        None => y,
    };
    module::layer_norm(x + y, weight, Some(bias), eps)
}

#[derive(Debug)]
struct LayerNorm {
    eps: f32,
}

impl Operation for LayerNorm {
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let [x, weight, bias] = [&inputs[0], &inputs[1], &inputs[2]];
        let (y, moments) = forward(values(x), values(weight), values(bias), self.eps);
        let saved = if keep { vec![x.clone(), weight.clone(), moments] } else { vec![] };
        (tensor(y, x.shape()), saved)
    }

    fn backward(&self, gradient: &FlexTensor, saved: &[FlexTensor], _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [dx, dweight, dbias] = backward(gradient, saved);
        vec![Some(dx), Some(dweight), Some(dbias)]
    }
}

#[derive(Debug)]
struct ResidualNorm {
    eps: f32,
    mask: Option<DropMask>,
}

impl Operation for ResidualNorm {
    fn forward(&self, inputs: &[FlexTensor], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let [x, y, weight, bias] = [&inputs[0], &inputs[1], &inputs[2], &inputs[3]];
        let z = self.sum(values(x), values(y), rows_and_columns(x)[1]);
        let (out, moments) = forward(&z, values(weight), values(bias), self.eps);
        let saved = if keep { vec![tensor(z, x.shape()), weight.clone(), moments] } else { vec![] };
        (tensor(out, x.shape()), saved)
    }

    fn backward(&self, gradient: &FlexTensor, saved: &[FlexTensor], _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [dz, dweight, dbias] = backward(gradient, saved);
        let dy = match &self.mask {
            Some(mask) => tensor(mask.apply(values(&dz)), dz.shape()),
            None => dz.clone(),
        };
        vec![Some(dz), Some(dy), Some(dweight), Some(dbias)]
    }
}

impl ResidualNorm {
    fn sum(&self, x: &[f32], y: &[f32], d: usize) -> Vec<f32> {
        let Some(mask) = &self.mask else {
            return map_pair(
                x,
                y,
                #[inline(always)]
                |x, y| x + y,
            );
        };
        fresh(x.len(), rows_a_task(d) * d, |start, z| {
            let mut factors = vec![0.0; z.len()];
            mask.factors(start, &mut factors);
            vectorised(
                z,
                #[inline(always)]
                |z| {
                    let [x, y, factors] = [&x[start..], &y[start..], &factors].map(|values| &values[..z.len()]);
                    z.write_each(
                        #[inline(always)]
                        |i| x[i] + factors[i] * y[i],
                    )
                },
            )
        })
    }
}

/// Returns the normalised rows, and the mean and 1 / standard deviation of each row, `[rows, 2]`.
fn forward(x: &[f32], weight: &[f32], bias: &[f32], eps: f32) -> (Vec<f32>, FlexTensor) {
    let (d, rows) = (weight.len(), rows_a_task(weight.len()));
    let lengths = [x.len(), 2 * (x.len() / d)];
    let [y, moments] = fresh_pair(lengths, [rows * d, 2 * rows], |start, y, moments| {
        let mut of_rows = Vec::with_capacity(moments.len());
        let y = vectorised(
            (y, &mut of_rows),
            #[inline(always)]
            |(y, of_rows)| {
                y.write_rows(
                    d,
                    #[inline(always)]
                    |number, row| {
                        let [x, weight, bias] =
                            [&x[start + number * d..], weight, bias].map(|values| &values[..row.len()]);
                        let mean = (sum(x, |x| x) / d as f64) as f32;
                        let variance = sum(x, |x| (x - mean) * (x - mean)) / d as f64;
                        let scale = (1.0 / (variance + f64::from(eps)).sqrt()) as f32;
                        of_rows.extend([mean, scale]);
                        row.write_each(
                            #[inline(always)]
                            |i| (x[i] - mean) * scale * weight[i] + bias[i],
                        )
                    },
                )
            },
        );
        [y, moments.write(of_rows.into_iter())]
    });
    (y, tensor(moments, [lengths[1] / 2, 2]))
}

/// Returns the gradients of the input of the norm, of the weight and of the bias. `saved` has the input, the weight, and the mean
/// and 1 / standard deviation of each row.
fn backward(gradient: &FlexTensor, saved: &[FlexTensor]) -> [FlexTensor; 3] {
    let (x, weight, moments) = (values(&saved[0]), values(&saved[1]), values(&saved[2]));
    let (d, rows) = (weight.len(), rows_a_task(weight.len()));
    let mut dx = vec![0.0; x.len()];
    let inputs = x.par_chunks(rows * d).zip(values(gradient).par_chunks(rows * d));
    let partial: Vec<[Vec<f32>; 2]> = dx
        .par_chunks_mut(rows * d)
        .zip(inputs)
        .zip(moments.par_chunks(2 * rows))
        .map(|((dx, (x, gradient)), moments)| {
            let (mut dweight, mut dbias, mut scratch) = (vec![0.0; d], vec![0.0; d], vec![0.0; d]);
            vectorised(
                [&mut dweight, &mut dbias, &mut scratch],
                #[inline(always)]
                |[dweight, dbias, scratch]| {
                    let each = dx.chunks_exact_mut(d).zip(x.chunks_exact(d).zip(gradient.chunks_exact(d)));
                    for ((dx, (x, gradient)), moments) in each.zip(moments.chunks_exact(2)) {
                        let [mean, scale] = [moments[0], moments[1]];
                        // dx first holds the normalised x; scratch holds the gradient times the weight.
                        for i in 0..d {
                            dx[i] = (x[i] - mean) * scale;
                            scratch[i] = gradient[i] * weight[i];
                            dweight[i] += gradient[i] * dx[i];
                            dbias[i] += gradient[i];
                        }
                        let first = (sum(scratch, |x| x) / d as f64) as f32;
                        let second = (dot(dx, scratch) / d as f64) as f32;
                        for i in 0..d {
                            dx[i] = scale * (scratch[i] - first - dx[i] * second);
                        }
                    }
                },
            );
            [dweight, dbias]
        })
        .collect();
    let (mut dweight, mut dbias) = (vec![0.0; d], vec![0.0; d]);
    for [weight, bias] in &partial {
        add(&mut dweight, weight);
        add(&mut dbias, bias);
    }
    [tensor(dx, saved[0].shape()), tensor(dweight, [d]), tensor(dbias, [d])]
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::super::reference::{compare, random};
    use super::*;

    #[test]
    fn layer_norm_matches_the_reference() {
        for (rows, d) in [(1, 7), (70, 64), (333, 80)] {
            compare(
                "layer norm",
                [random([rows, d], 3), random([1, d], 4), random([1, d], 5)],
                |[x, w, b]| layer_norm(x, w.squeeze_dim(0), b.squeeze_dim(0), 1e-5),
                |[x, w, b]| module::layer_norm(x, w.squeeze_dim(0), Some(b.squeeze_dim(0)), 1e-5),
            );
        }
    }

    #[test]
    fn residual_norm_matches_the_reference() {
        let mask = DropMask::new(Key::new(1).stream(Place::Dropout, 0), 6_554);
        for mask in [None, Some(mask)] {
            let run = |f: fn(Tensor<2>, Tensor<2>, [Tensor<1>; 2], f64, Option<DropMask>) -> Tensor<2>| {
                let mask = mask.clone();
                move |[x, y, w, b]: [Tensor<2>; 4]| f(x, y, [w.squeeze_dim(0), b.squeeze_dim(0)], 1e-5, mask.clone())
            };
            let inputs = [random([333, 80], 1), random([333, 80], 2), random([1, 80], 3), random([1, 80], 4)];
            compare("residual norm", inputs, run(residual_norm), run(reference_residual_norm));
        }
    }
}
