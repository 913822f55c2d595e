//! The fast form of the bootstrap, for scores that are means over records (recall, accuracy): a resample costs one
//! addition a group instead of one a record.

use crate::interval::{Interval, Resampling, numbered};
use crate::share::{Tally, difference, effective, wilson};
use std::hash::Hash;

/// A part of an evaluation with a mean of its own: one gallery in one direction, one class.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a, G> {
    /// The score of each record; `None` where it has none, which leaves the record out.
    pub values: &'a [Option<f64>],
    /// The group of each record. The same group in several cells is the same patient and is drawn for all of them.
    pub groups: &'a [G],
}

/// The interval of a mean over records, `values` as from [`found_at`](crate::found_at) or
/// [`correct`](crate::correct), `groups` naming each record's group. `None` as for [`bootstrap`](crate::bootstrap).
///
/// Of a share (every value 0 or 1) that fewer than ten groups hit, or miss, it is Wilson's interval over groups: none found of
/// 455 is not a share of exactly 0.
///
/// # Panics
/// If `values` and `groups` differ in length.
pub fn bootstrap_mean<G: Eq + Hash>(values: &[Option<f64>], groups: &[G], resampling: &Resampling) -> Option<Interval> {
    bootstrap_mean_of_means(&[Cell { values, groups }], resampling)
}

/// The interval of the mean over cells of the mean in each cell, so that a small gallery weighs as much as a large one.
/// A resample that leaves a cell empty is undefined. `None` as for [`bootstrap`](crate::bootstrap), or where a cell has
/// no value. Where groups that hit, or miss, are few, it is the mean of the cells' intervals as of [`bootstrap_mean`]: so wide
/// as if the cells said the same.
///
/// # Panics
/// If a cell's `values` and `groups` differ in length.
pub fn bootstrap_mean_of_means<G: Eq + Hash>(cells: &[Cell<'_, G>], resampling: &Resampling) -> Option<Interval> {
    let is_share = cells.iter().flat_map(|cell| cell.values).flatten().all(|value| is_binary(*value));
    drawn(cells, is_share, resampling)
}

/// The same; of shares Wilson's interval where hits or misses are few.
fn drawn<G: Eq + Hash>(cells: &[Cell<'_, G>], is_share: bool, resampling: &Resampling) -> Option<Interval> {
    for cell in cells {
        assert_eq!(cell.values.len(), cell.groups.len(), "each value has a group");
    }
    // Groups without any value are not drawn: they would only stand for records that do not count.
    let scored = || {
        cells.iter().enumerate().flat_map(|(cell, Cell { values, groups })| {
            values.iter().zip(*groups).filter_map(move |(value, group)| Some((cell, (*value)?, group)))
        })
    };
    let (group_of, groups) = numbered(scored().map(|(_, _, group)| group));
    if groups < 2 {
        return None;
    }
    let mut sums = vec![Sum::default(); groups * cells.len()];
    for ((cell, value, _), group) in scored().zip(group_of) {
        sums[group * cells.len() + cell].add(Sum { total: value, count: 1 });
    }
    let mut whole = vec![Sum::default(); cells.len()];
    let mut score = |drawn: &mut dyn Iterator<Item = usize>| {
        whole.fill(Sum::default());
        for group in drawn {
            let of_group = &sums[group * cells.len()..][..cells.len()];
            whole.iter_mut().zip(of_group).for_each(|(sum, part)| sum.add(*part));
        }
        mean_of_means(&whole)
    };
    let value = score(&mut (0..groups))?;
    if is_share && tally(&sums, cells.len()).is_few() {
        return few(value, &sums, cells.len(), resampling.level);
    }
    let statistics = resampling.draw(groups, |drawn| score(&mut drawn.iter().copied()));
    resampling.interval(value, statistics)
}

/// The interval of the mean of `first - second` over records that both models answered, drawn by group as
/// [`bootstrap_mean`] draws. Where both are shares and fewer than ten groups hold an answer on which they differ, it is made of
/// Wilson's intervals of the two kinds of disagreement: two models that agree on all of 455 records may still differ elsewhere.
///
/// # Panics
/// If the three differ in length.
pub fn bootstrap_mean_difference<G: Eq + Hash>(
    first: &[Option<f64>],
    second: &[Option<f64>],
    groups: &[G],
    resampling: &Resampling,
) -> Option<Interval> {
    assert_eq!(first.len(), second.len(), "both answered the same questions");
    let differences: Vec<Option<f64>> =
        first.iter().zip(second).map(|(own, other)| Some((*own)? - (*other)?)).collect();
    let is_share = first.iter().chain(second).flatten().all(|value| is_binary(*value));
    let answered = || differences.iter().zip(groups).filter_map(|(value, group)| Some(((*value)?, group)));
    let (group_of, count) = numbered(answered().map(|(_, group)| group));
    let mut disagree = vec![false; count];
    answered().zip(&group_of).for_each(|((value, _), group)| disagree[*group] |= value != 0.0);
    let tally = Tally { hit: disagree.iter().filter(|differs| **differs).count(), missed: usize::MAX };
    if !(is_share && tally.is_few()) {
        return drawn(&[Cell { values: &differences, groups }], false, resampling);
    }
    if count < 2 {
        return None;
    }
    let mut sizes = vec![0usize; count];
    group_of.iter().for_each(|group| sizes[*group] += 1);
    let share = |sign: f64| answered().filter(|(value, _)| *value == sign).count() as f64 / group_of.len() as f64;
    difference((share(1.0), share(-1.0)), effective(sizes.into_iter()), resampling)
}

fn is_binary(value: f64) -> bool {
    value == 0.0 || value == 1.0
}

/// How many groups hit, and how many miss, in any cell; `sums` holds each group's cells, one behind the other.
fn tally(sums: &[Sum], cells: usize) -> Tally {
    let any = |of: fn(&Sum) -> bool| sums.chunks_exact(cells).filter(|group| group.iter().any(of)).count();
    Tally { hit: any(|sum| sum.total > 0.0), missed: any(|sum| sum.total < sum.count as f64) }
}

/// The mean of the cells' intervals by Wilson. `None` for a level outside (0, 1).
fn few(value: f64, sums: &[Sum], cells: usize, level: f64) -> Option<Interval> {
    let (mut low, mut high) = (0.0, 0.0);
    for cell in 0..cells {
        let of_cell = || sums.iter().skip(cell).step_by(cells);
        let (total, count) = of_cell().fold((0.0, 0), |(total, count), sum| (total + sum.total, count + sum.count));
        let draws = effective(of_cell().map(|sum| sum.count));
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

/// `None` where a cell is empty.
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

    /// 0 and 1 for 100 records of 30 patients, some without a value.
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
    fn the_fast_form_equals_the_general_one() {
        let (values, groups) = records();
        let (scored, groups_scored): (Vec<f64>, Vec<u64>) =
            values.iter().zip(&groups).filter_map(|(value, group)| Some(((*value)?, *group))).unzip();
        let mean = |records: &[usize]| Some(records.iter().map(|r| scored[*r]).sum::<f64>() / records.len() as f64);
        let general = crate::bootstrap(&groups_scored, mean, &resampling());
        assert!(general.is_some_and(|it| it.low < it.value && it.value < it.high));
        assert_eq!(bootstrap_mean(&values, &groups, &resampling()), general);
    }

    #[test]
    fn cells_weigh_the_same_whatever_their_size() {
        let large = Cell { values: &[Some(2.0); 6], groups: &[1, 2, 3, 4, 5, 6] };
        let small = Cell { values: &[Some(3.0); 2], groups: &[1, 2] };
        let interval = bootstrap_mean_of_means(&[large, small], &resampling()).unwrap();
        assert_eq!((interval.value, interval.low, interval.high), (2.5, 2.5, 2.5));
    }

    #[test]
    fn a_patient_is_drawn_for_all_cells_at_once() {
        // What patient 1 loses in one cell it gains in the other: drawn together the mean of the two never moves.
        let (up_down, down_up) = ([Some(0.0), Some(4.0)], [Some(4.0), Some(0.0)]);
        let cells = [&up_down, &down_up].map(|values| Cell { values, groups: &["anna", "ben"] });
        let together = bootstrap_mean_of_means(&cells, &resampling()).unwrap();
        assert_eq!((together.low, together.high), (2.0, 2.0));
        let alone = bootstrap_mean(&up_down, &["anna", "ben"], &resampling()).unwrap();
        assert_eq!((alone.low, alone.high), (0.0, 4.0));
    }

    /// The case: no hit among 455 records of as many patients, and a chance of 1 in 455.
    #[test]
    fn none_of_many_is_not_exactly_none() {
        let patients: Vec<u32> = (0..455).collect();
        let none = bootstrap_mean(&[Some(0.0); 455], &patients, &resampling()).unwrap();
        assert_eq!((none.value, none.low), (0.0, 0.0));
        assert!(none.high > 1.0 / 455.0 && none.high < 0.01, "{none:?}");
        let all = bootstrap_mean(&[Some(1.0); 455], &patients, &resampling()).unwrap();
        assert_eq!((all.value, all.high), (1.0, 1.0));
        assert!((1.0 - all.low - none.high).abs() < 1e-12, "{all:?}");
        // More hits, higher limits, up to where the bootstrap takes over.
        let mut last = none.high;
        for hits in 1..10 {
            let values: Vec<_> = (0..455).map(|record| Some(f64::from(u8::from(record < hits)))).collect();
            let some = bootstrap_mean(&values, &patients, &resampling()).unwrap();
            assert!(some.low > 0.0 && some.high > last, "{hits}: {some:?} after {last}");
            last = some.high;
        }
    }

    #[test]
    fn ten_records_of_a_patient_are_not_ten_patients() {
        let patients: Vec<u32> = (0..100).map(|record| record / 10).collect();
        let alike = bootstrap_mean(&[Some(0.0); 100], &patients, &resampling()).unwrap();
        let ten = bootstrap_mean(&[Some(0.0); 10], &(0..10).collect::<Vec<_>>(), &resampling()).unwrap();
        assert_eq!(alike, ten);
        // One gallery in two directions is as sure as one.
        let cell = Cell { values: &[Some(0.0); 100], groups: &patients };
        let two = bootstrap_mean_of_means(&[cell, cell], &resampling()).unwrap();
        assert!((two.high - ten.high).abs() < 1e-12);
    }

    #[test]
    fn models_that_agree_may_still_differ_elsewhere() {
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
    fn what_cannot_be_known_is_undefined() {
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
    fn values_without_groups_are_our_bug() {
        bootstrap_mean(&[Some(1.0)], &[1, 2], &resampling());
    }
}
