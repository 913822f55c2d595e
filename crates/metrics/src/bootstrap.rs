//! The fast form of the bootstrap, for scores that are means over records (recall, accuracy): a resample costs one
//! addition a group instead of one a record.

use crate::interval::{Interval, Resampling, numbered};
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
/// For the paired difference of two models give the differences of their values.
///
/// # Panics
/// If `values` and `groups` differ in length.
pub fn bootstrap_mean<G: Eq + Hash>(values: &[Option<f64>], groups: &[G], resampling: &Resampling) -> Option<Interval> {
    bootstrap_mean_of_means(&[Cell { values, groups }], resampling)
}

/// The interval of the mean over cells of the mean in each cell, so that a small gallery weighs as much as a large one.
/// A resample that leaves a cell empty is undefined. `None` as for [`bootstrap`](crate::bootstrap), or where a cell has
/// no value.
///
/// # Panics
/// If a cell's `values` and `groups` differ in length.
pub fn bootstrap_mean_of_means<G: Eq + Hash>(cells: &[Cell<'_, G>], resampling: &Resampling) -> Option<Interval> {
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
    let statistics = resampling.draw(groups, |drawn| score(&mut drawn.iter().copied()));
    resampling.interval(value, statistics)
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
        let large = Cell { values: &[Some(0.0); 6], groups: &[1, 2, 3, 4, 5, 6] };
        let small = Cell { values: &[Some(1.0); 2], groups: &[1, 2] };
        let interval = bootstrap_mean_of_means(&[large, small], &resampling()).unwrap();
        assert_eq!((interval.value, interval.low, interval.high), (0.5, 0.5, 0.5));
    }

    #[test]
    fn a_patient_is_drawn_for_all_cells_at_once() {
        // What patient 1 loses in one cell it gains in the other: drawn together the mean of the two never moves.
        let (zeros_ones, ones_zeros) = ([Some(0.0), Some(1.0)], [Some(1.0), Some(0.0)]);
        let cells = [&zeros_ones, &ones_zeros].map(|values| Cell { values, groups: &["anna", "ben"] });
        let together = bootstrap_mean_of_means(&cells, &resampling()).unwrap();
        assert_eq!((together.low, together.high), (0.5, 0.5));
        let alone = bootstrap_mean(&zeros_ones, &["anna", "ben"], &resampling()).unwrap();
        assert_eq!((alone.low, alone.high), (0.0, 1.0));
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
