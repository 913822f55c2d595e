//! Rank correlation.

/// Spearman's rank correlation of two lists, equal values with the mean of their ranks. `None` if there are fewer than two values or one
/// list has no two different ones.
///
/// # Panics
/// If the lists have different lengths.
pub fn spearman(first: &[f64], second: &[f64]) -> Option<f64> {
    assert_eq!(first.len(), second.len(), "the lists have the same length");
    if first.len() < 2 {
        return None;
    }
    let (first, second) = (ranks(first), ranks(second));
    let mean = (first.len() as f64 - 1.0) / 2.0;
    let products =
        |one: &[f64], other: &[f64]| -> f64 { one.iter().zip(other).map(|(x, y)| (x - mean) * (y - mean)).sum() };
    let deviations = (products(&first, &first) * products(&second, &second)).sqrt();
    (deviations > 0.0).then(|| products(&first, &second) / deviations)
}

/// The rank of each value, from 0; equal values have the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&one, &other| values[one].total_cmp(&values[other]));
    let (mut ranks, mut start) = (vec![0.0; values.len()], 0);
    for equal in order.chunk_by(|&one, &other| values[one] == values[other]) {
        let rank = start as f64 + (equal.len() as f64 - 1.0) / 2.0;
        equal.iter().for_each(|&place| ranks[place] = rank);
        start += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_are_those_of_scipy() {
        // scipy.stats.spearmanr (1.16)
        let close = |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}");
        close(spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[5.0, 6.0, 7.0, 8.0, 7.0]), 0.820_782_681_668_123_3);
        close(spearman(&[3.0, 1.0, 2.0], &[-3.0, -1.0, -2.0]), -1.0);
        close(spearman(&[0.0, 0.0, 1.0], &[1.0, 2.0, 2.0]), 0.5);
    }

    #[test]
    fn it_is_undefined_without_differences() {
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[], &[]), None);
        assert_eq!(spearman(&[1.0], &[2.0]), None);
    }
}
