//! Matrix products over slices with strides: a safe interface to the `gemm` crate that checks all accesses.
#![expect(unsafe_code, reason = "`gemm` takes pointers; every access is checked against the slices first")]

use std::sync::atomic::{AtomicU64, Ordering};

use gemm::Parallelism;
use rayon::prelude::*;

use super::matrix::{ComputePrecision, ProductOptions, Shape};
use super::{bf16, few_rows};

/// Floating point operations of all products since the process started.
static OPERATIONS: AtomicU64 = AtomicU64::new(0);

/// Floating point operations of all products since the process started (a multiplication and an addition count as two).
/// Benchmarks divide it by time.
pub fn operations() -> u64 {
    OPERATIONS.load(Ordering::Relaxed)
}

/// Products by a transposed matrix are computed in transposed form if they have at most this many rows.
const TRANSPOSED_MAX_ROWS: usize = 128;

/// Rows and columns of the blocks in which such a product is transposed back: the number of values in one cache line.
const TRANSPOSE_BLOCK: usize = 16;

/// Whether `x W^T` is computed as `(W x^T)^T`. This avoids the packing of W, which for few rows takes as long as the product
/// itself.
fn is_faster_transposed(left: Shape, right: Shape) -> bool {
    left.rows <= TRANSPOSED_MAX_ROWS && right.row_stride == 1 && right.column_stride > 1
}

/// Computes `destination = scale * left right`, or adds this product to `destination`: `[m, k] [k, n] -> [m, n]`. Does nothing
/// for empty matrices.
///
/// # Panics
/// If the sizes do not fit each other or the slices.
pub fn product(
    (destination, to): (&mut [f32], Shape),
    (left, l): (&[f32], Shape),
    (right, r): (&[f32], Shape),
    options: ProductOptions,
) {
    if to.rows == 0 || to.columns == 0 || l.columns == 0 {
        return;
    }
    check((destination.len(), to), (left, l), (right, r));
    count(to, l);
    assert!(to.is_injective(), "two elements of the destination {to:?} have the same index and would be written twice");
    if let Some(tiles) = options.precision.tiles(to.rows) {
        return bf16::product(tiles, (destination, to), (left, l), (right, r), options);
    }
    if options.parallel && to.column_stride == 1 && is_faster_transposed(l, r) {
        let transposed = transposed_product((left, l), (right, r));
        return transpose_into(&transposed, (&mut destination[to.offset..], to), options);
    }
    // SAFETY: the destination was checked. It is borrowed mutably, so it does not overlap the other matrices. Its elements have
    // distinct indices, so two threads never write the same value.
    unsafe { multiply((destination.as_mut_ptr(), to), (left, l), (right, r), options) }
}

/// Computes `left right` into a new buffer, row by row; uses all cores if the product is large enough.
///
/// # Panics
/// If the sizes do not fit each other or the slices.
pub fn fresh_product(precision: ComputePrecision, (left, l): (&[f32], Shape), (right, r): (&[f32], Shape)) -> Vec<f32> {
    let (to, len) = (Shape::rows(l.rows, r.columns), l.rows * r.columns);
    if len == 0 || l.columns == 0 {
        return vec![0.0; len];
    }
    check((len, to), (left, l), (right, r));
    count(to, l);
    let options = ProductOptions { scale: 1.0, add: false, parallel: true, precision };
    if let Some(tiles) = precision.tiles(to.rows) {
        let mut buffer = vec![0.0; len];
        bf16::product(tiles, (&mut buffer, to), (left, l), (right, r), options);
        return buffer;
    }
    if is_faster_transposed(l, r) {
        let mut buffer = vec![0.0; len];
        let transposed = transposed_product((left, l), (right, r));
        transpose_into(
            &transposed,
            (&mut buffer, to),
            ProductOptions { scale: 1.0, add: true, parallel: true, precision },
        );
        return buffer;
    }
    f32_product((left, l), (right, r))
}

/// Computes `(left right)^T`, `[n, m]`, in f32. The caller has checked the shapes.
fn transposed_product((left, l): (&[f32], Shape), (right, r): (&[f32], Shape)) -> Vec<f32> {
    match few_rows::applies(l, r) {
        true => few_rows::transposed((left, l), (right, r)),
        false => f32_product((right, r.transposed()), (left, l.transposed())),
    }
}

/// Writes a product that was computed in transposed form (`[n, m]`, contiguous) to its destination. The destination slice starts
/// at its first value, and each of its rows is contiguous.
fn transpose_into(transposed: &[f32], (destination, to): (&mut [f32], Shape), options: ProductOptions) {
    let stride = to.row_stride.max(to.columns);
    let rows = destination[..stride * (to.rows - 1) + to.columns].par_chunks_mut(stride * TRANSPOSE_BLOCK);
    rows.enumerate().for_each(|(task, rows)| {
        for (block, transposed) in transposed.chunks(TRANSPOSE_BLOCK * to.rows).enumerate() {
            for (row, outputs) in rows.chunks_mut(stride).enumerate() {
                let values = transposed[task * TRANSPOSE_BLOCK + row..].iter().step_by(to.rows);
                for (output, value) in outputs[block * TRANSPOSE_BLOCK..].iter_mut().zip(values) {
                    *output = if options.add { *output } else { 0.0 } + options.scale * value;
                }
            }
        }
    });
}

/// Computes `left right` in f32 into a new buffer. The caller has checked the shapes; they are not empty.
fn f32_product((left, l): (&[f32], Shape), (right, r): (&[f32], Shape)) -> Vec<f32> {
    let (to, len) = (Shape::rows(l.rows, r.columns), l.rows * r.columns);
    check((len, to), (left, l), (right, r));
    let options = ProductOptions { scale: 1.0, add: false, parallel: true, precision: ComputePrecision::F32 };
    let mut buffer = Vec::with_capacity(len);
    // SAFETY: the new buffer has room for `len` values and overlaps nothing. A product that does not add to its destination
    // writes every value of it and reads none, so afterwards all values are initialised.
    unsafe {
        multiply((buffer.as_mut_ptr(), to), (left, l), (right, r), options);
        buffer.set_len(len);
    }
    buffer
}

fn check((len, to): (usize, Shape), (left, l): (&[f32], Shape), (right, r): (&[f32], Shape)) {
    assert!(
        (to.rows, to.columns, l.columns) == (l.rows, r.columns, r.rows),
        "the product of {l:?} and {r:?} does not have the shape {to:?}"
    );
    assert!(
        to.fits(len) && l.fits(left.len()) && r.fits(right.len()),
        "a slice is too short for its matrix: {to:?}, {l:?}, {r:?}"
    );
}

fn count(to: Shape, left: Shape) {
    OPERATIONS.fetch_add(2 * (to.rows * to.columns * left.columns) as u64, Ordering::Relaxed);
}

/// # Safety
/// The shapes must have been checked. The destination must not overlap `left` or `right`, and its elements must have distinct
/// indices. If the product is added to the destination, the destination must be initialised.
unsafe fn multiply(
    (destination, to): (*mut f32, Shape),
    (left, l): (&[f32], Shape),
    (right, r): (&[f32], Shape),
    options: ProductOptions,
) {
    let parallelism = if options.parallel { Parallelism::Rayon(0) } else { Parallelism::None };
    // SAFETY: every value that the three shapes address is inside its slice or buffer, as the caller checked. Strides fit in
    // isize because they are within slices.
    unsafe {
        gemm::gemm(
            to.rows,
            to.columns,
            l.columns,
            destination.add(to.offset),
            to.column_stride as isize,
            to.row_stride as isize,
            options.add,
            left.as_ptr().add(l.offset),
            l.column_stride as isize,
            l.row_stride as isize,
            right.as_ptr().add(r.offset),
            r.column_stride as isize,
            r.row_stride as isize,
            1.0,
            options.scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLACE: ProductOptions =
        ProductOptions { scale: 1.0, add: false, parallel: false, precision: ComputePrecision::F32 };

    #[test]
    fn products_by_hand() {
        let (left, right) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        let mut out = [9.0; 4];
        product((&mut out, Shape::rows(2, 2)), (&left, Shape::rows(2, 3)), (&right, Shape::rows(3, 2)), REPLACE);
        assert_eq!(out, [4.0, 5.0, 10.0, 11.0]);
        let options = ProductOptions { scale: 2.0, add: true, parallel: true, precision: ComputePrecision::F32 };
        product((&mut out, Shape::rows(2, 2)), (&left, Shape::rows(2, 3)), (&right, Shape::rows(3, 2)), options);
        assert_eq!(out, [12.0, 15.0, 30.0, 33.0]);
        // The transposed of a 3 x 2 matrix as the left side, into the second column pair of a wider destination.
        let (mut wide, to) = ([0.0; 8], Shape { offset: 2, row_stride: 4, ..Shape::rows(2, 2) });
        product((&mut wide, to), (&right, Shape::rows(3, 2).transposed()), (&left, Shape::rows(3, 2)), REPLACE);
        assert_eq!(wide, [0.0, 0.0, 6.0, 8.0, 0.0, 0.0, 8.0, 10.0]);
    }

    #[test]
    fn new_products_equal_those_into_a_slice() {
        let (left, right) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        let product = fresh_product(ComputePrecision::F32, (&left, Shape::rows(2, 3)), (&right, Shape::rows(3, 2)));
        assert_eq!(product, [4.0, 5.0, 10.0, 11.0]);
        assert_eq!(fresh_product(ComputePrecision::F32, (&[], Shape::rows(2, 0)), (&[], Shape::rows(0, 2))), [0.0; 4]);
        assert!(fresh_product(ComputePrecision::F32, (&[], Shape::rows(0, 3)), (&right, Shape::rows(3, 2))).is_empty());
    }

    /// For any number of rows, `x W^T` equals sums computed directly, both alone and added to columns of a wider destination.
    #[test]
    fn transposed_products_are_correct() {
        let mut stream = ptu_random::Key::new(4).stream(ptu_random::Place::Sample, 0);
        let mut values = |count: usize| (0..count).map(|_| stream.normal() as f32).collect::<Vec<_>>();
        let (k, n, options) =
            (9, 37, ProductOptions { scale: 0.5, add: true, parallel: true, precision: ComputePrecision::F32 });
        for m in [1, 2, 3, 4, 5, 15, 16, 33, TRANSPOSED_MAX_ROWS, TRANSPOSED_MAX_ROWS + 1] {
            let (x, w) = (values(m * k), values(n * k));
            let sides = || ((x.as_slice(), Shape::rows(m, k)), (w.as_slice(), Shape::rows(n, k).transposed()));
            let right = |row: usize, column: usize| -> f32 {
                (0..k).map(|i| f64::from(x[row * k + i]) * f64::from(w[column * k + i])).sum::<f64>() as f32
            };
            let alone = fresh_product(ComputePrecision::F32, sides().0, sides().1);
            let (wide, mut onto) = (n + 5, vec![1.0; m * (n + 5)]);
            product(
                (&mut onto, Shape { offset: 3, row_stride: wide, ..Shape::rows(m, n) }),
                sides().0,
                sides().1,
                options,
            );
            let mut replaced = vec![f32::NAN; m * n];
            let replace = ProductOptions { add: false, ..options };
            product((&mut replaced, Shape::rows(m, n)), sides().0, sides().1, replace);
            for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
                let right = right(row, column);
                assert!((alone[row * n + column] - right).abs() < 1e-5, "{m}: {row}, {column}");
                assert!((replaced[row * n + column] - 0.5 * right).abs() < 1e-5, "{m}: {row}, {column}");
                assert!((onto[row * wide + 3 + column] - 1.0 - 0.5 * right).abs() < 1e-5, "{m}: {row}, {column}");
            }
            let outside = onto.iter().enumerate().filter(|(index, _)| !(3..3 + n).contains(&(index % wide)));
            assert!(outside.into_iter().all(|(_, value)| *value == 1.0), "{m} rows: another column changed");
        }
    }

    #[test]
    #[should_panic(expected = "rows: 3")]
    fn shapes_that_do_not_match_are_refused() {
        product(
            (&mut [0.0; 4], Shape::rows(2, 2)),
            (&[0.0; 4], Shape::rows(2, 2)),
            (&[0.0; 6], Shape::rows(3, 2)),
            REPLACE,
        );
    }

    #[test]
    #[should_panic(expected = "offset: 1")]
    fn a_slice_that_is_too_short_is_refused() {
        let beyond = Shape { offset: 1, ..Shape::rows(2, 2) };
        product((&mut [0.0; 4], beyond), (&[0.0; 4], Shape::rows(2, 2)), (&[0.0; 4], Shape::rows(2, 2)), REPLACE);
    }

    #[test]
    #[should_panic(expected = "written twice")]
    fn a_destination_that_overlaps_itself_is_refused() {
        let folded = Shape { row_stride: 1, ..Shape::rows(2, 2) };
        product((&mut [0.0; 4], folded), (&[0.0; 4], Shape::rows(2, 2)), (&[0.0; 4], Shape::rows(2, 2)), REPLACE);
    }
}
