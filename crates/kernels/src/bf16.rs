//! ComputePrecision whose sides are rounded to bf16 and summed in f32: several times faster where the processor has tiles for it.
//!
//! Both sides are packed into tiles of 16 x 32 values first, so the inner loop meets one layout whatever the strides. Each value
//! of the result is summed in one order that depends on the inner dimension alone: bits do not depend on the threads.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
mod tiles;

use rayon::prelude::*;

use super::matrix::{Put, Shape, Tiles};
use tiles::{PANEL, Panels};

/// Steps of 32 along the inner dimension that one pass takes: panels of both sides stay in the first-level cache.
const PASS: usize = 8;
/// Panels of rows that one task takes, at most: the right side is read once for all of them.
const ROWS: usize = 4;

/// What this processor and system offer; asked once.
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

/// `destination = scale * left right` (or added to it), as [`super::product::product`], which has checked the shapes.
///
/// # Panics
/// If the destination's rows are not contiguous.
pub fn product(
    with: Tiles,
    (destination, to): (&mut [f32], Shape),
    (left, l): (&[f32], Shape),
    (right, r): (&[f32], Shape),
    put: Put,
) {
    assert!(to.column_stride == 1 || to.columns == 1, "{to:?}: rows of a product in bf16 are contiguous");
    let left = Panels::of_rows(left, l, put.parallel);
    let right = Panels::of_columns(right, r, put.parallel);
    let end = (to.offset + to.rows * to.row_stride).min(destination.len());
    let rows = PANEL * ROWS;
    let task = |(number, destination): (usize, &mut [f32])| {
        let first = number * ROWS;
        let panels = first..(first + ROWS).min(left.count());
        block(
            with,
            destination,
            Shape { offset: 0, rows: rows.min(to.rows - number * rows), ..to },
            (&left, &right, panels),
            put,
        );
    };
    let chunks = rows * to.row_stride.max(to.columns);
    let destination = &mut destination[to.offset..end];
    match put.parallel {
        true => destination.par_chunks_mut(chunks).enumerate().for_each(task),
        false => destination.chunks_mut(chunks).enumerate().for_each(task),
    }
}

/// What multiplies, ready on this thread.
enum Session {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Amx(amx::Session),
    Twin,
}

impl Session {
    /// The twin stands in for tiles that are not there.
    fn new(with: Tiles) -> Self {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if let Some(session) = (with == Tiles::Amx).then(amx::Session::new).flatten() {
            return Self::Amx(session);
        }
        let _ = with; // elsewhere there is no choice
        Self::Twin
    }

    fn multiply(&self, left: &[tiles::Tile], right: &[tiles::Tile], sums: &mut [f32; PANEL * PANEL], add: bool) {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Amx(session) => session.multiply(left, right, sums, add),
            Self::Twin => tiles::multiply(left, right, sums, add),
        }
    }
}

/// Some panels of rows with all panels of columns.
fn block(
    with: Tiles,
    destination: &mut [f32],
    to: Shape,
    (left, right, panels): (&Panels, &Panels, std::ops::Range<usize>),
    put: Put,
) {
    let (steps, session) = (left.steps(), Session::new(with));
    let mut sums = vec![[0.0f32; PANEL * PANEL]; panels.len()];
    for column in 0..right.count() {
        for (first, pass) in (0..steps).step_by(PASS).map(|first| (first, first..(first + PASS).min(steps))) {
            for (panel, sums) in panels.clone().zip(&mut sums) {
                let (a, b) = (left.panel(panel, pass.clone()), right.panel(column, pass.clone()));
                session.multiply(a, b, sums, first > 0);
            }
        }
        let columns = column * PANEL..((column + 1) * PANEL).min(to.columns);
        for (number, sums) in sums.iter().enumerate() {
            for (row, sums) in sums.chunks_exact(PANEL).enumerate().take(to.rows.saturating_sub(number * PANEL)) {
                let start = (number * PANEL + row) * to.row_stride;
                let places = destination[start + columns.start..start + columns.end].iter_mut().zip(sums);
                match put.add {
                    true => places.for_each(|(place, sum)| *place += put.scale * sum),
                    false => places.for_each(|(place, sum)| *place = put.scale * sum),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ptu_random::{Key, Place};

    use super::super::matrix::ComputePrecision;
    use super::super::product::product as plain;
    use super::*;

    fn random(len: usize, index: u64) -> Vec<f32> {
        let mut stream = Key::new(1).stream(Place::Sample, index);
        (0..len).map(|_| stream.normal() as f32).collect()
    }

    fn rounded(values: &[f32]) -> Vec<f32> {
        values.iter().map(|x| f32::from_bits(u32::from(tiles::round(*x)) << 16)).collect()
    }

    /// Every path that runs here, the twin among them.
    fn paths() -> Vec<Tiles> {
        tiles().into_iter().chain([Tiles::Twin]).collect()
    }

    #[test]
    fn products_are_those_of_rounded_values() {
        for (m, k, n) in [(1, 1, 1), (5, 70, 33), (130, 64, 100), (64, 300, 31), (33, 1, 40)] {
            let (left, right) = (random(m * k, 1), random(k * n, 2));
            let put = |add| Put { scale: 0.5, add, parallel: true, products: ComputePrecision::F32 };
            let by_rows = (Shape::rows(m, k), Shape::rows(k, n));
            let by_columns = (Shape::rows(k, m).transposed(), Shape::rows(n, k).transposed());
            for (l, r) in [by_rows, by_columns, (by_rows.0, by_columns.1), (by_columns.0, by_rows.1)] {
                for add in [false, true] {
                    let mut expected = random(m * n, 3);
                    let start = expected.clone();
                    plain((&mut expected, Shape::rows(m, n)), (&rounded(&left), l), (&rounded(&right), r), put(add));
                    for path in paths() {
                        let mut found = start.clone();
                        product(path, (&mut found, Shape::rows(m, n)), (&left, l), (&right, r), put(add));
                        // Sums of rounded products differ in the order of additions only.
                        let worst = found.iter().zip(&expected).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
                        assert!(worst < 1e-5 * (k as f32).sqrt() * 10.0, "{path:?} {m} {k} {n} {add}: {worst}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_product_goes_into_some_columns_and_leaves_the_others() {
        let (left, right) = (random(70 * 40, 1), random(40 * 50, 2));
        let to = Shape { offset: 7, row_stride: 64, ..Shape::rows(70, 50) };
        let put = Put { scale: 1.0, add: false, parallel: true, products: ComputePrecision::F32 };
        for path in paths() {
            let mut wide = vec![9.0; 70 * 64];
            product(path, (&mut wide, to), (&left, Shape::rows(70, 40)), (&right, Shape::rows(40, 50)), put);
            let mut alone = vec![0.0; 70 * 50];
            product(
                path,
                (&mut alone, Shape::rows(70, 50)),
                (&left, Shape::rows(70, 40)),
                (&right, Shape::rows(40, 50)),
                put,
            );
            for (row, (wide, alone)) in wide.chunks_exact(64).zip(alone.chunks_exact(50)).enumerate() {
                assert_eq!(wide[7..57], *alone, "row {row}");
                assert!(wide[..7].iter().chain(&wide[57..]).all(|x| *x == 9.0), "row {row}");
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_threads() {
        let (left, right) = (random(300 * 100, 1), random(100 * 90, 2));
        let run = |parallel| {
            let mut out = vec![0.0; 300 * 90];
            let put = Put { scale: 1.0, add: false, parallel, products: ComputePrecision::F32 };
            product(
                Tiles::Twin,
                (&mut out, Shape::rows(300, 90)),
                (&left, Shape::rows(300, 100)),
                (&right, Shape::rows(100, 90)),
                put,
            );
            out
        };
        assert_eq!(run(true), run(false));
    }
}
