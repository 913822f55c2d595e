//! Intervals of shares that few patients hit, or few miss, where the bootstrap says too much: none of 455 found is not a
//! share of exactly 0, but every resample of it is.
//!
//! Wilson's interval (Wilson 1927; Brown, Cai, DasGupta, "Interval estimation for a binomial proportion", 2001) for as many
//! draws as there are patients, weighed by their records: (sum of sizes)^2 / sum of squared sizes (Kish 1965). That is what
//! records are worth if those of one patient are all alike. How alike they are cannot be told from so few hits, so the
//! most careful answer is taken; with a record a patient it is exact.
//!
//! For the paired difference of two shares the two kinds of disagreement have Wilson's intervals, put together by the
//! variances recovered from them (MOVER; Zou and Donner, "Construction of confidence limits about effect measures", 2008).

use statrs::function::erf::erfc_inv;

use crate::interval::{Interval, Resampling};

/// Patients with a hit, and patients with a miss, from which on the bootstrap is asked.
const FEW: usize = 10;

/// How many patients hit, and how many miss, in any part of an evaluation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub hit: usize,
    pub missed: usize,
}

impl Tally {
    /// Whether too few patients differ from the rest for a bootstrap.
    pub(crate) fn is_few(self) -> bool {
        self.hit.min(self.missed) < FEW
    }
}

/// What records of patients are worth if those of one patient are all alike; `sizes` are the patients' records.
pub(crate) fn effective(sizes: impl Iterator<Item = usize>) -> f64 {
    let (sum, squares) = sizes.fold((0.0, 0.0), |(sum, squares), size| {
        let size = size as f64;
        (sum + size, squares + size * size)
    });
    sum * sum / squares
}

/// Wilson's interval of a share of `draws` independent draws. `None` for a level outside (0, 1).
pub(crate) fn wilson(share: f64, draws: f64, level: f64) -> Option<(f64, f64)> {
    if !(level > 0.0 && level < 1.0) {
        return None;
    }
    let z = std::f64::consts::SQRT_2 * erfc_inv(1.0 - level);
    let z2 = z * z / draws;
    let middle = (share + z2 / 2.0) / (1.0 + z2);
    let half = (share * (1.0 - share) * z2 + z2 * z2 / 4.0).sqrt() / (1.0 + z2);
    // At the ends the formula is exact but for rounding.
    let low = if share <= 0.0 { 0.0 } else { (middle - half).max(0.0) };
    let high = if share >= 1.0 { 1.0 } else { (middle + half).min(1.0) };
    Some((low, high))
}

/// The interval of the difference of two shares that agree but in few records: the first alone is right in `won` of them, the
/// second alone in `lost`.
pub(crate) fn difference((won, lost): (f64, f64), draws: f64, resampling: &Resampling) -> Option<Interval> {
    let (won_low, won_high) = wilson(won, draws, resampling.level)?;
    let (lost_low, lost_high) = wilson(lost, draws, resampling.level)?;
    let value = won - lost;
    let low = value - (won - won_low).hypot(lost_high - lost);
    let high = value + (won_high - won).hypot(lost - lost_low);
    Some(Interval { value, low: low.max(-1.0), high: high.min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_random::Key;

    #[test]
    fn wilson_as_statsmodels_has_it() {
        // statsmodels 0.15.0, proportion_confint(k, n, alpha, method='wilson').
        for (hits, draws, level, low, high) in [
            (0, 455, 0.95, 0.0, 0.008_372_083_095_035_426),
            (1, 455, 0.95, 0.000_388_071_463_602_772_7, 0.012_342_815_661_784_15),
            (455, 455, 0.95, 0.991_627_916_904_964_5, 1.0),
            (9, 50, 0.95, 0.097_701_926_702_341_75, 0.307_960_536_743_007_8),
            (0, 12, 0.95, 0.0, 0.242_494_006_655_241),
            (3, 40, 0.95, 0.025_836_025_774_588_19, 0.198_642_335_243_105_5),
            (3, 40, 0.90, 0.030_370_252_611_738_99, 0.173_480_178_736_900_4),
        ] {
            let (found_low, found_high) = wilson(f64::from(hits) / f64::from(draws), draws.into(), level).unwrap();
            assert!((found_low - low).abs() < 1e-12 && (found_high - high).abs() < 1e-12, "{hits} of {draws}");
        }
        assert_eq!(wilson(0.5, 10.0, 1.0), None);
        assert_eq!(wilson(0.5, 10.0, f64::NAN), None);
    }

    #[test]
    fn records_of_one_patient_are_worth_one_draw() {
        assert_eq!(effective([1; 7].into_iter()), 7.0);
        assert_eq!(effective([5; 7].into_iter()), 7.0);
        // One patient has nearly all records: hardly more than one draw.
        assert!(effective([1000, 1, 1].into_iter()) < 1.01);
    }

    #[test]
    fn few_disagreements_are_no_proof() {
        let resampling = Resampling::new(Key::new(1));
        // McNemar's exact test (scipy 1.17.1, binomtest(4, 4)) gives 0.125 for four against none, 0.03125 for six.
        let four = difference((4.0 / 455.0, 0.0), 455.0, &resampling).unwrap();
        assert!(four.low < 0.0 && four.high > 0.02, "{four:?}");
        let six = difference((6.0 / 455.0, 0.0), 455.0, &resampling).unwrap();
        assert!(six.low > 0.0, "{six:?}");
        // By hand from Wilson's limits of 4 and of 0 of 455.
        let low = 4.0 / 455.0 - (4.0 / 455.0 - 0.003_423_889_031_593_802f64).hypot(0.008_372_083_095_035_426);
        assert!((four.low - low).abs() < 1e-12);
        let none = difference((0.0, 0.0), 455.0, &resampling).unwrap();
        assert_eq!((none.value, none.low, none.high), (0.0, -none.high, none.high));
        assert!((none.high - 0.008_372_083_095_035_426).abs() < 1e-12);
    }
}
