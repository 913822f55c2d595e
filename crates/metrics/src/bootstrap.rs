//! A fast bootstrap for scores that are means over records (recall, accuracy): a resample needs one addition for each group
//! instead of one for each record.

use crate::interval::{Interval, Resampling, number_groups};
use crate::share::{GroupCounts, effective_sample_size, paired_difference, wilson};
use std::hash::Hash;

/// A part of an evaluation with its own mean, for example one gallery in one direction, or one class.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a, G> {
    /// The score of each record; a record with `None` is not used.
    pub values: &'a [Option<f64>],
    /// The group of each record. The same group in several cells is the same patient and is resampled for all cells together.
    pub groups: &'a [G],
}

/// The confidence interval of a mean over records. `values` are scores of records, as from [`found_at`](crate::found_at) or
/// [`correct`](crate::correct); `groups` has the group of each record. `None` in the same cases as for
/// [`bootstrap`](crate::bootstrap).
///
/// For a proportion (every value is 0 or 1) with fewer than ten groups that have a 1, or fewer than ten that have a 0, the
/// result is Wilson's interval over groups: 0 of 455 found does not mean that the true proportion is exactly 0.
///
/// # Panics
/// If `values` and `groups` differ in length.
pub fn bootstrap_mean<G: Eq + Hash>(values: &[Option<f64>], groups: &[G], resampling: &Resampling) -> Option<Interval> {
    bootstrap_mean_of_means(&[Cell { values, groups }], resampling)
}

/// The confidence interval of the macro average: the mean over cells of the mean in each cell, so that a small gallery weighs
/// as much as a large one. A resample in which a cell is empty is undefined. `None` in the same cases as for
/// [`bootstrap`](crate::bootstrap), or if a cell has no value. For proportions with few groups that have a 1, or a 0, the
/// result is the mean of the cells' Wilson intervals (see [`bootstrap_mean`]); it is as wide as if all cells had the same
/// records.
///
/// # Panics
/// If a cell's `values` and `groups` differ in length.
pub fn bootstrap_mean_of_means<G: Eq + Hash>(cells: &[Cell<'_, G>], resampling: &Resampling) -> Option<Interval> {
    let is_share = cells.iter().flat_map(|cell| cell.values).flatten().all(|value| is_binary(*value));
    mean_interval(cells, is_share, resampling)
}

/// The same; for proportions with few hits or few misses, Wilson's interval.
fn mean_interval<G: Eq + Hash>(cells: &[Cell<'_, G>], is_share: bool, resampling: &Resampling) -> Option<Interval> {
    for cell in cells {
        assert_eq!(cell.values.len(), cell.groups.len(), "each value has a group");
    }
    // Groups without any value are not resampled: they have no records that count.
    let scored = || {
        cells.iter().enumerate().flat_map(|(cell, Cell { values, groups })| {
            values.iter().zip(*groups).filter_map(move |(value, group)| Some((cell, (*value)?, group)))
        })
    };
    let (group_of, groups) = number_groups(scored().map(|(_, _, group)| group));
    if groups < 2 {
        return None;
    }
    let mut sums = vec![Sum::default(); groups * cells.len()];
    for ((cell, value, _), group) in scored().zip(group_of) {
        sums[group * cells.len() + cell].add(Sum { total: value, count: 1 });
    }
    let width = cells.len();
    let score = |drawn: &mut dyn Iterator<Item = usize>| {
        let mut whole = vec![Sum::default(); width];
        for group in drawn {
            let of_group = &sums[group * width..][..width];
            whole.iter_mut().zip(of_group).for_each(|(sum, part)| sum.add(*part));
        }
        mean_of_means(&whole)
    };
    let value = score(&mut (0..groups))?;
    if is_share && group_counts(&sums, cells.len()).is_few() {
        return mean_of_wilson_intervals(value, &sums, cells.len(), resampling.level);
    }
    let statistics = resampling.draw(groups, |drawn| score(&mut drawn.iter().copied()));
    resampling.interval(value, statistics)
}

/// The confidence interval of the mean of `first - second` over the records that both models have a value for; resampling is by
/// group, as in [`bootstrap_mean`]. If both are proportions and fewer than ten groups have a record on which they differ, the
/// interval is computed from Wilson's intervals of the two kinds of disagreement: two models that agree on all of 455 records may
/// still differ on other records.
///
/// # Panics
/// If `first`, `second` and `groups` differ in length.
pub fn bootstrap_mean_difference<G: Eq + Hash>(
    first: &[Option<f64>],
    second: &[Option<f64>],
    groups: &[G],
    resampling: &Resampling,
) -> Option<Interval> {
    assert_eq!(first.len(), second.len(), "both models need a value for each record");
    let differences: Vec<Option<f64>> =
        first.iter().zip(second).map(|(own, other)| Some((*own)? - (*other)?)).collect();
    let is_share = first.iter().chain(second).flatten().all(|value| is_binary(*value));
    let answered = || differences.iter().zip(groups).filter_map(|(value, group)| Some(((*value)?, group)));
    let (group_of, count) = number_groups(answered().map(|(_, group)| group));
    let mut disagree = vec![false; count];
    answered().zip(&group_of).for_each(|((value, _), group)| disagree[*group] |= value != 0.0);
    let counts = GroupCounts { hit: disagree.iter().filter(|differs| **differs).count(), missed: usize::MAX };
    if !(is_share && counts.is_few()) {
        return mean_interval(&[Cell { values: &differences, groups }], false, resampling);
    }
    if count < 2 {
        return None;
    }
    let mut sizes = vec![0usize; count];
    group_of.iter().for_each(|group| sizes[*group] += 1);
    let share = |sign: f64| answered().filter(|(value, _)| *value == sign).count() as f64 / group_of.len() as f64;
    paired_difference((share(1.0), share(-1.0)), effective_sample_size(sizes.into_iter()), resampling)
}

fn is_binary(value: f64) -> bool {
    value == 0.0 || value == 1.0
}

/// Number of groups with a hit, and number of groups with a miss, in any cell; `sums` has all cells of the first group, then
/// all cells of the next group, and so on.
fn group_counts(sums: &[Sum], cells: usize) -> GroupCounts {
    let any = |of: fn(&Sum) -> bool| sums.chunks_exact(cells).filter(|group| group.iter().any(of)).count();
    GroupCounts { hit: any(|sum| sum.total > 0.0), missed: any(|sum| sum.total < sum.count as f64) }
}

/// The mean of the Wilson intervals of the cells. `None` if the level is outside (0, 1).
fn mean_of_wilson_intervals(value: f64, sums: &[Sum], cells: usize, level: f64) -> Option<Interval> {
    let (mut low, mut high) = (0.0, 0.0);
    for cell in 0..cells {
        let of_cell = || sums.iter().skip(cell).step_by(cells);
        let (total, count) = of_cell().fold((0.0, 0), |(total, count), sum| (total + sum.total, count + sum.count));
        let draws = effective_sample_size(of_cell().map(|sum| sum.count));
        let (cell_low, cell_high) = wilson(total / count as f64, draws, level)?;
        (low, high) = (low + cell_low / cells as f64, high + cell_high / cells as f64);
    }
    Some(Interval { value, low, high })
}

/// Sum and number of values.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    total: f64,
    count: usize,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.total += other.total;
        self.count += other.count;
    }
}

/// Mean over cells of the mean in each cell; `None` if a cell is empty.
fn mean_of_means(cells: &[Sum]) -> Option<f64> {
    let mut total = 0.0;
    for cell in cells {
        total += (cell.count > 0).then(|| cell.total / cell.count as f64)?;
    }
    Some(total / cells.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_random::{Key, Place};

    fn resampling() -> Resampling {
        Resampling { resamples: 500, ..Resampling::new(Key::new(5)) }
    }

    /// Values of 0 or 1 for 100 records of 30 patients; some records have no value.
    fn records() -> (Vec<Option<f64>>, Vec<u64>) {
        let mut stream = Key::new(6).stream(Place::Sample, 0);
        (0..100)
            .map(|record| {
                let value = f64::from(u8::from(stream.chance(0.4)));
                ((record % 9 != 0).then_some(value), stream.below(30) as u64)
            })
            .unzip()
    }

    #[test]
    fn the_fast_bootstrap_equals_the_general_one() {
        let (values, groups) = records();
        let (scored, groups_scored): (Vec<f64>, Vec<u64>) =
            values.iter().zip(&groups).filter_map(|(value, group)| Some(((*value)?, *group))).unzip();
        let mean = |records: &[usize]| Some(records.iter().map(|r| scored[*r]).sum::<f64>() / records.len() as f64);
        let general = crate::bootstrap(&groups_scored, mean, &resampling());
        assert!(general.is_some_and(|it| it.low < it.value && it.value < it.high));
        assert_eq!(bootstrap_mean(&values, &groups, &resampling()), general);
    }

    #[test]
    fn all_cells_have_the_same_weight() {
        let large = Cell { values: &[Some(2.0); 6], groups: &[1, 2, 3, 4, 5, 6] };
        let small = Cell { values: &[Some(3.0); 2], groups: &[1, 2] };
        let interval = bootstrap_mean_of_means(&[large, small], &resampling()).unwrap();
        assert_eq!((interval.value, interval.low, interval.high), (2.5, 2.5, 2.5));
    }

    #[test]
    fn a_patient_is_resampled_for_all_cells_together() {
        // A patient that is bad in one cell is equally good in the other. Resampled together, the mean of both cells is constant.
        let (up_down, down_up) = ([Some(0.0), Some(4.0)], [Some(4.0), Some(0.0)]);
        let cells = [&up_down, &down_up].map(|values| Cell { values, groups: &["anna", "ben"] });
        let together = bootstrap_mean_of_means(&cells, &resampling()).unwrap();
        assert_eq!((together.low, together.high), (2.0, 2.0));
        let alone = bootstrap_mean(&up_down, &["anna", "ben"], &resampling()).unwrap();
        assert_eq!((alone.low, alone.high), (0.0, 4.0));
    }

    /// A case from a bug report: no hit among 455 records of 455 patients, with a chance level of 1 in 455.
    #[test]
    fn an_observed_zero_has_an_upper_limit_above_zero() {
        let patients: Vec<u32> = (0..455).collect();
        let none = bootstrap_mean(&[Some(0.0); 455], &patients, &resampling()).unwrap();
        assert_eq!((none.value, none.low), (0.0, 0.0));
        assert!(none.high > 1.0 / 455.0 && none.high < 0.01, "{none:?}");
        let all = bootstrap_mean(&[Some(1.0); 455], &patients, &resampling()).unwrap();
        assert_eq!((all.value, all.high), (1.0, 1.0));
        assert!((1.0 - all.low - none.high).abs() < 1e-12, "{all:?}");
        // With more hits, the limits rise, up to the number of hits from which the bootstrap is used.
        let mut last = none.high;
        for hits in 1..10 {
            let values: Vec<_> = (0..455).map(|record| Some(f64::from(u8::from(record < hits)))).collect();
            let some = bootstrap_mean(&values, &patients, &resampling()).unwrap();
            assert!(some.low > 0.0 && some.high > last, "{hits}: {some:?} after {last}");
            last = some.high;
        }
    }

    #[test]
    fn ten_records_of_one_patient_do_not_count_as_ten_patients() {
        let patients: Vec<u32> = (0..100).map(|record| record / 10).collect();
        let alike = bootstrap_mean(&[Some(0.0); 100], &patients, &resampling()).unwrap();
        let ten = bootstrap_mean(&[Some(0.0); 10], &(0..10).collect::<Vec<_>>(), &resampling()).unwrap();
        assert_eq!(alike, ten);
        // One gallery in two directions has the same interval as in one direction.
        let cell = Cell { values: &[Some(0.0); 100], groups: &patients };
        let two = bootstrap_mean_of_means(&[cell, cell], &resampling()).unwrap();
        assert!((two.high - ten.high).abs() < 1e-12);
    }

    #[test]
    fn equal_models_have_an_interval_wider_than_zero() {
        let patients: Vec<u32> = (0..455).collect();
        let values = [Some(1.0); 455];
        let equal = bootstrap_mean_difference(&values, &values, &patients, &resampling()).unwrap();
        assert!(equal.value == 0.0 && equal.low < 0.0 && equal.high > 0.0, "{equal:?}");
        let other: Vec<_> = (0..455).map(|record| Some(f64::from(u8::from(record >= 60)))).collect();
        let many = bootstrap_mean_difference(&values, &other, &patients, &resampling()).unwrap();
        assert!(many.low > 0.09 && many.high < 0.18, "{many:?}");
        let (values, other) = ([Some(2.5); 455], [Some(1.0); 455]);
        let plain = bootstrap_mean_difference(&values, &other, &patients, &resampling()).unwrap();
        assert_eq!((plain.low, plain.high), (1.5, 1.5));
        assert_eq!(bootstrap_mean_difference(&values[..2], &other[..2], &[1, 1], &resampling()), None);
    }

    #[test]
    fn too_little_data_gives_no_interval() {
        assert_eq!(bootstrap_mean(&[Some(1.0), Some(0.0)], &["anna", "anna"], &resampling()), None);
        assert_eq!(bootstrap_mean(&[Some(1.0), None], &["anna", "ben"], &resampling()), None);
        assert_eq!(bootstrap_mean::<u64>(&[], &[], &resampling()), None);
        let empty = Cell { values: &[None, None], groups: &[1, 2] };
        let full = Cell { values: &[Some(1.0), Some(0.0)], groups: &[1, 2] };
        assert_eq!(bootstrap_mean_of_means(&[full, empty], &resampling()), None);
        assert_eq!(bootstrap_mean_of_means::<u64>(&[], &resampling()), None);
    }

    #[test]
    #[should_panic(expected = "each value has a group")]
    fn each_value_needs_a_group() {
        bootstrap_mean(&[Some(1.0)], &[1, 2], &resampling());
    }
}
