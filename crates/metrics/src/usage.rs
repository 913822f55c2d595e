//! Usage of a soft prompt pool. If only 20 of 2,048 prompts are ever selected, the pool has in effect only 20 prompts.

use std::collections::BTreeSet;

use ptu_random::index_of;

/// Counts how often each row of a prompt pool is selected.
///
/// ```
/// let mut usage = ptu_metrics::Usage::new(8);
/// usage.add(&[1, 4]);
/// usage.add(&[4, 1]); // the same set
/// usage.add(&[4, 6]);
/// assert_eq!(usage.share_chosen(), Some(3.0 / 8.0));
/// assert_eq!(usage.most_used(1), [(4, 3)]);
/// assert_eq!(usage.sets_per_thousand(), Some(2.0 / 3.0 * 1_000.0));
/// ```
#[derive(Clone, Debug)]
pub struct Usage {
    counts: Vec<u64>,
    inputs: u64,
    /// Hashes of the distinct sets of selected rows.
    sets: BTreeSet<u64>,
}

impl Usage {
    /// An empty count for a pool of `rows` rows.
    pub fn new(rows: usize) -> Self {
        Self { counts: vec![0; rows], inputs: 0, sets: BTreeSet::new() }
    }

    /// The state of the count, so that counting can be continued later: counts of rows, number of inputs, hashes of the
    /// distinct sets.
    pub fn parts(&self) -> (&[u64], u64, Vec<u64>) {
        (&self.counts, self.inputs, self.sets.iter().copied().collect())
    }

    /// Continues from the state that [`Self::parts`] returned.
    pub fn from_parts(counts: Vec<u64>, inputs: u64, sets: Vec<u64>) -> Self {
        Self { counts, inputs, sets: sets.into_iter().collect() }
    }

    /// Adds the rows that were selected for one input, in any order. Stores a 64-bit hash of each distinct set.
    ///
    /// # Panics
    /// If a row is not in the pool.
    pub fn add(&mut self, chosen: &[usize]) {
        for &row in chosen {
            assert!(row < self.counts.len(), "row {row} is not in a pool of {}", self.counts.len());
            self.counts[row] += 1;
        }
        self.inputs += 1;
        let mut set = chosen.to_vec();
        set.sort_unstable();
        let bytes: Vec<u8> = set.into_iter().flat_map(|row| (row as u64).to_le_bytes()).collect();
        self.sets.insert(index_of(bytes));
    }

    /// Number of inputs counted.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// How often each row was selected.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Share of the rows that were selected at least once, 0 to 1; `None` without inputs or for an empty pool.
    pub fn share_chosen(&self) -> Option<f64> {
        let chosen = self.counts.iter().filter(|count| **count > 0).count();
        (self.inputs > 0 && !self.counts.is_empty()).then(|| chosen as f64 / self.counts.len() as f64)
    }

    /// Entropy in bits of the distribution of selections over the rows: 0 if always the same row is selected, log2(rows) if
    /// all rows are selected equally often. `None` if nothing was selected.
    pub fn entropy_bits(&self) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        let bits = |count: u64| {
            let share = count as f64 / total as f64;
            -share * share.log2()
        };
        (total > 0)
            .then(|| self.counts.iter().filter(|count| **count > 0).map(|count| bits(*count)).sum::<f64>().max(0.0))
    }

    /// Entropy divided by its largest possible value, log2(rows): 0 to 1. `None` if nothing was selected or the pool has
    /// fewer than two rows.
    pub fn normalised_entropy(&self) -> Option<f64> {
        let greatest = (self.counts.len() as f64).log2();
        (self.counts.len() > 1).then(|| self.entropy_bits().map(|bits| bits / greatest))?
    }

    /// Number of distinct sets of selected rows per 1,000 inputs; 1,000 if no two inputs have the same set. It falls as the
    /// number of inputs grows, so compare it only for equal numbers of inputs. `None` without inputs.
    pub fn sets_per_thousand(&self) -> Option<f64> {
        (self.inputs > 0).then(|| self.sets.len() as f64 / self.inputs as f64 * 1_000.0)
    }

    /// The `count` most used rows and how often each was selected, most used first; of equally used rows the lower one comes
    /// first. Only rows that were selected.
    pub fn most_used(&self, count: usize) -> Vec<(usize, u64)> {
        let mut rows: Vec<_> = self.counts.iter().copied().enumerate().filter(|(_, times)| *times > 0).collect();
        rows.sort_by_key(|(row, times)| (std::cmp::Reverse(*times), *row));
        rows.truncate(count);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_continues_from_a_saved_state() {
        let choices = [[1, 4], [4, 1], [4, 6], [0, 2], [2, 0], [1, 6]];
        let mut whole = Usage::new(8);
        choices.iter().for_each(|chosen| whole.add(chosen));
        let mut first = Usage::new(8);
        choices[..3].iter().for_each(|chosen| first.add(chosen));
        let (counts, inputs, sets) = first.parts();
        let mut second = Usage::from_parts(counts.to_vec(), inputs, sets);
        choices[3..].iter().for_each(|chosen| second.add(chosen));
        assert_eq!(second.parts(), whole.parts());
        assert_eq!(whole.sets_per_thousand(), Some(4.0 / 6.0 * 1_000.0));
    }

    fn used(rows: usize, chosen: &[&[usize]]) -> Usage {
        let mut usage = Usage::new(rows);
        chosen.iter().for_each(|chosen| usage.add(chosen));
        usage
    }

    #[test]
    fn entropy_equals_that_of_numpy() {
        // numpy on counts [5, 3, 1, 1, 0, 0]: 1.6854752972273346 bits, 0.6520308502568678 of log2(6).
        let usage = used(6, &[&[0, 1], &[0, 1], &[1, 0], &[0, 2], &[3, 0]]);
        assert_eq!(usage.counts(), [5, 3, 1, 1, 0, 0]);
        assert!((usage.entropy_bits().unwrap() - 1.685_475_297_227_334_6).abs() < 1e-12);
        assert!((usage.normalised_entropy().unwrap() - 0.652_030_850_256_867_8).abs() < 1e-12);
        assert_eq!(usage.share_chosen(), Some(4.0 / 6.0));
        assert_eq!(usage.sets_per_thousand(), Some(600.0), "0 1 and 1 0 are one set");
        assert_eq!(usage.most_used(3), [(0, 5), (1, 3), (2, 1)]);
        assert_eq!(usage.most_used(9).len(), 4, "rows that were never selected are not listed");
    }

    #[test]
    fn entropy_of_extreme_distributions() {
        assert_eq!(used(4, &[&[2], &[2]]).entropy_bits(), Some(0.0));
        assert_eq!(used(4, &[&[0, 1], &[2, 3]]).normalised_entropy(), Some(1.0));
    }

    #[test]
    fn no_pool_or_no_input_is_undefined() {
        let (unused, no_pool) = (Usage::new(4), used(0, &[&[], &[]]));
        for usage in [&unused, &no_pool] {
            assert_eq!((usage.share_chosen(), usage.entropy_bits(), usage.normalised_entropy()), (None, None, None));
            assert!(usage.most_used(3).is_empty());
        }
        assert_eq!(unused.sets_per_thousand(), None);
        assert_eq!((no_pool.inputs(), no_pool.sets_per_thousand()), (2, Some(500.0)));
        assert_eq!(used(1, &[&[0]]).normalised_entropy(), None, "undefined for a pool of one row");
    }

    #[test]
    #[should_panic(expected = "row 4 is not in a pool of 4")]
    fn a_row_outside_the_pool_is_rejected() {
        used(4, &[&[4]]);
    }
}
