//! Means over defined values, and the standard deviation.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Mean of the values that are not `None`; `None` if there are no such values.
pub fn mean(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let (count, sum) = values.into_iter().flatten().fold((0usize, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / count as f64)
}

/// Mean and standard deviation (with n - 1) of values, for example of the scores of several seeds. The mean of no values and the
/// standard deviation of fewer than two are undefined.
pub fn mean_and_deviation(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let Some(mean) = mean(values.iter().map(|value| Some(*value))) else { return (None, None) };
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (Some(mean), (values.len() > 1).then(|| (squares / (values.len() as f64 - 1.0)).sqrt()))
}

/// Half of the width of the 95 % interval of a mean, by Student's t distribution; `None` for fewer than two values.
pub fn student_half_width(values: &[f64]) -> Option<f64> {
    let (_, deviation) = mean_and_deviation(values);
    let count = values.len() as f64;
    let student = StudentsT::new(0.0, 1.0, count - 1.0).ok()?;
    Some(student.inverse_cdf(0.975) * deviation? / count.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_student() {
        // scipy.stats.t.interval(0.95, 2, loc=0.5, scale=0.1 / 3 ** 0.5): 0.25158623, 0.74841377.
        let half = student_half_width(&[0.4, 0.5, 0.6]).unwrap();
        assert!((half - 0.248_413_77).abs() < 1e-6, "{half}");
        assert_eq!(student_half_width(&[0.4]), None);
    }

    #[test]
    fn one_value_has_no_standard_deviation() {
        assert_eq!(mean_and_deviation(&[0.5]), (Some(0.5), None));
        assert_eq!(mean_and_deviation(&[1.0, 2.0, 3.0]), (Some(2.0), Some(1.0)));
        assert_eq!(mean_and_deviation(&[]), (None, None));
    }

    #[test]
    fn undefined_values_are_not_used() {
        assert_eq!(mean([Some(1.0), None, Some(4.0)]), Some(2.5));
        assert_eq!(mean([None, None]), None);
        assert_eq!(mean([]), None);
    }
}
