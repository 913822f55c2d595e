//! Runs of n tokens and how often they occur.

use std::collections::BTreeMap;

/// How often each run of `n` tokens occurs; ordered, so that sums over it always have the same bits.
pub(super) fn counts<T: Ord>(tokens: &[T], n: usize) -> BTreeMap<&[T], usize> {
    let mut counts = BTreeMap::new();
    tokens.windows(n).for_each(|run| *counts.entry(run).or_insert(0) += 1);
    counts
}
