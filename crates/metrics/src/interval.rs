//! Percentile bootstrap intervals by group: patients are drawn with replacement, all records of a patient together.
//!
//! Records of one patient resemble each other, so drawing records alone would give intervals that are too narrow.
//! Known limit: with few groups (below about 20) percentile intervals cover somewhat less than their level.

use ptu_random::{Key, Place};
use std::collections::HashMap;
use std::hash::Hash;

/// A score and the interval it is believed to lie in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The score on all records.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How an interval is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// Number of resamples.
    pub resamples: usize,
    /// Share of resamples that lie in the interval, above 0 and below 1.
    pub level: f64,
    /// Names the draws: the same key gives the same interval.
    pub key: Key,
}

impl Resampling {
    /// 95 % from 2,000 resamples.
    pub fn new(key: Key) -> Self {
        Self { resamples: 2_000, level: 0.95, key }
    }

    /// The groups of each resample, `groups` of them drawn from `0..groups`, handed to `each`; its results in order.
    ///
    /// A resample is a pure function of the key and its number, so two statistics see the same resamples.
    pub(crate) fn draw(&self, groups: usize, mut each: impl FnMut(&[usize]) -> Option<f64>) -> Vec<Option<f64>> {
        let mut drawn = vec![0; groups];
        (0..self.resamples)
            .map(|resample| {
                let mut stream = self.key.stream(Place::Bootstrap, resample as u64);
                drawn.iter_mut().for_each(|group| *group = stream.below(groups));
                each(&drawn)
            })
            .collect()
    }

    /// The interval around `value` from the statistic of each resample.
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

/// The interval of any statistic of records; `groups` names each record's group, `statistic` gets record indices (with
/// repeats) and gives the score on them.
///
/// `None` where there are fewer than two groups, where the statistic is undefined on all records or on half of the
/// resamples, and for no resamples or a level outside (0, 1). Resamples where it is undefined are left out.
pub fn bootstrap<G: Eq + Hash>(
    groups: &[G],
    statistic: impl Fn(&[usize]) -> Option<f64>,
    resampling: &Resampling,
) -> Option<Interval> {
    let (group_of, count) = numbered(groups);
    if count < 2 {
        return None;
    }
    let value = statistic(&(0..groups.len()).collect::<Vec<_>>())?;
    let mut members = vec![Vec::new(); count];
    group_of.iter().enumerate().for_each(|(record, &group)| members[group].push(record));
    let mut records = Vec::with_capacity(groups.len());
    let statistics = resampling.draw(count, |drawn| {
        records.clear();
        drawn.iter().for_each(|&group| records.extend_from_slice(&members[group]));
        statistic(&records)
    });
    resampling.interval(value, statistics)
}

/// The interval of `first - second`, both scored on the same resamples: whether one model beats another on the same
/// records shows far sooner so than in two intervals of their own. `None` as for [`bootstrap`].
pub fn bootstrap_difference<G: Eq + Hash>(
    groups: &[G],
    first: impl Fn(&[usize]) -> Option<f64>,
    second: impl Fn(&[usize]) -> Option<f64>,
    resampling: &Resampling,
) -> Option<Interval> {
    bootstrap(groups, |records| Some(first(records)? - second(records)?), resampling)
}

/// Numbers groups from 0 in the order they first appear, so that draws do not depend on a hash; and how many there are.
pub(crate) fn numbered<'a, G: Eq + Hash + 'a>(groups: impl IntoIterator<Item = &'a G>) -> (Vec<usize>, usize) {
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

/// The value below which `share` of the sorted values lie, linear between neighbours (the default of `numpy.quantile`).
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (*sorted.get(place.floor() as usize)?, *sorted.get(place.ceil() as usize)?);
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(values: &[f64]) -> impl Fn(&[usize]) -> Option<f64> {
        |records| (!records.is_empty()).then(|| records.iter().map(|r| values[*r]).sum::<f64>() / records.len() as f64)
    }

    fn few(seed: u64) -> Resampling {
        Resampling { resamples: 300, ..Resampling::new(Key::new(seed)) }
    }

    /// 40 patients with three records each: a patient's own level (deviation 1) and noise (deviation 0.3); the mean is 5.
    fn patients(trial: u64) -> (Vec<u64>, Vec<f64>) {
        let mut stream = Key::new(99).stream(Place::Sample, trial);
        let records = (0..40u64).flat_map(|patient| {
            let level = 5.0 + stream.normal();
            [0; 3].map(|_| (patient, level + 0.3 * stream.normal()))
        });
        records.collect::<Vec<_>>().into_iter().unzip()
    }

    #[test]
    fn intervals_by_patient_cover_the_mean_as_often_as_they_say() {
        let (trials, mut by_patient, mut by_record) = (400, 0, 0);
        for trial in 0..trials {
            let (groups, values) = patients(trial);
            let covers = |interval: Option<Interval>| interval.is_some_and(|it| it.low <= 5.0 && 5.0 <= it.high);
            by_patient += usize::from(covers(bootstrap(&groups, mean_of(&values), &few(trial))));
            let alone: Vec<usize> = (0..values.len()).collect();
            by_record += usize::from(covers(bootstrap(&alone, mean_of(&values), &few(trial))));
        }
        let share = |count: usize| count as f64 / trials as f64;
        assert!((0.90..0.98).contains(&share(by_patient)), "by patient {} of 0.95", share(by_patient));
        assert!(share(by_record) < 0.85, "by record {}: records of one patient are not independent", share(by_record));
    }

    #[test]
    fn the_same_key_gives_the_same_interval() {
        let (groups, values) = patients(0);
        let draw = |seed| bootstrap(&groups, mean_of(&values), &few(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn names_of_groups_do_not_matter() {
        let (groups, values) = patients(0);
        let names: Vec<String> = groups.iter().map(|group| format!("patient {group}")).collect();
        let resampling = few(1);
        assert_eq!(bootstrap(&names, mean_of(&values), &resampling), bootstrap(&groups, mean_of(&values), &resampling));
    }

    #[test]
    fn one_group_tells_nothing_of_other_groups() {
        assert_eq!(bootstrap(&["anna"; 50], |_| Some(0.5), &few(1)), None);
        assert_eq!(bootstrap::<u64>(&[], |_| Some(0.5), &few(1)), None);
    }

    #[test]
    fn an_undefined_statistic_has_no_interval() {
        let groups = [1, 2, 3, 4];
        assert_eq!(bootstrap(&groups, |_| None, &few(1)), None);
        assert_eq!(bootstrap(&groups, |_| Some(f64::NAN), &few(1)), None);
        // Defined only where record 0 was drawn three times or more (5 % of the resamples), and on all records.
        let mostly = |records: &[usize]| {
            let whole = records == [0, 1, 2, 3];
            (whole || records.iter().filter(|record| **record == 0).count() >= 3).then_some(1.0)
        };
        assert_eq!(bootstrap(&groups, mostly, &few(1)), None);
        // Undefined where record 0 was not drawn (a third of the resamples): the rest make the interval.
        let sometimes = |records: &[usize]| records.contains(&0).then_some(1.0);
        assert_eq!(bootstrap(&groups, sometimes, &few(1)), Some(Interval { value: 1.0, low: 1.0, high: 1.0 }));
    }

    #[test]
    fn senseless_settings_have_no_interval() {
        let groups = [1, 2, 3];
        for level in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            assert_eq!(bootstrap(&groups, |_| Some(1.0), &Resampling { level, ..few(1) }), None);
        }
        assert_eq!(bootstrap(&groups, |_| Some(1.0), &Resampling { resamples: 0, ..few(1) }), None);
    }

    #[test]
    fn a_paired_difference_is_sharper_than_two_intervals() {
        let (groups, first) = patients(3);
        let second: Vec<f64> = first.iter().map(|value| value - 0.1).collect();
        let width = |it: Interval| it.high - it.low;
        let own = bootstrap(&groups, mean_of(&first), &few(1)).unwrap();
        let paired = bootstrap_difference(&groups, mean_of(&first), mean_of(&second), &few(1)).unwrap();
        assert!((paired.value - 0.1).abs() < 1e-9 && paired.low > 0.0, "{paired:?}");
        assert!(width(paired) < width(own) / 100.0, "{paired:?} against {own:?}");
    }

    #[test]
    fn quantiles_as_numpy_has_them() {
        // numpy.quantile([1, 2, 4, 8, 16], [0.025, 0.5, 0.9, 0.975]) = [1.1, 4, 12.8, 15.2]
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (share, expected) in [(0.025, 1.1), (0.5, 4.0), (0.9, 12.8), (0.975, 15.2), (0.0, 1.0), (1.0, 16.0)] {
            assert!((quantile(&sorted, share).unwrap() - expected).abs() < 1e-12);
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.975), Some(3.0));
    }
}
