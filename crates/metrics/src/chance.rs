//! What a model that knows nothing would score: the gallery in a random order.

/// R@k expected of a random order: for a query with `h` hits among `n` items the probability that at least one is among
/// the best `k` (hypergeometric), averaged over the queries that have a hit. `None` where none has.
///
/// The probability is exact to rounding, for galleries of any size: it is a sum of logarithms of at most `min(k, h)`
/// factors, without factorials and without a difference of near-equal numbers.
pub fn chance_recall_at(k: usize, gallery: usize, hits_per_query: &[usize]) -> Option<f64> {
    Curve::new(gallery, hits_per_query)?.at(k)
}

/// Median rank (from 1) of the best hit expected of a random order, over the queries that have a hit; counted as
/// [`median_rank`](crate::median_rank) counts. `None` where none has.
pub fn chance_median_rank(gallery: usize, hits_per_query: &[usize]) -> Option<f64> {
    // A median lies anywhere between the first rank with at least half of the mass and the first with more than half:
    // of four equally likely ranks it is 2.5. The margin keeps rounding from deciding which.
    const MARGIN: f64 = 1e-9;
    let curve = Curve::new(gallery, hits_per_query)?;
    let (low, high) = (curve.first_above(0.5 - MARGIN)?, curve.first_above(0.5 + MARGIN)?);
    Some((low + high) as f64 / 2.0)
}

/// Chance as a function of k; queries with equally many hits are computed once.
struct Curve {
    gallery: usize,
    /// (hits, queries with that many).
    kinds: Vec<(usize, usize)>,
}

impl Curve {
    fn new(gallery: usize, hits_per_query: &[usize]) -> Option<Self> {
        let mut hits: Vec<usize> = hits_per_query.iter().map(|hits| (*hits).min(gallery)).filter(|h| *h > 0).collect();
        hits.sort_unstable();
        let kinds: Vec<_> = hits.chunk_by(|a, b| a == b).map(|equal| (equal[0], equal.len())).collect();
        (!kinds.is_empty()).then_some(Self { gallery, kinds })
    }

    fn at(&self, k: usize) -> Option<f64> {
        let queries: usize = self.kinds.iter().map(|(_, queries)| queries).sum();
        let found: f64 = self.kinds.iter().map(|&(hits, queries)| found(k, self.gallery, hits) * queries as f64).sum();
        (queries > 0).then(|| found / queries as f64)
    }

    /// The smallest k in 1..=gallery whose chance is above `share`; chance grows with k and is 1 at the end.
    fn first_above(&self, share: f64) -> Option<usize> {
        let (mut low, mut high) = (1, self.gallery);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.at(middle)? > share { high = middle } else { low = middle + 1 }
        }
        Some(low)
    }
}

/// Probability that at least one of `hits` items is among `k` drawn from `gallery` without putting back.
fn found(k: usize, gallery: usize, hits: usize) -> f64 {
    if k.saturating_add(hits) > gallery {
        return if k == 0 || hits == 0 { 0.0 } else { 1.0 };
    }
    // P(none) is a product of (n - h - i) / (n - i) over the k draws, or, seen from the hits, of (n - k - i) / (n - i).
    let (few, many) = (k.min(hits), k.max(hits));
    let log_none: f64 = (0..few).map(|drawn| (-(many as f64) / (gallery - drawn) as f64).ln_1p()).sum();
    -log_none.exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_random::{Key, Place};

    #[test]
    fn chance_as_scipy_and_exact_fractions_have_it() {
        // scipy.stats.hypergeom.sf(0, n, h, k) 1.17.1 for the first three; the last two in exact fractions, because
        // scipy's logarithms of factorials are off in the seventh digit there.
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
    fn the_edges_are_certain() {
        assert_eq!(chance_recall_at(0, 10, &[3]), Some(0.0));
        assert_eq!(chance_recall_at(10, 10, &[1]), Some(1.0));
        assert_eq!(chance_recall_at(usize::MAX, 10, &[1]), Some(1.0));
        assert_eq!(chance_recall_at(8, 10, &[3]), Some(1.0), "7 wrong items cannot fill 8 places");
        assert!(chance_recall_at(7, 10, &[3]).unwrap() < 1.0);
        assert_eq!(chance_recall_at(1, 10, &[99]), Some(1.0), "more hits than items is every item");
    }

    #[test]
    fn queries_without_a_hit_are_left_out() {
        assert_eq!(chance_recall_at(1, 4, &[1, 0, 2, 1]), Some(1.0 / 3.0));
        assert_eq!(chance_recall_at(1, 4, &[0, 0]), None);
        assert_eq!(chance_recall_at(1, 0, &[1]), None);
        assert_eq!(chance_median_rank(4, &[]), None);
    }

    #[test]
    fn the_median_of_an_even_spread_is_its_middle() {
        assert_eq!(chance_median_rank(200, &[1; 200]), Some(100.5));
        assert_eq!(chance_median_rank(201, &[1; 3]), Some(101.0));
        assert_eq!(chance_median_rank(10, &[10]), Some(1.0));
    }

    #[test]
    fn chance_is_what_random_orders_give() {
        let (gallery, hits) = (30, [1, 4, 4, 9]);
        let mut stream = Key::new(3).stream(Place::Sample, 0);
        let mut items: Vec<usize> = (0..gallery).collect();
        let places: Vec<Option<usize>> = (0..40_000)
            .map(|trial| {
                stream.shuffle(&mut items);
                items.iter().position(|item| *item < hits[trial % 4])
            })
            .collect();
        let seen = crate::recall_at(5, &places).unwrap();
        let expected = chance_recall_at(5, gallery, &hits).unwrap();
        assert!((seen - expected).abs() < 0.01, "{seen} seen, {expected} expected");
        assert_eq!(crate::median_rank(&places), chance_median_rank(gallery, &hits));
    }
}
