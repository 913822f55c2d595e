//! Plain loops over slices, vectorised for what the processor has (`pulp` chooses when they run) and spread over the cores
//! in chunks fixed by the shape.

use pulp::Arch;
use rayon::prelude::*;

use super::math::{exp, normal, sigmoid};

/// Values that one task takes.
const CHUNK: usize = 1 << 13;
/// Partial sums kept side by side, so that sums vectorise; fixed, so that they do not depend on the processor.
const LANES: usize = 16;

/// Applies `f` to each value.
pub fn map(x: &[f32], f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        Arch::new().dispatch(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, x)| *y = f(*x)),
        );
    });
    y
}

/// Applies `f` to each pair of values.
pub fn map_pair(x: &[f32], other: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    let inputs = x.par_chunks(CHUNK).zip(other.par_chunks(CHUNK));
    y.par_chunks_mut(CHUNK).zip(inputs).for_each(|(y, (x, other))| {
        Arch::new().dispatch(
            #[inline(always)]
            || y.iter_mut().zip(x.iter().zip(other)).for_each(|(y, (x, other))| *y = f(*x, *other)),
        );
    });
    y
}

/// GELU with the error function.
pub fn gelu(x: &[f32]) -> Vec<f32> {
    map(
        x,
        #[inline(always)]
        |x| x * normal(x).0,
    )
}

/// Gradient of [`gelu`].
pub fn gelu_backward(x: &[f32], gradient: &[f32]) -> Vec<f32> {
    map_pair(
        x,
        gradient,
        #[inline(always)]
        |x, gradient| {
            let (cumulative, density) = normal(x);
            gradient * (cumulative + x * density)
        },
    )
}

/// CLIP's activation.
pub fn quick_gelu(x: &[f32]) -> Vec<f32> {
    map(
        x,
        #[inline(always)]
        |x| x * sigmoid(1.702 * x),
    )
}

/// Gradient of [`quick_gelu`].
pub fn quick_gelu_backward(x: &[f32], gradient: &[f32]) -> Vec<f32> {
    map_pair(
        x,
        gradient,
        #[inline(always)]
        |x, gradient| {
            let s = sigmoid(1.702 * x);
            gradient * s * (1.0 + 1.702 * x * (1.0 - s))
        },
    )
}

/// Rows of width `d` that one task takes.
pub fn rows(d: usize) -> usize {
    (CHUNK / d.max(1)).max(1)
}

/// Sum of `f` over values, in f64: means and projections are taken away from what they were summed of, and what is left of
/// a gradient then should not be rounding.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for chunk in whole {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += f64::from(f(*x)));
    }
    rest.iter().map(|x| f64::from(f(*x))).sum::<f64>() + lanes.iter().sum::<f64>()
}

/// Sum of products, as [`sum`].
#[inline(always)]
fn dot(x: &[f32], y: &[f32]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let ((whole_x, rest_x), (whole_y, rest_y)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in whole_x.iter().zip(whole_y) {
        (0..LANES).for_each(|lane| lanes[lane] += f64::from(x[lane]) * f64::from(y[lane]));
    }
    let rest: f64 = rest_x.iter().zip(rest_y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    rest + lanes.iter().sum::<f64>()
}

/// What layer norm keeps for its gradient: mean and 1 / deviation of each row.
pub struct Moments {
    pub mean: Vec<f32>,
    pub scale: Vec<f32>,
}

/// Layer norm of rows of `weight.len()` values.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32) -> (Vec<f32>, Moments) {
    let d = weight.len();
    let (mut y, count) = (vec![0.0; x.len()], x.len() / d);
    let mut moments = Moments { mean: vec![0.0; count], scale: vec![0.0; count] };
    let outputs = y
        .par_chunks_mut(rows(d) * d)
        .zip(moments.mean.par_chunks_mut(rows(d)).zip(moments.scale.par_chunks_mut(rows(d))));
    outputs.zip(x.par_chunks(rows(d) * d)).for_each(|((y, (mean, scale)), x)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let each = y.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(mean.iter_mut().zip(scale));
                for ((y, x), (mean, scale)) in each {
                    *mean = (sum(x, |x| x) / d as f64) as f32;
                    let center = *mean;
                    let variance = sum(x, |x| (x - center) * (x - center)) / d as f64;
                    *scale = (1.0 / (variance + f64::from(eps)).sqrt()) as f32;
                    for (y, (x, (weight, bias))) in y.iter_mut().zip(x.iter().zip(weight.iter().zip(bias))) {
                        *y = (x - center) * *scale * weight + bias;
                    }
                }
            },
        );
    });
    (y, moments)
}

/// Gradients of [`layer_norm`]: of x, of the weight, of the bias.
pub fn layer_norm_backward(gradient: &[f32], x: &[f32], weight: &[f32], moments: &Moments) -> [Vec<f32>; 3] {
    let d = weight.len();
    let mut dx = vec![0.0; x.len()];
    let inputs = x.par_chunks(rows(d) * d).zip(gradient.par_chunks(rows(d) * d));
    let moments = moments.mean.par_chunks(rows(d)).zip(moments.scale.par_chunks(rows(d)));
    let partial: Vec<[Vec<f32>; 2]> = dx
        .par_chunks_mut(rows(d) * d)
        .zip(inputs)
        .zip(moments)
        .map(|((dx, (x, gradient)), (mean, scale))| {
            let (mut dweight, mut dbias, mut scratch) = (vec![0.0; d], vec![0.0; d], vec![0.0; d]);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    let each = dx.chunks_exact_mut(d).zip(x.chunks_exact(d).zip(gradient.chunks_exact(d)));
                    for ((dx, (x, gradient)), (mean, scale)) in each.zip(mean.iter().zip(scale)) {
                        // dx holds the normed x for a moment, scratch the weighted gradient.
                        for i in 0..d {
                            dx[i] = (x[i] - mean) * scale;
                            scratch[i] = gradient[i] * weight[i];
                            dweight[i] += gradient[i] * dx[i];
                            dbias[i] += gradient[i];
                        }
                        let first = (sum(&scratch, |x| x) / d as f64) as f32;
                        let second = (dot(dx, &scratch) / d as f64) as f32;
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
    for [weight, bias] in partial {
        dweight.iter_mut().zip(weight).for_each(|(sum, x)| *sum += x);
        dbias.iter_mut().zip(bias).for_each(|(sum, x)| *sum += x);
    }
    [dx, dweight, dbias]
}

/// Softmax of one row in place; `hidden` is added before.
pub fn softmax_row(row: &mut [f32], hidden: Option<&[f32]>) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            if let Some(hidden) = hidden {
                row.iter_mut().zip(hidden).for_each(|(x, hidden)| *x += hidden);
            }
            let largest = row.iter().fold(f32::MIN, |largest, x| largest.max(*x));
            row.iter_mut().for_each(|x| *x = exp(*x - largest));
            let scale = (1.0 / sum(row, |x| x)) as f32;
            row.iter_mut().for_each(|x| *x *= scale);
        },
    );
}

/// Gradient of softmax in place: `gradient` of the result `y` becomes that of what went in.
pub fn softmax_backward_row(gradient: &mut [f32], y: &[f32]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let all = dot(gradient, y) as f32;
            gradient.iter_mut().zip(y).for_each(|(g, y)| *g = y * (*g - all));
        },
    );
}

/// Sum of two arrays.
pub fn add(x: &[f32], y: &[f32]) -> Vec<f32> {
    map_pair(
        x,
        y,
        #[inline(always)]
        |x, y| x + y,
    )
}
