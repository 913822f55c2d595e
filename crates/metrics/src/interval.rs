//! Percentile bootstrap confidence intervals by group: patients are sampled with replacement, all records of a patient together.
//!
//! Records of one patient are similar, so sampling single records would give intervals that are too narrow. Known limitation:
//! with few groups (fewer than about 20), the coverage of percentile intervals is somewhat lower than their level.

use ptu_random::{Key, Place};
use rayon::prelude::*;
use std::collections::HashMap;
use std::hash::Hash;

/// A score with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The score on all records.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Settings of the bootstrap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// Number of resamples.
    pub resamples: usize,
    /// Confidence level: the share of resamples inside the interval, above 0 and below 1.
    pub level: f64,
    /// The key of the random numbers: the same key gives the same interval.
    pub key: Key,
}

impl Resampling {
    /// 95 % intervals from 2,000 resamples.
    pub fn new(key: Key) -> Self {
        Self { resamples: 2_000, level: 0.95, key }
    }

    /// Samples `groups` groups from `0..groups` for each resample and calls `each` with them, in several threads; returns the results in order.
    ///
    /// A resample is a pure function of the key and the number of the resample, so two statistics get the same resamples.
    pub(crate) fn draw(&self, groups: usize, each: impl Fn(&[usize]) -> Option<f64> + Send + Sync) -> Vec<Option<f64>> {
        let sample = |drawn: &mut Vec<usize>, resample: usize| {
            let mut stream = self.key.stream(Place::Bootstrap, resample as u64);
            drawn.iter_mut().for_each(|group| *group = stream.below(groups));
            each(drawn)
        };
        (0..self.resamples).into_par_iter().map_init(|| vec![0; groups], sample).collect()
    }

    /// The percentile interval for `value`, from the statistic of each resample.
    pub(crate) fn interval(&self, value: f64, statistics: Vec<Option<f64>>) -> Option<Interval> {
        let mut defined: Vec<f64> = statistics.into_iter().flatten().filter(|statistic| !statistic.is_nan()).collect();
        if !(self.level > 0.0 && self.level < 1.0) || defined.len() * 2 <= self.resamples || value.is_nan() {
            return None;
        }
        defined.sort_unstable_by(f64::total_cmp);
        let outside = (1.0 - self.level) / 2.0;
        Some(Interval { value, low: quantile(&defined, outside)?, high: quantile(&defined, 1.0 - outside)? })
    }
}

/// The confidence interval of any statistic of records. `groups` has the group of each record; `statistic` gets record
/// indices (some repeated) and returns the score on these records.
///
/// `None` if there are fewer than two groups, if the statistic is undefined on the whole data or on at least half of the
/// resamples, if there are no resamples, or if the level is outside (0, 1). Resamples on which the statistic is undefined are
/// not used.
pub fn bootstrap<G: Eq + Hash>(
    groups: &[G],
    statistic: impl Fn(&[usize]) -> Option<f64> + Send + Sync,
    resampling: &Resampling,
) -> Option<Interval> {
    let (group_of, count) = number_groups(groups);
    if count < 2 {
        return None;
    }
    let value = statistic(&(0..groups.len()).collect::<Vec<_>>())?;
    let mut members = vec![Vec::new(); count];
    group_of.iter().enumerate().for_each(|(record, &group)| members[group].push(record));
    let statistics = resampling.draw(count, |drawn| {
        let records: Vec<usize> = drawn.iter().flat_map(|&group| &members[group]).copied().collect();
        statistic(&records)
    });
    resampling.interval(value, statistics)
}

/// The confidence interval of `first - second`, both computed on the same resamples (paired bootstrap). It shows whether one
/// model is better than another on the same records with far fewer records than two separate intervals. `None` in the same
/// cases as for [`bootstrap`].
pub fn bootstrap_difference<G: Eq + Hash>(
    groups: &[G],
    first: impl Fn(&[usize]) -> Option<f64> + Send + Sync,
    second: impl Fn(&[usize]) -> Option<f64> + Send + Sync,
    resampling: &Resampling,
) -> Option<Interval> {
    bootstrap(groups, |records| Some(first(records)? - second(records)?), resampling)
}

/// Numbers the groups from 0 in the order of their first record, so that resampling does not depend on a hash function.
/// Returns the number of each record's group, and the number of groups.
pub(crate) fn number_groups<'a, G: Eq + Hash + 'a>(groups: impl IntoIterator<Item = &'a G>) -> (Vec<usize>, usize) {
    let mut numbers = HashMap::new();
    let group_of = groups
        .into_iter()
        .map(|group| {
            let next = numbers.len();
            *numbers.entry(group).or_insert(next)
        })
        .collect();
    (group_of, numbers.len())
}

/// The quantile of sorted values at `share`, with linear interpolation (the default of `numpy.quantile`).
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (*sorted.get(position.floor() as usize)?, *sorted.get(position.ceil() as usize)?);
    Some(below + (above - below) * position.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(values: &[f64]) -> impl Fn(&[usize]) -> Option<f64> {
        |records| (!records.is_empty()).then(|| records.iter().map(|r| values[*r]).sum::<f64>() / records.len() as f64)
    }

    fn resampling(seed: u64) -> Resampling {
        Resampling { resamples: 300, ..Resampling::new(Key::new(seed)) }
    }

    /// 40 patients with three records each. A value is 5 plus a patient effect (standard deviation 1) plus noise (0.3).
    fn patients(trial: u64) -> (Vec<u64>, Vec<f64>) {
        let mut stream = Key::new(99).stream(Place::Sample, trial);
        let records = (0..40u64).flat_map(|patient| {
            let level = 5.0 + stream.normal();
            [0; 3].map(|_| (patient, level + 0.3 * stream.normal()))
        });
        records.collect::<Vec<_>>().into_iter().unzip()
    }

    #[test]
    fn intervals_by_patient_have_the_stated_coverage() {
        let (trials, mut by_patient, mut by_record) = (400, 0, 0);
        for trial in 0..trials {
            let (groups, values) = patients(trial);
            let covers = |interval: Option<Interval>| interval.is_some_and(|it| it.low <= 5.0 && 5.0 <= it.high);
            by_patient += usize::from(covers(bootstrap(&groups, mean_of(&values), &resampling(trial))));
            let alone: Vec<usize> = (0..values.len()).collect();
            by_record += usize::from(covers(bootstrap(&alone, mean_of(&values), &resampling(trial))));
        }
        let share = |count: usize| count as f64 / trials as f64;
        assert!((0.90..0.98).contains(&share(by_patient)), "coverage by patient {} instead of 0.95", share(by_patient));
        assert!(share(by_record) < 0.85, "by record {}: records of one patient are not independent", share(by_record));
    }

    #[test]
    fn the_same_key_gives_the_same_interval() {
        let (groups, values) = patients(0);
        let draw = |seed| bootstrap(&groups, mean_of(&values), &resampling(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn names_of_groups_do_not_matter() {
        let (groups, values) = patients(0);
        let names: Vec<String> = groups.iter().map(|group| format!("patient {group}")).collect();
        let resampling = resampling(1);
        assert_eq!(bootstrap(&names, mean_of(&values), &resampling), bootstrap(&groups, mean_of(&values), &resampling));
    }

    #[test]
    fn one_group_gives_no_interval() {
        assert_eq!(bootstrap(&["anna"; 50], |_| Some(0.5), &resampling(1)), None);
        assert_eq!(bootstrap::<u64>(&[], |_| Some(0.5), &resampling(1)), None);
    }

    #[test]
    fn an_undefined_statistic_has_no_interval() {
        let groups = [1, 2, 3, 4];
        assert_eq!(bootstrap(&groups, |_| None, &resampling(1)), None);
        assert_eq!(bootstrap(&groups, |_| Some(f64::NAN), &resampling(1)), None);
        // Defined only on all records, and on resamples that have record 0 three times or more (5 % of the resamples).
        let mostly = |records: &[usize]| {
            let whole = records == [0, 1, 2, 3];
            (whole || records.iter().filter(|record| **record == 0).count() >= 3).then_some(1.0)
        };
        assert_eq!(bootstrap(&groups, mostly, &resampling(1)), None);
        // Undefined on resamples without record 0 (a third of the resamples): the other resamples give the interval.
        let sometimes = |records: &[usize]| records.contains(&0).then_some(1.0);
        assert_eq!(bootstrap(&groups, sometimes, &resampling(1)), Some(Interval { value: 1.0, low: 1.0, high: 1.0 }));
    }

    #[test]
    fn invalid_settings_give_no_interval() {
        let groups = [1, 2, 3];
        for level in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            assert_eq!(bootstrap(&groups, |_| Some(1.0), &Resampling { level, ..resampling(1) }), None);
        }
        assert_eq!(bootstrap(&groups, |_| Some(1.0), &Resampling { resamples: 0, ..resampling(1) }), None);
    }

    #[test]
    fn a_paired_difference_has_a_narrower_interval() {
        let (groups, first) = patients(3);
        let second: Vec<f64> = first.iter().map(|value| value - 0.1).collect();
        let width = |it: Interval| it.high - it.low;
        let own = bootstrap(&groups, mean_of(&first), &resampling(1)).unwrap();
        let paired = bootstrap_difference(&groups, mean_of(&first), mean_of(&second), &resampling(1)).unwrap();
        assert!((paired.value - 0.1).abs() < 1e-9 && paired.low > 0.0, "{paired:?}");
        assert!(width(paired) < width(own) / 100.0, "{paired:?} against {own:?}");
    }

    #[test]
    fn quantiles_equal_those_of_numpy() {
        // numpy.quantile([1, 2, 4, 8, 16], [0.025, 0.5, 0.9, 0.975]) = [1.1, 4, 12.8, 15.2]
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (share, expected) in [(0.025, 1.1), (0.5, 4.0), (0.9, 12.8), (0.975, 15.2), (0.0, 1.0), (1.0, 16.0)] {
            assert!((quantile(&sorted, share).unwrap() - expected).abs() < 1e-12);
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.975), Some(3.0));
    }
}
