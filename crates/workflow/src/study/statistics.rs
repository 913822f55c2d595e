//! Means over seeds, with 95 % intervals by Student's t distribution.

use ptu_metrics::mean_and_deviation;

/// 97.5 % quantiles of Student's t distribution for 1, 2, ... degrees of freedom (SciPy 1.17, `scipy.stats.t.ppf(0.975, df)`).
const QUANTILES: [f64; 30] = [
    12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004, 2.262_157, 2.228_139,
    2.200_985, 2.178_813, 2.160_369, 2.144_787, 2.131_450, 2.119_905, 2.109_816, 2.100_922, 2.093_024, 2.085_963,
    2.079_614, 2.073_873, 2.068_658, 2.063_899, 2.059_539, 2.055_529, 2.051_831, 2.048_407, 2.045_230, 2.042_272,
];
/// The quantile for more degrees of freedom, that of the normal distribution.
const NORMAL: f64 = 1.959_964;

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
        let (mean, deviation) = mean_and_deviation(values);
        let freedom = values.len().saturating_sub(1);
        let quantile = freedom.checked_sub(1).map(|index| QUANTILES.get(index).copied().unwrap_or(NORMAL));
        let half =
            deviation.zip(quantile).map(|(deviation, quantile)| quantile * deviation / (values.len() as f64).sqrt());
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
