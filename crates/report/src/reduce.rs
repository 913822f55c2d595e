//! Reduces long series to few points, and smooths noisy series.

/// Consecutive points (x, y) without a gap.
pub type Piece = Vec<(f64, f64)>;

/// Splits `points` at the points that `keep` rejects.
pub fn pieces(points: &[(f64, f64)], keep: impl Fn(f64, f64) -> bool) -> Vec<Piece> {
    let parts = points.split(|&(x, y)| !keep(x, y));
    parts.filter(|piece| !piece.is_empty()).map(<[_]>::to_vec).collect()
}

/// The largest number of points of a smoothed piece.
const MAX_SMOOTHED: usize = 2000;

/// Smooths by local linear regression: fits a straight line to a window of 1/25 of the piece around each point and takes its
/// value at that point. This removes noise; a steep start and both ends keep their slope. Pieces of fewer than 25 points are
/// not changed.
pub fn smooth(piece: &[(f64, f64)]) -> Piece {
    if piece.len() < 25 {
        return piece.to_vec();
    }
    let piece: Piece = piece.chunks(piece.len().div_ceil(MAX_SMOOTHED)).map(mean).collect();
    let half_window = (piece.len() / 50).max(2);
    let fitted = |index: usize| {
        let window = &piece[index.saturating_sub(half_window)..(index + half_window + 1).min(piece.len())];
        let centre = mean(window);
        let product: f64 = window.iter().map(|&(x, y)| (x - centre.0) * (y - centre.1)).sum();
        let square: f64 = window.iter().map(|&(x, _)| (x - centre.0).powi(2)).sum();
        let slope = if square > 0.0 { product / square } else { 0.0 };
        let at = centre.1 + slope * (piece[index].0 - centre.0);
        // The value stays within the range of the window; otherwise a share that begins at zero could become negative.
        let (low, high) = window.iter().fold((f64::MAX, f64::MIN), |(low, high), &(_, y)| (low.min(y), high.max(y)));
        (piece[index].0, at.max(low).min(high))
    };
    (0..piece.len()).map(fitted).collect()
}

/// The mean of some points.
fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    (x / count, y / count)
}

/// Reduces a piece to about `max_points` points that look the same when drawn: the lowest and the highest point of each chunk.
pub fn thin(piece: &[(f64, f64)], max_points: usize) -> Piece {
    if piece.len() <= max_points {
        return piece.to_vec();
    }
    let width = piece.len().div_ceil((max_points / 2).max(1));
    piece
        .chunks(width)
        .flat_map(|chunk| {
            let mut low = 0;
            let mut high = 0;
            for (index, &(_, y)) in chunk.iter().enumerate() {
                low = if y < chunk[low].1 { index } else { low };
                high = if y > chunk[high].1 { index } else { high };
            }
            let second = (low != high).then(|| chunk[low.max(high)]);
            [Some(chunk[low.min(high)]), second].into_iter().flatten()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_a_straight_line_and_damps_noise() {
        let line: Piece = (0..1000).map(|index| (f64::from(index), 3.0 - f64::from(index) / 500.0)).collect();
        for (before, after) in line.iter().zip(smooth(&line)) {
            assert!((before.1 - after.1).abs() < 1e-9, "{before:?} {after:?}");
        }
        let noisy: Piece = (0..1000).map(|index| (f64::from(index), if index % 2 == 0 { 1.0 } else { -1.0 })).collect();
        assert!(smooth(&noisy)[500].1.abs() < 0.05);
        assert!(smooth(&noisy)[0].1.abs() < 0.3, "the ends are smoothed too");
        let rising: Piece = (0..500).map(|index| (f64::from(index), f64::from(index).powi(2))).collect();
        assert!(smooth(&rising).iter().all(|&(_, y)| y >= 0.0), "a fitted line would be negative at the start");
    }

    #[test]
    fn smoothing_bounds_the_points_and_survives_a_spike() {
        let mut long: Piece = (0..1_000_000).map(|index| (f64::from(index), 1.0)).collect();
        long[10].1 = 1e30;
        let smoothed = smooth(&long);
        assert!(smoothed.len() <= MAX_SMOOTHED);
        assert!(smoothed[100..].iter().all(|&(_, y)| (y - 1.0).abs() < 1e-9));
    }

    #[test]
    fn thinning_keeps_spikes_and_order() {
        let mut long: Piece = (0..100_000).map(|index| (f64::from(index), 0.0)).collect();
        long[54_321].1 = 9.0;
        let short = thin(&long, 400);
        assert!(short.len() <= 400 && short.contains(&(54_321.0, 9.0)));
        assert!(short.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn gaps_split_a_series() {
        let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, 2.0), (3.0, 3.0), (4.0, f64::INFINITY)];
        assert_eq!(pieces(&points, |_, y| y.is_finite()), [vec![(0.0, 1.0)], vec![(2.0, 2.0), (3.0, 3.0)]]);
    }
}
