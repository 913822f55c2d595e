//! Loops over slices, vectorised for what the processor has (`pulp` chooses when they run) and spread over the cores in
//! chunks fixed by the shape.

use pulp::Arch;
use rayon::prelude::*;

use super::fresh::{fresh, fresh_pair};

/// Runs on a thread of the pool, where each parallel loop begins at once; from outside every one would wake a thread first.
pub fn in_pool<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}

/// Values that one task takes.
pub const CHUNK: usize = 1 << 13;
/// Partial sums kept side by side, so that sums vectorise; fixed, so that they do not depend on the processor.
const LANES: usize = 16;

/// Rows of width `d` that one task takes.
pub fn rows_a_task(d: usize) -> usize {
    (CHUNK / d.max(1)).max(1)
}

/// Applies `f` to each value.
pub fn map(x: &[f32], f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    fresh(x.len(), CHUNK, |start, y| {
        Arch::new().dispatch(
            #[inline(always)]
            || y.write(x[start..].iter().map(|x| f(*x))),
        )
    })
}

/// Applies `f` to each value; it gives two.
pub fn map_to_two(x: &[f32], f: impl Fn(f32) -> [f32; 2] + Sync) -> [Vec<f32>; 2] {
    fresh_pair([x.len(); 2], [CHUNK; 2], |start, first, second| {
        Arch::new().dispatch(
            #[inline(always)]
            || first.write_with(second, x[start..].iter().map(|x| f(*x))),
        )
    })
}

/// Applies `f` to each pair of values.
pub fn map_pair(x: &[f32], other: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
    fresh(x.len(), CHUNK, |start, y| {
        Arch::new().dispatch(
            #[inline(always)]
            || y.write(x[start..].iter().zip(&other[start..]).map(|(x, other)| f(*x, *other))),
        )
    })
}

/// Sum of `f` over values, in f64: means and projections are taken away from what they were summed of, and what is left of
/// a gradient then should not be rounding.
#[inline(always)]
pub fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for chunk in whole {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += f64::from(f(*x)));
    }
    rest.iter().map(|x| f64::from(f(*x))).sum::<f64>() + lanes.iter().sum::<f64>()
}

/// Sum of products, as [`sum`].
#[inline(always)]
pub fn dot(x: &[f32], y: &[f32]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let ((whole_x, rest_x), (whole_y, rest_y)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in whole_x.iter().zip(whole_y) {
        (0..LANES).for_each(|lane| lanes[lane] += f64::from(x[lane]) * f64::from(y[lane]));
    }
    let rest: f64 = rest_x.iter().zip(rest_y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    rest + lanes.iter().sum::<f64>()
}

/// Sums of columns of rows of `d` values, `[rows, d] -> [d]`.
pub fn column_sums(x: &[f32], d: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = x
        .par_chunks(rows_a_task(d) * d)
        .map(|rows| {
            let mut sums = vec![0.0f32; d];
            Arch::new().dispatch(
                #[inline(always)]
                || rows.chunks_exact(d).for_each(|row| add(&mut sums, row)),
            );
            sums
        })
        .collect();
    let mut sums = vec![0.0; d];
    parts.iter().for_each(|part| add(&mut sums, part));
    sums
}

/// Adds `x` to `sums`.
#[inline(always)]
pub fn add(sums: &mut [f32], x: &[f32]) {
    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
}
