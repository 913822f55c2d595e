//! Tiles of bf16 values, in the layout that the processor's matrix instructions read.

use std::ops::Range;

use rayon::prelude::*;

use crate::loops::vectorised;
use crate::matrix::Shape;

/// Number of rows of the left operand, or of columns of the right one, in a panel: two tiles of 16.
pub const PANEL: usize = 32;
/// Number of values along the inner dimension in a tile.
const DEPTH: usize = 32;

/// 16 rows of 16 pairs of bf16 values; the first value of a pair is in the lower 16 bits. In the left operand, a row of a
/// tile has 32 values along the inner dimension. In the right operand, a row has two values along the inner dimension for
/// each of 16 columns.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Tile(pub [[u32; 16]; 16]);

const EMPTY: Tile = Tile([[0; 16]; 16]);

/// One operand of a product, as panels. A panel has one pair of tiles for every 32 values of the inner dimension; the edges are
/// filled with zeros.
pub struct Panels {
    tiles: Vec<Tile>,
    steps: usize,
}

/// One operand of a product in memory. The outer axis is the one that the other operand does not have.
#[derive(Clone, Copy)]
struct Operand<'a> {
    values: &'a [f32],
    offset: usize,
    /// Number of rows of the left operand, or of columns of the right one.
    outer: usize,
    outer_stride: usize,
    inner: usize,
    inner_stride: usize,
    /// Whether a row of a tile has one pair of inner values for each of 16 outer indices (right operand); otherwise it has 16
    /// pairs of inner values for one outer index (left operand).
    by_pair: bool,
}

impl Operand<'_> {
    /// Fills a tile with the values from outer index `first` and inner index `depth` on; values outside the matrix stay zero.
    #[inline(always)]
    fn pack(&self, tile: &mut Tile, first: usize, depth: usize) {
        let start = self.offset + first * self.outer_stride + depth * self.inner_stride;
        let (outer, inner) = (self.outer.saturating_sub(first).min(16), (self.inner - depth).min(DEPTH));
        let mut store = |outer: usize, pair: usize, value: u32| match self.by_pair {
            true => tile.0[pair][outer] = value,
            false => tile.0[outer][pair] = value,
        };
        if self.inner_stride == 1 {
            for index in 0..outer {
                let line = &self.values[start + index * self.outer_stride..][..inner];
                let (pairs, rest) = line.as_chunks::<2>();
                pairs.iter().enumerate().for_each(|(pair, [x, y])| store(index, pair, pack_pair(*x, *y)));
                rest.iter().for_each(|x| store(index, inner / 2, pack_pair(*x, 0.0)));
            }
            return;
        }
        for pair in 0..inner.div_ceil(2) {
            let at =
                |inner: usize, outer: usize| self.values[start + inner * self.inner_stride + outer * self.outer_stride];
            let last = 2 * pair + 1 == inner;
            for index in 0..outer {
                let second = if last { 0.0 } else { at(2 * pair + 1, index) };
                store(index, pair, pack_pair(at(2 * pair, index), second));
            }
        }
    }
}

impl Panels {
    /// Packs the left operand, `[rows, inner]`.
    pub fn of_rows(values: &[f32], shape: Shape, parallel: bool) -> Self {
        let Shape { offset, rows: outer, columns: inner, row_stride, column_stride } = shape;
        let (outer_stride, inner_stride) = (row_stride, column_stride);
        Self::new(Operand { values, offset, outer, outer_stride, inner, inner_stride, by_pair: false }, parallel)
    }

    /// Packs the right operand, `[inner, columns]`.
    pub fn of_columns(values: &[f32], shape: Shape, parallel: bool) -> Self {
        let Shape { offset, rows: inner, columns: outer, row_stride, column_stride } = shape;
        let (outer_stride, inner_stride) = (column_stride, row_stride);
        Self::new(Operand { values, offset, outer, outer_stride, inner, inner_stride, by_pair: true }, parallel)
    }

    fn new(operand: Operand<'_>, parallel: bool) -> Self {
        let steps = operand.inner.div_ceil(DEPTH);
        let mut tiles = vec![EMPTY; operand.outer.div_ceil(PANEL) * steps * 2];
        let panel = |(panel, tiles): (usize, &mut [Tile])| {
            vectorised(
                tiles,
                #[inline(always)]
                |tiles| {
                    for (step, pair) in tiles.chunks_exact_mut(2).enumerate() {
                        for (number, tile) in pair.iter_mut().enumerate() {
                            operand.pack(tile, panel * PANEL + number * 16, step * DEPTH);
                        }
                    }
                },
            );
        };
        match parallel {
            true => tiles.par_chunks_mut((2 * steps).max(1)).enumerate().for_each(panel),
            false => tiles.chunks_mut((2 * steps).max(1)).enumerate().for_each(panel),
        }
        Self { tiles, steps }
    }

    /// Number of panels.
    pub fn count(&self) -> usize {
        self.tiles.len() / (2 * self.steps).max(1)
    }

    /// Number of pairs of tiles in a panel.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Some of the pairs of tiles of a panel.
    pub fn panel(&self, panel: usize, steps: Range<usize>) -> &[Tile] {
        &self.tiles[2 * (panel * self.steps + steps.start)..2 * (panel * self.steps + steps.end)]
    }
}

/// Two values rounded to bf16, as one pair.
#[inline(always)]
fn pack_pair(first: f32, second: f32) -> u32 {
    u32::from(round(first)) | u32::from(round(second)) << 16
}

/// Rounds to the nearest bf16, ties to even; NaN stays NaN.
#[inline(always)]
pub fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { (bits >> 16) as u16 | 0x40 } else { rounded as u16 }
}

/// Reference implementation with plain loops: computes `sums = left right`, 32 x 32, of a row panel and a column panel; with
/// `add`, adds the product to `sums`.
pub fn multiply(left: &[Tile], right: &[Tile], sums: &mut [f32; PANEL * PANEL], add: bool) {
    let value = |bits: u32| f32::from_bits(bits << 16);
    if !add {
        sums.fill(0.0);
    }
    for (left, right) in left.chunks_exact(2).zip(right.chunks_exact(2)) {
        for (index, sum) in sums.iter_mut().enumerate() {
            let (row, column) = (index / PANEL, index % PANEL);
            for pair in 0..16 {
                let (a, b) = (left[row / 16].0[row % 16][pair], right[column / 16].0[pair][column % 16]);
                *sum += value(a & 0xffff) * value(b & 0xffff);
                *sum += value(a >> 16) * value(b >> 16);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_even() {
        let value = |x: f32| f32::from_bits(u32::from(round(x)) << 16);
        // Eight bits of mantissa: steps of 1/128 between 1 and 2.
        for (x, nearest) in [
            (1.0, 1.0),
            (1.003, 1.0),
            (1.005, 1.007_812_5),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.015_625),
            (-1.005, -1.007_812_5),
            (f32::INFINITY, f32::INFINITY),
            (3.4e38, f32::INFINITY),
        ] {
            assert_eq!(value(x), nearest, "{x}");
        }
        assert!(value(f32::NAN).is_nan() && value(f32::from_bits(0x7f80_0001)).is_nan());
    }

    #[test]
    fn edges_are_zeros() {
        let panels = Panels::of_rows(&[1.0; 3], Shape::rows(1, 3), false);
        assert_eq!((panels.count(), panels.steps()), (1, 1));
        let one = u32::from(round(1.0));
        let [first, second] = panels.panel(0, 0..1) else { panic!("a pair of tiles") };
        assert_eq!(first.0[0][..3], [one | one << 16, one, 0]);
        assert!(first.0[1..].iter().chain(&second.0).all(|row| *row == [0; 16]));
    }
}
