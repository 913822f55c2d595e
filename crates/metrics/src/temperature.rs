//! Temperature scaling: dividing logits by one number, fitted on validation data, so that probabilities agree with
//! observed frequencies (Guo et al., "On calibration of modern neural networks", 2017). It does not change the order of
//! the classes.

/// Lowest temperature that a fit returns. If all predictions are right, the negative log-likelihood (NLL) falls for
/// ever as the temperature goes to 0.
pub const LOWEST_TEMPERATURE: f64 = 0.01;
/// Highest temperature that a fit returns. If predictions are worse than chance, the NLL falls as the temperature
/// grows.
pub const HIGHEST_TEMPERATURE: f64 = 100.0;

/// Where a fit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemperatureFit {
    /// At the minimum of the NLL.
    Minimum,
    /// At [`LOWEST_TEMPERATURE`], where the NLL is still falling or is 0 up to rounding: all predictions are right, or
    /// the logits are very small.
    Lowest,
    /// At [`HIGHEST_TEMPERATURE`], where the NLL is still falling: the predictions are not better than chance.
    Highest,
    /// The NLL does not depend on the temperature, for example because all logits are equal; the temperature is 1.
    Flat,
}

/// A fitted temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature {
    /// The temperature, between [`LOWEST_TEMPERATURE`] and [`HIGHEST_TEMPERATURE`]. Above 1 the model was too
    /// confident.
    pub value: f64,
    /// Mean NLL of the data in nats before scaling (temperature 1).
    pub nll_before: f64,
    /// Mean NLL of the data in nats at the temperature.
    pub nll_after: f64,
    /// Where the fit ended.
    pub fit: TemperatureFit,
}

impl Temperature {
    /// Fits the temperature of a softmax over `classes` classes. `logits` is row-major `[records, classes]`; `right`
    /// has the true class of each record.
    ///
    /// `None` without records, if a logit is infinite or NaN, or if a true class is not in `0..classes`.
    ///
    /// # Panics
    /// If `logits` does not have one row of `classes` logits for each element of `right`.
    pub fn fit_softmax(logits: &[f32], classes: usize, right: &[usize]) -> Option<Self> {
        assert_eq!(logits.len(), right.len() * classes, "each record needs a logit for each class");
        let valid = logits.iter().all(|logit| logit.is_finite()) && right.iter().all(|class| *class < classes);
        (valid && !right.is_empty()).then(|| Likelihood { logits, classes, right }.fit())
    }

    /// Fits the temperature of a sigmoid. Takes (logit, is positive) of each record, or of each pair of record and
    /// label (multi-label). `None` without records, or if a logit is infinite or NaN.
    pub fn fit_sigmoid(records: impl IntoIterator<Item = (f32, bool)>) -> Option<Self> {
        // The sigmoid of x is the second probability of a softmax of [0, x].
        let (logits, right): (Vec<[f32; 2]>, Vec<usize>) =
            records.into_iter().map(|(logit, positive)| ([0.0, logit], usize::from(positive))).unzip();
        Self::fit_softmax(logits.as_flattened(), 2, &right)
    }

    /// The logits divided by the temperature.
    pub fn apply(&self, logits: &[f32]) -> Vec<f32> {
        logits.iter().map(|logit| (f64::from(*logit) / self.value) as f32).collect()
    }

    /// The probabilities of a softmax at this temperature; row-major `[records, classes]` like `logits`.
    ///
    /// # Panics
    /// If the length of `logits` is not a multiple of `classes`.
    pub fn softmax(&self, logits: &[f32], classes: usize) -> Vec<f32> {
        assert!(logits.len().is_multiple_of(classes), "`logits` must have whole rows of `classes` logits");
        let mut probabilities = Vec::with_capacity(logits.len());
        for row in logits.chunks(classes.max(1)) {
            let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let weights = row.iter().map(|logit| ((f64::from(*logit) - f64::from(greatest)) / self.value).exp());
            let total: f64 = weights.clone().sum();
            probabilities.extend(weights.map(|weight| (weight / total) as f32));
        }
        probabilities
    }

    /// The probabilities of a sigmoid at this temperature.
    pub fn sigmoid(&self, logits: &[f32]) -> Vec<f32> {
        logits.iter().map(|logit| (1.0 / (1.0 + (-f64::from(*logit) / self.value).exp())) as f32).collect()
    }
}

/// The NLL of a softmax as a function of the inverse temperature, in which it is convex.
struct Likelihood<'a> {
    logits: &'a [f32],
    classes: usize,
    right: &'a [usize],
}

/// Mean NLL with its first and second derivative by the inverse temperature.
#[derive(Clone, Copy, Default)]
struct Slope {
    value: f64,
    first: f64,
    second: f64,
}

impl Likelihood<'_> {
    /// With d the logit of a class minus the logit of the true class and p the probabilities at the inverse temperature
    /// b, the NLL is log(sum of exp(b d)), its derivative is the mean of d under p, and the second derivative is the
    /// variance.
    fn at(&self, inverse: f64) -> Slope {
        let mut sum = Slope::default();
        for (row, &right) in self.logits.chunks_exact(self.classes).zip(self.right) {
            let own = f64::from(row[right]);
            let differences = || row.iter().map(|logit| f64::from(*logit) - own);
            // The true class has the difference 0, so the greatest one is at least 0.
            let greatest = differences().fold(0.0, f64::max);
            let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
            for difference in differences() {
                let weight = (inverse * (difference - greatest)).exp();
                total += weight;
                first += weight * difference;
                second += weight * difference * difference;
            }
            let mean = first / total;
            sum.value += inverse * greatest + total.ln();
            sum.first += mean;
            sum.second += second / total - mean * mean;
        }
        let records = self.right.len() as f64;
        Slope { value: sum.value / records, first: sum.first / records, second: sum.second / records }
    }

    fn fit(&self) -> Temperature {
        let (low, high) = (1.0 / HIGHEST_TEMPERATURE, 1.0 / LOWEST_TEMPERATURE);
        let (slope_low, slope_high) = (self.at(low).first, self.at(high).first);
        let (inverse, fit) = if slope_low == 0.0 && slope_high == 0.0 {
            (1.0, TemperatureFit::Flat)
        } else if slope_high <= 0.0 {
            (high, TemperatureFit::Lowest)
        } else if slope_low >= 0.0 {
            (low, TemperatureFit::Highest)
        } else {
            (self.root(low, high), TemperatureFit::Minimum)
        };
        let nll = |inverse: f64| self.at(inverse).value;
        Temperature { value: 1.0 / inverse, nll_before: nll(1.0), nll_after: nll(inverse), fit }
    }

    /// The inverse temperature at which the derivative is 0, by Newton's method. It lies between `low` and `high`,
    /// where the derivative is negative and positive. Where a step of Newton's method leaves this interval, the
    /// interval is halved (on a logarithmic scale) instead, so the method always converges.
    fn root(&self, mut low: f64, mut high: f64) -> f64 {
        let mut inverse = (low * high).sqrt();
        // Halving alone would need fewer than 60 steps; Newton's method needs about ten.
        for step in 0..200 {
            let slope = self.at(inverse);
            if slope.first < 0.0 {
                low = inverse
            } else {
                high = inverse
            }
            let newton = inverse - slope.first / slope.second;
            // Every third step halves the interval, in case Newton's method approaches from one side in small steps.
            let next = if newton > low && newton < high && step % 3 != 2 { newton } else { (low * high).sqrt() };
            if (next / inverse - 1.0).abs() < 1e-13 || high / low - 1.0 < 1e-13 {
                return next;
            }
            inverse = next;
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_random::{Key, Place};

    #[test]
    fn two_classes_have_a_closed_form() {
        // 3 of 4 records are right, all with the same margin m: the best confidence is 3/4, so m / T = ln 3.
        let records = [(5.0, true), (5.0, true), (-5.0, false), (5.0, false)];
        let found = Temperature::fit_sigmoid(records).unwrap();
        assert_eq!(found.fit, TemperatureFit::Minimum);
        assert!((found.value - 5.0 / 3f64.ln()).abs() < 1e-9, "{found:?}");
        let entropy = -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        assert!((found.nll_after - entropy).abs() < 1e-12 && found.nll_before > found.nll_after);
        assert!((found.sigmoid(&[5.0])[0] - 0.75).abs() < 1e-6);
        let rows = found.softmax(&[0.0, 5.0, 0.0, -5.0], 2);
        assert!((rows[1] - 0.75).abs() < 1e-6 && (rows[3] - 0.25).abs() < 1e-6);
        assert_eq!(found.apply(&[5.0]), [3f32.ln()]);
    }

    #[test]
    fn the_temperature_follows_the_scale_of_the_logits() {
        let mut stream = Key::new(2).stream(Place::Sample, 0);
        for _ in 0..50 {
            let right: Vec<usize> = (0..40).map(|_| stream.below(3)).collect();
            let logits: Vec<f32> = (0..120)
                .map(|entry| (stream.normal() + f64::from(u8::from(right[entry / 3] == entry % 3))) as f32)
                .collect();
            let fit = |scale: f32| {
                let scaled: Vec<f32> = logits.iter().map(|logit| logit * scale).collect();
                Temperature::fit_softmax(&scaled, 3, &right).unwrap()
            };
            // Powers of 2 scale the logits without rounding.
            let (own, small, large) = (fit(1.0), fit(0.0625), fit(16.0));
            assert_eq!(own.fit, TemperatureFit::Minimum);
            for (other, scale) in [(small, 0.0625), (large, 16.0)] {
                assert!((other.value / scale / own.value - 1.0).abs() < 1e-9, "{own:?} {other:?}");
                assert!((other.nll_after - own.nll_after).abs() < 1e-12);
            }
            assert!(own.nll_after <= own.nll_before);
        }
    }

    #[test]
    fn predictions_that_are_all_right_end_at_the_lowest_temperature() {
        for logit in [1e-3, 1.0, 30.0, 3e38] {
            let found = Temperature::fit_sigmoid([(logit, true), (-logit, false)]).unwrap();
            if logit > 1e6 {
                assert_eq!((found.fit, found.value), (TemperatureFit::Flat, 1.0), "the NLL is 0 at every temperature");
            } else {
                assert_eq!((found.fit, found.value), (TemperatureFit::Lowest, LOWEST_TEMPERATURE));
            }
            assert!(found.nll_after.is_finite() && found.nll_after <= found.nll_before);
        }
    }

    #[test]
    fn predictions_that_are_all_wrong_end_at_the_highest_temperature() {
        let found = Temperature::fit_softmax(&[1.0, 2.0, 3.0, 3.0, 2.0, 1.0], 3, &[0, 2]).unwrap();
        assert_eq!((found.fit, found.value), (TemperatureFit::Highest, HIGHEST_TEMPERATURE));
        let extreme = Temperature::fit_sigmoid([(f32::MAX, false)]).unwrap();
        assert!(extreme.fit == TemperatureFit::Highest && extreme.nll_after.is_finite());
    }

    #[test]
    fn logits_without_information_leave_the_temperature_at_one() {
        for found in [
            Temperature::fit_sigmoid([(0.0, true), (0.0, false)]),
            Temperature::fit_softmax(&[2.0, 2.0, 2.0], 3, &[1]),
            Temperature::fit_softmax(&[2.0, 5.0], 1, &[0, 0]),
        ] {
            let found = found.unwrap();
            assert_eq!((found.fit, found.value), (TemperatureFit::Flat, 1.0));
        }
    }

    #[test]
    fn probabilities_of_extreme_logits_are_finite() {
        let found = Temperature::fit_sigmoid([(1.0, true), (-1.0, false)]).unwrap();
        assert_eq!(found.softmax(&[f32::MAX, -f32::MAX], 2), [1.0, 0.0]);
        assert_eq!(found.sigmoid(&[f32::MAX, -f32::MAX, 0.0]), [1.0, 0.0, 0.5]);
        assert!(found.softmax(&[], 0).is_empty());
    }

    #[test]
    fn invalid_data_is_undefined() {
        assert_eq!(Temperature::fit_sigmoid([]), None);
        assert_eq!(Temperature::fit_sigmoid([(f32::NAN, true)]), None);
        assert_eq!(Temperature::fit_sigmoid([(f32::INFINITY, true)]), None);
        assert_eq!(Temperature::fit_softmax(&[1.0, 2.0], 2, &[2]), None);
        assert_eq!(Temperature::fit_softmax(&[], 0, &[1]), None);
    }
}
