//! Confidence intervals of proportions near 0 or 1, where only few patients have a hit, or only few have a miss. The
//! bootstrap is too narrow there: if 0 of 455 are found, every resample also has 0, although the true proportion need not be
//! exactly 0.
//!
//! The interval is Wilson's (Wilson 1927; Brown, Cai, DasGupta, "Interval estimation for a binomial proportion", 2001). Its
//! sample size is the effective number of patients, weighted by their numbers of records: (sum of sizes)^2 / sum of squared
//! sizes (Kish 1965). This is the effective sample size if all records of a patient are equal. So few hits do not show how
//! similar the records of a patient are, so the most careful assumption is used. With one record for each patient it is
//! exact.
//!
//! For the paired difference of two proportions, Wilson's intervals of the two kinds of disagreement are combined by the
//! method of variance estimates recovery (MOVER; Zou and Donner, "Construction of confidence limits about effect measures",
//! 2008).

use statrs::function::erf::erfc_inv;

use crate::interval::{Interval, Resampling};

/// The bootstrap is used if at least this many patients have a hit and at least this many have a miss.
const MIN_GROUPS: usize = 10;

/// Number of groups (patients) with a hit, and number of groups with a miss, in any part of an evaluation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GroupCounts {
    pub hit: usize,
    pub missed: usize,
}

impl GroupCounts {
    /// Whether too few groups have a hit, or too few have a miss, for the bootstrap.
    pub(crate) fn is_few(self) -> bool {
        self.hit.min(self.missed) < MIN_GROUPS
    }
}

/// Effective sample size if all records of a patient are equal; `sizes` are the numbers of records of the patients.
pub(crate) fn effective_sample_size(sizes: impl Iterator<Item = usize>) -> f64 {
    let (sum, squares) = sizes.fold((0.0, 0.0), |(sum, squares), size| {
        let size = size as f64;
        (sum + size, squares + size * size)
    });
    sum * sum / squares
}

/// Wilson's interval of a proportion that was observed in `draws` independent draws. `None` if the level is outside (0, 1).
pub(crate) fn wilson(share: f64, draws: f64, level: f64) -> Option<(f64, f64)> {
    if !(level > 0.0 && level < 1.0) {
        return None;
    }
    let z = std::f64::consts::SQRT_2 * erfc_inv(1.0 - level);
    let z2 = z * z / draws;
    let middle = (share + z2 / 2.0) / (1.0 + z2);
    let half_width = (share * (1.0 - share) * z2 + z2 * z2 / 4.0).sqrt() / (1.0 + z2);
    // At 0 and 1 the limit is exactly 0 and 1; the formula would give it only up to rounding.
    let low = if share <= 0.0 { 0.0 } else { (middle - half_width).max(0.0) };
    let high = if share >= 1.0 { 1.0 } else { (middle + half_width).min(1.0) };
    Some((low, high))
}

/// The interval of the paired difference of two proportions that differ in few records: `won` is the share of records in
/// which only the first is right, `lost` the share in which only the second is right.
pub(crate) fn paired_difference((won, lost): (f64, f64), draws: f64, resampling: &Resampling) -> Option<Interval> {
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
    fn wilson_equals_statsmodels() {
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
    fn equal_records_of_one_patient_count_as_one_draw() {
        assert_eq!(effective_sample_size([1; 7].into_iter()), 7.0);
        assert_eq!(effective_sample_size([5; 7].into_iter()), 7.0);
        // One patient has nearly all records: the effective sample size is hardly more than one.
        assert!(effective_sample_size([1000, 1, 1].into_iter()) < 1.01);
    }

    #[test]
    fn few_disagreements_are_not_significant() {
        let resampling = Resampling::new(Key::new(1));
        // McNemar's exact test (scipy 1.17.1, binomtest(4, 4)) gives 0.125 for four against none, 0.03125 for six.
        let four = paired_difference((4.0 / 455.0, 0.0), 455.0, &resampling).unwrap();
        assert!(four.low < 0.0 && four.high > 0.02, "{four:?}");
        let six = paired_difference((6.0 / 455.0, 0.0), 455.0, &resampling).unwrap();
        assert!(six.low > 0.0, "{six:?}");
        // Computed directly from Wilson's limits of 4 and of 0 of 455.
        let low = 4.0 / 455.0 - (4.0 / 455.0 - 0.003_423_889_031_593_802f64).hypot(0.008_372_083_095_035_426);
        assert!((four.low - low).abs() < 1e-12);
        let none = paired_difference((0.0, 0.0), 455.0, &resampling).unwrap();
        assert_eq!((none.value, none.low, none.high), (0.0, -none.high, none.high));
        assert!((none.high - 0.008_372_083_095_035_426).abs() < 1e-12);
    }
}
