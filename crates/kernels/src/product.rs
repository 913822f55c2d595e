//! Matrix products over slices with strides: the checked door to the `gemm` crate.
#![expect(unsafe_code, reason = "`gemm` takes pointers; every access is checked against the slices first")]

use std::sync::atomic::{AtomicU64, Ordering};

use gemm::Parallelism;
use rayon::prelude::*;

use super::bf16;
use super::matrix::{ComputePrecision, Put, Shape};

/// Operations of all products since the process began.
static OPERATIONS: AtomicU64 = AtomicU64::new(0);

/// Floating point operations (a multiplication and an addition count two) that products took since the process began: what
/// benchmarks divide by time.
pub fn operations() -> u64 {
    OPERATIONS.load(Ordering::Relaxed)
}

/// Most rows for which a product by a transposed matrix is turned.
const TURNED_ROWS: usize = 128;

/// Rows and columns of the blocks in which products are turned back: as many values as one line of a cache has.
const TURNED_AT_ONCE: usize = 16;

/// Whether `x W^T` is better computed as `(W x^T)^T`: with few rows the packing of W, which then falls away, costs as much as
/// the product itself.
fn is_turned(left: Shape, right: Shape) -> bool {
    left.rows <= TURNED_ROWS && right.row_stride == 1 && right.column_stride > 1
}

/// `destination = scale * left right` (or added to it): `[m, k] [k, n] -> [m, n]`. Nothing is done for empty matrices.
///
/// # Panics
/// If the sizes do not fit each other or the slices.
pub fn product(
    (destination, to): (&mut [f32], Shape),
    (left, l): (&[f32], Shape),
    (right, r): (&[f32], Shape),
    put: Put,
) {
    if to.rows == 0 || to.columns == 0 || l.columns == 0 {
        return;
    }
    check((destination.len(), to), (left, l), (right, r));
    count(to, l);
    assert!(to.is_injective(), "{to:?} would be written twice");
    if let Some(tiles) = put.products.tiles(to.rows) {
        return bf16::product(tiles, (destination, to), (left, l), (right, r), put);
    }
    if put.parallel && to.column_stride == 1 && is_turned(l, r) {
        let turned = whole_product((right, r.transposed()), (left, l.transposed()));
        return turn(&turned, (&mut destination[to.offset..], to), put);
    }
    // SAFETY: the destination was checked, is borrowed mutably, so it does not overlap the others, and its places are
    // distinct, so threads do not write the same value.
    unsafe { multiply((destination.as_mut_ptr(), to), (left, l), (right, r), put) }
}

/// `left right` in a new buffer, row by row, on all cores where it is large enough.
///
/// # Panics
/// If the sizes do not fit each other or the slices.
pub fn fresh_product(products: ComputePrecision, (left, l): (&[f32], Shape), (right, r): (&[f32], Shape)) -> Vec<f32> {
    let (to, len) = (Shape::rows(l.rows, r.columns), l.rows * r.columns);
    if len == 0 || l.columns == 0 {
        return vec![0.0; len];
    }
    check((len, to), (left, l), (right, r));
    count(to, l);
    let put = Put { scale: 1.0, add: false, parallel: true, products };
    if let Some(tiles) = products.tiles(to.rows) {
        let mut buffer = vec![0.0; len];
        bf16::product(tiles, (&mut buffer, to), (left, l), (right, r), put);
        return buffer;
    }
    if is_turned(l, r) {
        let mut buffer = vec![0.0; len];
        let turned = whole_product((right, r.transposed()), (left, l.transposed()));
        turn(&turned, (&mut buffer, to), Put { scale: 1.0, add: true, parallel: true, products });
        return buffer;
    }
    whole_product((left, l), (right, r))
}

/// Puts a product whose rows and columns were exchanged, `[n, m]` without gaps, into its destination; this starts at the
/// first value and has columns side by side.
fn turn(turned: &[f32], (destination, to): (&mut [f32], Shape), put: Put) {
    let stride = to.row_stride.max(to.columns);
    let rows = destination[..stride * (to.rows - 1) + to.columns].par_chunks_mut(stride * TURNED_AT_ONCE);
    rows.enumerate().for_each(|(task, rows)| {
        for (block, turned) in turned.chunks(TURNED_AT_ONCE * to.rows).enumerate() {
            for (row, places) in rows.chunks_mut(stride).enumerate() {
                let values = turned[task * TURNED_AT_ONCE + row..].iter().step_by(to.rows);
                for (place, value) in places[block * TURNED_AT_ONCE..].iter_mut().zip(values) {
                    *place = if put.add { *place } else { 0.0 } + put.scale * value;
                }
            }
        }
    });
}

/// `left right` in f32 in a new buffer. Shapes are checked, and not empty.
fn whole_product((left, l): (&[f32], Shape), (right, r): (&[f32], Shape)) -> Vec<f32> {
    let (to, len) = (Shape::rows(l.rows, r.columns), l.rows * r.columns);
    check((len, to), (left, l), (right, r));
    let put = Put { scale: 1.0, add: false, parallel: true, products: ComputePrecision::F32 };
    let mut buffer = Vec::with_capacity(len);
    // SAFETY: the new buffer has room for `len` values and overlaps nothing. A product that does not add to its destination
    // writes each value of it without reading any, so all are initialised then.
    unsafe {
        multiply((buffer.as_mut_ptr(), to), (left, l), (right, r), put);
        buffer.set_len(len);
    }
    buffer
}

fn check((len, to): (usize, Shape), (left, l): (&[f32], Shape), (right, r): (&[f32], Shape)) {
    assert!((to.rows, to.columns, l.columns) == (l.rows, r.columns, r.rows), "{l:?} x {r:?} is not {to:?}");
    assert!(to.fits(len) && l.fits(left.len()) && r.fits(right.len()), "{to:?} {l:?} {r:?}");
}

fn count(to: Shape, left: Shape) {
    OPERATIONS.fetch_add(2 * (to.rows * to.columns * left.columns) as u64, Ordering::Relaxed);
}

/// # Safety
/// Shapes were checked; the destination overlaps neither side, and its places are distinct. What is added to must be
/// initialised.
unsafe fn multiply(
    (destination, to): (*mut f32, Shape),
    (left, l): (&[f32], Shape),
    (right, r): (&[f32], Shape),
    put: Put,
) {
    let parallelism = if put.parallel { Parallelism::Rayon(0) } else { Parallelism::None };
    // SAFETY: every value that the three shapes reach lies in its slice or buffer, as the caller checked. Strides fit isize
    // because they are within slices.
    unsafe {
        gemm::gemm(
            to.rows,
            to.columns,
            l.columns,
            destination.add(to.offset),
            to.column_stride as isize,
            to.row_stride as isize,
            put.add,
            left.as_ptr().add(l.offset),
            l.column_stride as isize,
            l.row_stride as isize,
            right.as_ptr().add(r.offset),
            r.column_stride as isize,
            r.row_stride as isize,
            1.0,
            put.scale,
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

    const REPLACE: Put = Put { scale: 1.0, add: false, parallel: false, products: ComputePrecision::F32 };

    #[test]
    fn products_by_hand() {
        let (left, right) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        let mut out = [9.0; 4];
        product((&mut out, Shape::rows(2, 2)), (&left, Shape::rows(2, 3)), (&right, Shape::rows(3, 2)), REPLACE);
        assert_eq!(out, [4.0, 5.0, 10.0, 11.0]);
        let put = Put { scale: 2.0, add: true, parallel: true, products: ComputePrecision::F32 };
        product((&mut out, Shape::rows(2, 2)), (&left, Shape::rows(2, 3)), (&right, Shape::rows(3, 2)), put);
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

    /// Whatever the number of rows, `x W^T` equals sums by hand, alone and onto columns of a wider destination.
    #[test]
    fn turned_products_equal_those_of_many_rows() {
        let mut stream = ptu_random::Key::new(4).stream(ptu_random::Place::Sample, 0);
        let mut values = |count: usize| (0..count).map(|_| stream.normal() as f32).collect::<Vec<_>>();
        let (k, n, put) = (9, 37, Put { scale: 0.5, add: true, parallel: true, products: ComputePrecision::F32 });
        for m in [1, 15, 16, 33, TURNED_ROWS, TURNED_ROWS + 1] {
            let (x, w) = (values(m * k), values(n * k));
            let sides = || ((x.as_slice(), Shape::rows(m, k)), (w.as_slice(), Shape::rows(n, k).transposed()));
            let right = |row: usize, column: usize| -> f32 {
                (0..k).map(|i| f64::from(x[row * k + i]) * f64::from(w[column * k + i])).sum::<f64>() as f32
            };
            let alone = fresh_product(ComputePrecision::F32, sides().0, sides().1);
            let (wide, mut onto) = (n + 5, vec![1.0; m * (n + 5)]);
            product((&mut onto, Shape { offset: 3, row_stride: wide, ..Shape::rows(m, n) }), sides().0, sides().1, put);
            let mut instead = vec![f32::NAN; m * n];
            let replace = Put { add: false, ..put };
            product((&mut instead, Shape::rows(m, n)), sides().0, sides().1, replace);
            for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
                let right = right(row, column);
                assert!((alone[row * n + column] - right).abs() < 1e-5, "{m}: {row}, {column}");
                assert!((instead[row * n + column] - 0.5 * right).abs() < 1e-5, "{m}: {row}, {column}");
                assert!((onto[row * wide + 3 + column] - 1.0 - 0.5 * right).abs() < 1e-5, "{m}: {row}, {column}");
            }
            let beside = onto.iter().enumerate().filter(|(place, _)| !(3..3 + n).contains(&(place % wide)));
            assert!(beside.into_iter().all(|(_, value)| *value == 1.0), "{m}: written beside the columns");
        }
    }

    #[test]
    #[should_panic(expected = "rows: 3")]
    fn what_does_not_fit_is_refused() {
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
