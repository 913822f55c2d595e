//! Normalised discounted cumulative gain (nDCG): retrieval with graded relevance.

use crate::mean::mean;
use std::cmp::Ordering;

/// nDCG at k of each query, from the matrix `similarity`, row-major `[queries, gallery]`; for use with
/// [`bootstrap_mean`](crate::bootstrap_mean). `gain(query, item)` is the relevance of an item, 0 for a wrong item; for
/// binary relevance it is 0 or 1.
///
/// The discounted cumulative gain (DCG) is the sum over the first `k` items of gain / log2(rank + 1), with ranks from
/// 1; it is divided by that of the best possible order (Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR
/// techniques", 2002). For exponential gains (Burges et al. 2005), let `gain` return 2^relevance - 1.
///
/// Ties count against the model, as in [`ranks`](crate::ranks): items with equal scores are ordered by gain, the
/// smallest first. A wrong item with the score NaN is put first, and a relevant item with the score NaN gives no gain.
///
/// `None` for a query without a relevant item, for k = 0, and if a gain is negative, infinite or NaN.
///
/// # Panics
/// If the length of `similarity` is not a multiple of `gallery`.
pub fn ndcg<T: PartialOrd>(
    k: usize,
    similarity: &[T],
    gallery: usize,
    gain: impl Fn(usize, usize) -> f64,
) -> Vec<Option<f64>> {
    assert!(similarity.len().is_multiple_of(gallery), "`similarity` must have whole rows of `gallery` items");
    if gallery == 0 {
        return Vec::new();
    }
    let rows = similarity.chunks_exact(gallery).enumerate();
    rows.map(|(query, scores)| {
        let gains: Vec<f64> = (0..gallery).map(|item| gain(query, item)).collect();
        let ideal = ideal_dcg(k, &gains)?;
        Some(dcg(k, worst_order(scores, &gains)) / ideal)
    })
    .collect()
}

/// Mean of [`ndcg`] over the queries for which it is defined; `None` if there are no such queries.
///
/// # Panics
/// If the length of `similarity` is not a multiple of `gallery`.
pub fn ndcg_at<T: PartialOrd>(
    k: usize,
    similarity: &[T],
    gallery: usize,
    gain: impl Fn(usize, usize) -> f64,
) -> Option<f64> {
    mean(ndcg(k, similarity, gallery, gain))
}

/// Expected [`ndcg_at`] for a random order: every rank has the mean gain of the gallery.
pub fn chance_ndcg_at(k: usize, queries: usize, gallery: usize, gain: impl Fn(usize, usize) -> f64) -> Option<f64> {
    mean((0..queries).map(|query| {
        let gains: Vec<f64> = (0..gallery).map(|item| gain(query, item)).collect();
        let ideal = ideal_dcg(k, &gains)?;
        let mean_gain = gains.iter().sum::<f64>() / gallery as f64;
        Some(dcg(k, std::iter::repeat_n(mean_gain, gallery)) / ideal)
    }))
}

/// The DCG of gains in their order.
fn dcg(k: usize, gains: impl IntoIterator<Item = f64>) -> f64 {
    gains.into_iter().take(k).enumerate().map(|(rank, gain)| gain / (rank as f64 + 2.0).log2()).sum()
}

/// The DCG of the best order; `None` if it is 0, or if a gain is negative, infinite or NaN.
fn ideal_dcg(k: usize, gains: &[f64]) -> Option<f64> {
    if !gains.iter().all(|gain| gain.is_finite() && *gain >= 0.0) {
        return None;
    }
    let mut sorted = gains.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    Some(dcg(k, sorted)).filter(|ideal| *ideal > 0.0)
}

/// The gains in the order of the scores, the highest score first, with ties and NaN against the model.
fn worst_order<T: PartialOrd>(scores: &[T], gains: &[f64]) -> Vec<f64> {
    // A score that cannot be compared with itself is NaN or contains NaN.
    let (mut numbers, not_numbers): (Vec<_>, Vec<_>) =
        scores.iter().zip(gains.iter().copied()).partition(|(score, _)| score.partial_cmp(score).is_some());
    numbers.sort_by(|(own, gain), (other, other_gain)| {
        other.partial_cmp(own).unwrap_or(Ordering::Equal).then(gain.total_cmp(other_gain))
    });
    // The relevant items among the NaN would be last and have no gain, so they may be left out.
    let first = not_numbers.into_iter().map(|(_, gain)| gain).filter(|gain| *gain == 0.0);
    first.chain(numbers.into_iter().map(|(_, gain)| gain)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graded_relevance_equals_scikit_learn() {
        // scikit-learn 1.9.1, the example of the manual of ndcg_score, which is 0.6957 there; 0.4124 at k = 4.
        let (gains, scores) = ([10.0, 0.0, 0.0, 1.0, 5.0], [0.1, 0.2, 0.3, 4.0, 70.0]);
        let found = |k| ndcg_at(k, &scores, 5, |_, item| gains[item]).unwrap();
        assert!((found(5) - 0.695_694_044_381_307_6).abs() < 1e-12, "{}", found(5));
        assert!((found(4) - 0.412_381_881_753_453_1).abs() < 1e-12, "{}", found(4));
        assert_eq!(found(usize::MAX), found(5));
    }

    #[test]
    fn ties_count_against_the_model() {
        let gain = |query, item| f64::from(u8::from(query == item));
        assert_eq!(ndcg(1, &[0.5; 9], 3, gain), [Some(0.0); 3]);
        assert_eq!(ndcg(3, &[0.5; 9], 3, gain), [Some(0.5); 3], "1 / log2(3 + 1)");
        let graded = |_, item: usize| item as f64;
        assert_eq!(ndcg_at(2, &[0.5, 0.5, 0.1], 3, graded), ndcg_at(2, &[0.6, 0.5, 0.1], 3, graded));
    }

    #[test]
    fn nan_never_helps() {
        let (nan, first) = (f32::NAN, |_: usize, item: usize| f64::from(u8::from(item == 0)));
        assert_eq!(ndcg_at(3, &[nan, 0.9, 0.5], 3, first), Some(0.0), "a relevant item with NaN gives no gain");
        assert_eq!(ndcg_at(3, &[0.9, nan, 0.5], 3, first), Some(1.0 / 3f64.log2()), "a wrong item with NaN is first");
    }

    #[test]
    fn queries_without_relevant_items_are_not_used() {
        let gain = |query: usize, item: usize| f64::from(u8::from(query == 0 && item == 0));
        assert_eq!(ndcg(2, &[0.9, 0.1, 0.9, 0.1], 2, gain), [Some(1.0), None]);
        assert_eq!(ndcg_at(2, &[0.9, 0.1, 0.9, 0.1], 2, gain), Some(1.0));
        assert_eq!(ndcg_at(0, &[0.9, 0.1], 2, gain), None);
        assert_eq!(chance_ndcg_at(0, 1, 2, gain), None);
        for gallery in [0, 5] {
            assert_eq!(ndcg_at::<f32>(2, &[], gallery, gain), None);
        }
        for invalid in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(ndcg_at(2, &[0.9, 0.1], 2, |_, item| [1.0, invalid][item]), None);
            assert_eq!(chance_ndcg_at(2, 1, 2, |_, item| [1.0, invalid][item]), None);
        }
    }

    #[test]
    #[should_panic(expected = "whole rows")]
    fn a_matrix_without_whole_rows_is_rejected() {
        ndcg(1, &[0.0; 5], 2, |_, _| 1.0);
    }
}
