//! The mean over defined values.

/// Mean of the values that are not `None`; `None` if there are no such values.
pub fn mean(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let (count, sum) = values.into_iter().flatten().fold((0usize, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::mean;

    #[test]
    fn undefined_values_are_not_used() {
        assert_eq!(mean([Some(1.0), None, Some(4.0)]), Some(2.5));
        assert_eq!(mean([None, None]), None);
        assert_eq!(mean([]), None);
    }
}
