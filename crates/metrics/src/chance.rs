//! Chance level of retrieval scores: the expected score if the gallery is in a random order.

/// Expected R@k for a random order. For a query with `h` right answers among `n` items, this is the probability that at least
/// one of them is among the first `k` items (hypergeometric distribution), averaged over the queries with a right answer.
/// `None` if no query has one.
///
/// The probability is exact up to rounding, for galleries of any size. It is computed as a sum of logarithms of at most
/// `min(k, h)` factors, without factorials and without differences of nearly equal numbers.
pub fn chance_recall_at(k: usize, gallery: usize, hits_per_query: &[usize]) -> Option<f64> {
    ChanceCurve::new(gallery, hits_per_query)?.at(k)
}

/// Median rank (from 1) of the best hit for a random order, over the queries with a right answer; ranks are counted as in
/// [`median_rank`](crate::median_rank). `None` if no query has a right answer.
pub fn chance_median_rank(gallery: usize, hits_per_query: &[usize]) -> Option<f64> {
    // The median is the middle between the first rank with at least half of the probability and the first rank with more than
    // half: for four equally likely ranks it is 2.5. The margin prevents rounding errors from changing these two ranks.
    const MARGIN: f64 = 1e-9;
    let curve = ChanceCurve::new(gallery, hits_per_query)?;
    let (low, high) = (curve.first_above(0.5 - MARGIN)?, curve.first_above(0.5 + MARGIN)?);
    Some((low + high) as f64 / 2.0)
}

/// Expected mean reciprocal rank for a random order, over the queries with a right answer; ranks are counted as in
/// [`mean_reciprocal_rank`](crate::mean_reciprocal_rank). `None` if no query has one.
pub fn chance_mean_reciprocal_rank(gallery: usize, hits_per_query: &[usize]) -> Option<f64> {
    let curve = ChanceCurve::new(gallery, hits_per_query)?;
    let queries: usize = curve.queries_by_hits.iter().map(|(_, queries)| queries).sum();
    let sum: f64 = curve
        .queries_by_hits
        .iter()
        .map(|&(hits, queries)| expected_reciprocal_rank(gallery, hits) * queries as f64)
        .sum();
    Some(sum / queries as f64)
}

/// Expected 1 / rank of the first of `hits` items in a random order of `gallery` items: the sum over all ranks of the probability
/// of this rank, divided by the rank. Each probability follows from the one before.
fn expected_reciprocal_rank(gallery: usize, hits: usize) -> f64 {
    let (all, right) = (gallery as f64, hits as f64);
    let (mut probability, mut expected) = (right / all, 0.0);
    for rank in 1..=gallery - hits + 1 {
        let rank = rank as f64;
        expected += probability / rank;
        // Not reached by the last rank, whose successor has the probability 0.
        probability *= (all - right - rank + 1.0) / (all - rank).max(1.0);
    }
    expected
}

/// Expected R@k as a function of k. Queries with the same number of hits are computed once.
struct ChanceCurve {
    gallery: usize,
    /// (number of hits, number of queries with this many hits).
    queries_by_hits: Vec<(usize, usize)>,
}

impl ChanceCurve {
    fn new(gallery: usize, hits_per_query: &[usize]) -> Option<Self> {
        let mut hits: Vec<usize> = hits_per_query.iter().map(|hits| (*hits).min(gallery)).filter(|h| *h > 0).collect();
        hits.sort_unstable();
        let queries_by_hits: Vec<_> = hits.chunk_by(|a, b| a == b).map(|equal| (equal[0], equal.len())).collect();
        (!queries_by_hits.is_empty()).then_some(Self { gallery, queries_by_hits })
    }

    fn at(&self, k: usize) -> Option<f64> {
        let queries: usize = self.queries_by_hits.iter().map(|(_, queries)| queries).sum();
        let found: f64 = self
            .queries_by_hits
            .iter()
            .map(|&(hits, queries)| hit_probability(k, self.gallery, hits) * queries as f64)
            .sum();
        (queries > 0).then(|| found / queries as f64)
    }

    /// The smallest k in 1..=gallery with an expected R@k above `share`. The expected R@k grows with k and is 1 for k = gallery.
    fn first_above(&self, share: f64) -> Option<usize> {
        let (mut low, mut high) = (1, self.gallery);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.at(middle)? > share { high = middle } else { low = middle + 1 }
        }
        Some(low)
    }
}

/// Probability that at least one of `hits` items is among `k` items sampled without replacement from `gallery` items.
fn hit_probability(k: usize, gallery: usize, hits: usize) -> f64 {
    if k.saturating_add(hits) > gallery {
        return if k == 0 || hits == 0 { 0.0 } else { 1.0 };
    }
    // P(no hit) is the product of (n - h - i) / (n - i) over the k draws. It also is the product of (n - k - i) / (n - i)
    // over the h hits. The shorter product is used.
    let (smaller, larger) = (k.min(hits), k.max(hits));
    let log_none: f64 = (0..smaller).map(|drawn| (-(larger as f64) / (gallery - drawn) as f64).ln_1p()).sum();
    -log_none.exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_random::{Key, Place};

    #[test]
    fn chance_equals_scipy_and_exact_fractions() {
        // The first three values are from scipy.stats.hypergeom.sf(0, n, h, k) 1.17.1. The last two are from exact fractions,
        // because there scipy, which uses logarithms of factorials, is wrong in the seventh digit.
        for (k, gallery, hits, expected) in [
            (10, 200, 1, 0.05),
            (10, 200, 7, 0.305_598_811_617_733_56),
            (5, 50, 40, 0.999_881_062_508_259_6),
            (10, 1_000_000, 3, 2.999_973_000_045e-5),
            (1_000, 1_000_000_000, 20, 1.999_981_019_113_638_8e-5),
        ] {
            let chance = chance_recall_at(k, gallery, &[hits]).unwrap();
            assert!((chance / expected - 1.0).abs() < 1e-12, "k {k}, n {gallery}, h {hits}: {chance} for {expected}");
        }
    }

    #[test]
    fn extreme_cases_are_exact() {
        assert_eq!(chance_recall_at(0, 10, &[3]), Some(0.0));
        assert_eq!(chance_recall_at(10, 10, &[1]), Some(1.0));
        assert_eq!(chance_recall_at(usize::MAX, 10, &[1]), Some(1.0));
        assert_eq!(chance_recall_at(8, 10, &[3]), Some(1.0), "7 wrong items cannot fill the first 8 ranks");
        assert!(chance_recall_at(7, 10, &[3]).unwrap() < 1.0);
        assert_eq!(chance_recall_at(1, 10, &[99]), Some(1.0), "with more hits than items, every item is a hit");
    }

    #[test]
    fn queries_without_a_right_answer_are_not_used() {
        assert_eq!(chance_recall_at(1, 4, &[1, 0, 2, 1]), Some(1.0 / 3.0));
        assert_eq!(chance_recall_at(1, 4, &[0, 0]), None);
        assert_eq!(chance_recall_at(1, 0, &[1]), None);
        assert_eq!(chance_median_rank(4, &[]), None);
    }

    #[test]
    fn the_median_of_uniform_ranks_is_the_middle() {
        assert_eq!(chance_median_rank(200, &[1; 200]), Some(100.5));
        assert_eq!(chance_median_rank(201, &[1; 3]), Some(101.0));
        assert_eq!(chance_median_rank(10, &[10]), Some(1.0));
    }

    #[test]
    fn the_expected_reciprocal_rank_is_that_of_all_orders() {
        // Python's fractions, over all orders: of 3 items with one hit (1 + 1/2 + 1/3) / 3; of 4 items with two hits
        // (3 * 1 + 2 * 1/2 + 1 * 1/3) / 6.
        for (gallery, hits, expected) in [(3, 1, 11.0 / 18.0), (4, 2, 13.0 / 18.0), (5, 5, 1.0), (1, 1, 1.0)] {
            let found = chance_mean_reciprocal_rank(gallery, &[hits, 0]).unwrap();
            assert!((found - expected).abs() < 1e-12, "{gallery} items, {hits} hits: {found}");
        }
        assert_eq!(chance_mean_reciprocal_rank(4, &[0]), None);
    }

    #[test]
    fn chance_equals_the_mean_over_random_orders() {
        let (gallery, hits) = (30, [1, 4, 4, 9]);
        let mut stream = Key::new(3).stream(Place::Sample, 0);
        let mut items: Vec<usize> = (0..gallery).collect();
        let ranks: Vec<Option<usize>> = (0..40_000)
            .map(|trial| {
                stream.shuffle(&mut items);
                items.iter().position(|item| *item < hits[trial % 4])
            })
            .collect();
        let observed = crate::recall_at(5, &ranks).unwrap();
        let expected = chance_recall_at(5, gallery, &hits).unwrap();
        assert!((observed - expected).abs() < 0.01, "{observed} observed, {expected} expected");
        assert_eq!(crate::median_rank(&ranks), chance_median_rank(gallery, &hits));
        let observed = crate::mean_reciprocal_rank(&ranks).unwrap();
        let expected = chance_mean_reciprocal_rank(gallery, &hits).unwrap();
        assert!((observed - expected).abs() < 0.01, "{observed} observed, {expected} expected");
    }
}
