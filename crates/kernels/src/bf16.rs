//! Matrix products whose operands are rounded to bf16 and whose sums are f32. They are several times faster than f32 where the
//! processor has matrix instructions for tiles of bf16.
//!
//! Both operands are first packed into tiles of 16 x 32 values, so the inner loop sees the same layout for any strides. The order
//! of summation depends only on the inner dimension, so results are bit for bit the same for any number of threads.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
mod tiles;

use rayon::prelude::*;

use super::matrix::{ProductOptions, Shape, Tiles};
use tiles::{PANEL, Panels};

/// Steps of 32 along the inner dimension in one pass: few enough that the panels of both operands stay in the first-level cache.
const STEPS_PER_PASS: usize = 8;
/// Largest number of row panels in one task: the right operand is read once for all of them.
const PANELS_PER_TASK: usize = 4;

/// The bf16 instructions that this processor and system offer, if any; queried once.
pub fn tiles() -> Option<Tiles> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        use std::sync::OnceLock;
        static FOUND: OnceLock<bool> = OnceLock::new();
        FOUND.get_or_init(amx::available).then_some(Tiles::Amx)
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    None
}

/// Computes `destination = scale * left right`, or adds this product to `destination`, as [`super::product::product`] does; that
/// function has checked the shapes.
///
/// # Panics
/// If the destination's rows are not contiguous.
pub fn product(
    with: Tiles,
    (destination, to): (&mut [f32], Shape),
    (left, l): (&[f32], Shape),
    (right, r): (&[f32], Shape),
    options: ProductOptions,
) {
    assert!(to.column_stride == 1 || to.columns == 1, "a bf16 product needs contiguous destination rows: {to:?}");
    let left = Panels::of_rows(left, l, options.parallel);
    let right = Panels::of_columns(right, r, options.parallel);
    let end = (to.offset + to.rows * to.row_stride).min(destination.len());
    let rows = PANEL * PANELS_PER_TASK;
    let task = |(number, destination): (usize, &mut [f32])| {
        let first = number * PANELS_PER_TASK;
        let panels = first..(first + PANELS_PER_TASK).min(left.count());
        block(
            with,
            destination,
            Shape { offset: 0, rows: rows.min(to.rows - number * rows), ..to },
            (&left, &right, panels),
            options,
        );
    };
    let chunks = rows * to.row_stride.max(to.columns);
    let destination = &mut destination[to.offset..end];
    match options.parallel {
        true => destination.par_chunks_mut(chunks).enumerate().for_each(task),
        false => destination.chunks_mut(chunks).enumerate().for_each(task),
    }
}

/// The implementation of tile products, ready for use on this thread.
enum Session {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Amx(amx::Session),
    Reference,
}

impl Session {
    /// Falls back to the reference implementation if the processor has no tiles.
    fn new(with: Tiles) -> Self {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if let Some(session) = (with == Tiles::Amx).then(amx::Session::new).flatten() {
            return Self::Amx(session);
        }
        let _ = with; // on other platforms there is only one implementation
        Self::Reference
    }

    fn multiply(&self, left: &[tiles::Tile], right: &[tiles::Tile], sums: &mut [f32; PANEL * PANEL], add: bool) {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Amx(session) => session.multiply(left, right, sums, add),
            Self::Reference => tiles::multiply(left, right, sums, add),
        }
    }
}

/// Multiplies some row panels with all column panels.
fn block(
    with: Tiles,
    destination: &mut [f32],
    to: Shape,
    (left, right, panels): (&Panels, &Panels, std::ops::Range<usize>),
    options: ProductOptions,
) {
    let (steps, session) = (left.steps(), Session::new(with));
    let mut sums = vec![[0.0f32; PANEL * PANEL]; panels.len()];
    for column in 0..right.count() {
        for (first, pass) in
            (0..steps).step_by(STEPS_PER_PASS).map(|first| (first, first..(first + STEPS_PER_PASS).min(steps)))
        {
            for (panel, sums) in panels.clone().zip(&mut sums) {
                let (a, b) = (left.panel(panel, pass.clone()), right.panel(column, pass.clone()));
                session.multiply(a, b, sums, first > 0);
            }
        }
        let columns = column * PANEL..((column + 1) * PANEL).min(to.columns);
        for (number, sums) in sums.iter().enumerate() {
            for (row, sums) in sums.chunks_exact(PANEL).enumerate().take(to.rows.saturating_sub(number * PANEL)) {
                let start = (number * PANEL + row) * to.row_stride;
                let outputs = destination[start + columns.start..start + columns.end].iter_mut().zip(sums);
                match options.add {
                    true => outputs.for_each(|(output, sum)| *output += options.scale * sum),
                    false => outputs.for_each(|(output, sum)| *output = options.scale * sum),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::super::matrix::ComputePrecision;
    use super::super::product::product as f32_product;
    use super::*;

    fn random(len: usize, index: u64) -> Vec<f32> {
        let mut stream = Key::new(1).stream(Place::Sample, index);
        (0..len).map(|_| stream.normal() as f32).collect()
    }

    fn rounded(values: &[f32]) -> Vec<f32> {
        values.iter().map(|x| f32::from_bits(u32::from(tiles::round(*x)) << 16)).collect()
    }

    /// All implementations that run on this machine, including the reference implementation.
    fn paths() -> Vec<Tiles> {
        tiles().into_iter().chain([Tiles::Portable]).collect()
    }

    #[test]
    fn products_equal_f32_products_of_rounded_values() {
        for (m, k, n) in [(1, 1, 1), (5, 70, 33), (130, 64, 100), (64, 300, 31), (33, 1, 40)] {
            let (left, right) = (random(m * k, 1), random(k * n, 2));
            let options = |add| ProductOptions { scale: 0.5, add, parallel: true, precision: ComputePrecision::F32 };
            let by_rows = (Shape::rows(m, k), Shape::rows(k, n));
            let by_columns = (Shape::rows(k, m).transposed(), Shape::rows(n, k).transposed());
            for (l, r) in [by_rows, by_columns, (by_rows.0, by_columns.1), (by_columns.0, by_rows.1)] {
                for add in [false, true] {
                    let mut expected = random(m * n, 3);
                    let start = expected.clone();
                    f32_product(
                        (&mut expected, Shape::rows(m, n)),
                        (&rounded(&left), l),
                        (&rounded(&right), r),
                        options(add),
                    );
                    for path in paths() {
                        let mut found = start.clone();
                        product(path, (&mut found, Shape::rows(m, n)), (&left, l), (&right, r), options(add));
                        // The two sums differ only in the order of additions.
                        let worst = found.iter().zip(&expected).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
                        assert!(worst < 1e-5 * (k as f32).sqrt() * 10.0, "{path:?} {m} {k} {n} {add}: {worst}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_product_changes_only_the_columns_of_its_destination() {
        let (left, right) = (random(70 * 40, 1), random(40 * 50, 2));
        let to = Shape { offset: 7, row_stride: 64, ..Shape::rows(70, 50) };
        let options = ProductOptions { scale: 1.0, add: false, parallel: true, precision: ComputePrecision::F32 };
        for path in paths() {
            let mut wide = vec![9.0; 70 * 64];
            product(path, (&mut wide, to), (&left, Shape::rows(70, 40)), (&right, Shape::rows(40, 50)), options);
            let mut alone = vec![0.0; 70 * 50];
            product(
                path,
                (&mut alone, Shape::rows(70, 50)),
                (&left, Shape::rows(70, 40)),
                (&right, Shape::rows(40, 50)),
                options,
            );
            for (row, (wide, alone)) in wide.chunks_exact(64).zip(alone.chunks_exact(50)).enumerate() {
                assert_eq!(wide[7..57], *alone, "row {row}");
                assert!(wide[..7].iter().chain(&wide[57..]).all(|x| *x == 9.0), "row {row}");
            }
        }
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let (left, right) = (random(300 * 100, 1), random(100 * 90, 2));
        let run = |parallel| {
            let mut out = vec![0.0; 300 * 90];
            let options = ProductOptions { scale: 1.0, add: false, parallel, precision: ComputePrecision::F32 };
            product(
                Tiles::Portable,
                (&mut out, Shape::rows(300, 90)),
                (&left, Shape::rows(300, 100)),
                (&right, Shape::rows(100, 90)),
                options,
            );
            out
        };
        assert_eq!(run(true), run(false));
    }
}
