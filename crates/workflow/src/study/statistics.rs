//! Means over seeds, with 95 % intervals by Student's t distribution.

use ptu_metrics::{mean_and_deviation, student_half_width};

/// A mean over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half of the width of its 95 % interval; `None` for a single seed.
    pub half: Option<f64>,
    /// Number of seeds.
    pub seeds: usize,
}

impl Estimate {
    /// The mean of the values of several seeds; `None` without any.
    pub fn of(values: &[f64]) -> Option<Self> {
        let (mean, _) = mean_and_deviation(values);
        let half = student_half_width(values);
        Some(Self { mean: mean?, half, seeds: values.len() })
    }

    /// Whether the interval lies above or below 0.
    pub fn is_significant(&self) -> bool {
        self.half.is_some_and(|half| self.mean.abs() > half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_student() {
        // scipy.stats.t.interval(0.95, 2, loc=0.5, scale=0.1 / 3 ** 0.5): 0.2516 to 0.7484.
        let found = Estimate::of(&[0.4, 0.5, 0.6]).unwrap();
        assert!((found.mean - 0.5).abs() < 1e-12 && (found.half.unwrap() - 0.248_413_8).abs() < 1e-6, "{found:?}");
        assert!(found.is_significant());
        assert_eq!(Estimate::of(&[0.4]).unwrap().half, None);
        assert_eq!(Estimate::of(&[]), None);
    }
}
