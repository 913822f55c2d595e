//! Products of a few rows by a transposed matrix, `x W^T`, as they occur when texts are generated token by token. `gemm` would pack W
//! first, which takes longer than such a product itself.

use std::array::from_fn;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::matrix::Shape;

/// Rows of W that are multiplied at once, so that values of x are read half as often.
const BLOCK: usize = 2;
/// Multiplications of one task; fewer are done sooner than another thread wakes up.
const TASK: usize = 1 << 18;

/// Whether [`transposed`] computes this product. For a single row `gemm` packs nothing either, and for many rows it is faster.
pub fn applies(left: Shape, right: Shape) -> bool {
    (2..=6).contains(&left.rows) && left.column_stride == 1 && right.row_stride == 1
}

/// Computes `(left right)^T`, `[n, m]`, for m rows of `left` and n columns of `right` for which [`applies`] holds.
pub fn transposed(left: (&[f32], Shape), right: (&[f32], Shape)) -> Vec<f32> {
    match left.1.rows {
        2 => of_rows::<2>(left, right),
        3 => of_rows::<3>(left, right),
        4 => of_rows::<4>(left, right),
        5 => of_rows::<5>(left, right),
        6 => of_rows::<6>(left, right),
        rows => unreachable!("{rows} rows are not a few"),
    }
}

fn of_rows<const M: usize>((left, l): (&[f32], Shape), (right, r): (&[f32], Shape)) -> Vec<f32> {
    let (k, w) = (l.columns, &right[r.offset..]);
    let x: [&[f32]; M] = from_fn(|row| &left[l.offset + row * l.row_stride..][..k]);
    let columns = (TASK / (M * k)).max(1).next_multiple_of(BLOCK);
    let mut product = vec![0.0; r.columns * M];
    product.par_chunks_mut(columns * M).enumerate().for_each(|(task, product)| {
        Arch::new().dispatch(Task { x, w: &w[task * columns * r.column_stride..], stride: r.column_stride, product });
    });
    product
}

/// A part of a product: some columns of `right`, each of which is a row of W.
struct Task<'a, const M: usize> {
    x: [&'a [f32]; M],
    w: &'a [f32],
    /// Distance of two rows of W.
    stride: usize,
    product: &'a mut [f32],
}

impl<const M: usize> WithSimd for Task<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, w, stride, product } = self;
        let row = |number: usize| &w[number * stride..][..x[0].len()];
        for (block, values) in product.chunks_mut(BLOCK * M).enumerate() {
            let first = block * BLOCK;
            if values.len() == BLOCK * M {
                let sums = dots::<S, M, BLOCK>(simd, x, [row(first), row(first + 1)]);
                values.copy_from_slice(sums.as_flattened());
            } else {
                values.copy_from_slice(dots(simd, x, [row(first)]).as_flattened());
            }
        }
    }
}

/// The dot products of rows of W with the rows of x.
#[inline(always)]
fn dots<S: Simd, const M: usize, const B: usize>(simd: S, x: [&[f32]; M], w: [&[f32]; B]) -> [[f32; M]; B] {
    let (x, w) = (x.map(S::as_simd_f32s), w.map(S::as_simd_f32s));
    let mut sums = [[simd.splat_f32s(0.0); M]; B];
    for place in 0..w[0].0.len() {
        for row in 0..M {
            for column in 0..B {
                sums[column][row] = simd.mul_add_e_f32s(x[row].0[place], w[column].0[place], sums[column][row]);
            }
        }
    }
    // Loops instead of closures, which would not be inlined, and so not be compiled for these vector units.
    let mut all = [[0.0; M]; B];
    for column in 0..B {
        for row in 0..M {
            all[column][row] = simd.reduce_sum_f32s(sums[column][row]);
            for (x, w) in x[row].1.iter().zip(w[column].1) {
                all[column][row] += x * w;
            }
        }
    }
    all
}
