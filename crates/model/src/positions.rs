//! Resizes the position embeddings of one image resolution for another (specification, section 1).

use crate::array::Array;

/// The free parameter of cubic convolution, with the value that PyTorch's `interpolate` uses.
const A: f64 = -0.75;

/// Resizes `positions [special + s s, d]` to `[special + grid grid, d]` by bicubic interpolation, as PyTorch does
/// (`align_corners=False`, no antialiasing). The first `special` rows (that of the class token, if there is one) stay the same. An array
/// that is not a square grid is not changed; the loader rejects it later.
pub fn fit(positions: &mut Array, grid: usize, special: usize) {
    let &[rows, d] = positions.shape.as_slice() else { return };
    let side = (rows.saturating_sub(special) as f64).sqrt().round() as usize;
    let is_grid = side > 0 && side * side + special == rows && positions.values.len() == rows * d;
    if d == 0 || !is_grid || side == grid {
        return;
    }
    let (class, cells) = positions.values.split_at(special * d);
    let taps = taps(side, grid);
    let mut values = class.to_vec();
    values.reserve(grid * grid * d);
    for row in &taps {
        for column in &taps {
            let start = values.len();
            values.resize(start + d, 0.0);
            for channel in 0..d {
                let mut sum = 0.0f64;
                for (y, weight_y) in row {
                    for (x, weight_x) in column {
                        sum += weight_y * weight_x * f64::from(cells[(y * side + x) * d + channel]);
                    }
                }
                values[start + channel] = sum as f32;
            }
        }
    }
    *positions = Array { shape: vec![special + grid * grid, d], values };
}

/// For each of `to` output positions: the four input positions (of `from`) that it is interpolated from, with their weights.
fn taps(from: usize, to: usize) -> Vec<[(usize, f64); 4]> {
    let near = |t: f64| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0;
    let far = |t: f64| ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A;
    (0..to)
        .map(|position| {
            let source = (position as f64 + 0.5) * from as f64 / to as f64 - 0.5;
            let (base, t) = (source.floor(), source - source.floor());
            let clamp = |offset: f64| (base + offset).clamp(0.0, (from - 1) as f64) as usize;
            [
                (clamp(-1.0), far(t + 1.0)),
                (clamp(0.0), near(t)),
                (clamp(1.0), near(1.0 - t)),
                (clamp(2.0), far(2.0 - t)),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_grid_stays_constant_and_the_class_row_is_kept() {
        let mut array =
            Array { shape: vec![17, 2], values: [[9.0, -9.0]].into_iter().chain([[0.5, 2.0]; 16]).flatten().collect() };
        fit(&mut array, 7, 1);
        assert_eq!(array.shape, [50, 2]);
        assert_eq!(array.values[..2], [9.0, -9.0]);
        assert!(array.values[2..].chunks(2).all(|cell| (cell[0] - 0.5).abs() < 1e-6 && (cell[1] - 2.0).abs() < 1e-6));
    }

    #[test]
    fn the_same_grid_is_not_changed() {
        let array = Array { shape: vec![5, 1], values: vec![0.0, 1.0, 2.0, 3.0, 4.0] };
        let mut same = array.clone();
        fit(&mut same, 2, 1);
        assert_eq!(same, array);
    }

    #[test]
    fn an_array_that_is_not_a_square_grid_is_not_changed() {
        let mut array = Array { shape: vec![4, 1], values: vec![0.0; 4] };
        fit(&mut array, 3, 1);
        assert_eq!(array.shape, [4, 1]);
    }
}
