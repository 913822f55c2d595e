//! Retrieval from a similarity matrix in which a query may have several right answers.

use crate::mean::mean;

/// The rank (counted from 0) of the best hit of each query, from the matrix `similarity`, row-major `[queries, gallery]`. A
/// hit is an item of the gallery that is a right answer for the query.
///
/// The rank is the number of wrong items with a score at least as high as the score of the best hit, so a tie between a hit
/// and a wrong item counts against the model. Sorting would break ties by position, and a collapsed model (all scores equal)
/// would get a perfect score if right answers are on the diagonal. Counting ties as lost never overstates the result, needs
/// no random numbers, and gives integer ranks. Ties between hits have no effect. A wrong item with the score NaN counts as
/// ranked higher. A hit with the score NaN does not count as a hit; a query without another hit gets the rank `gallery`,
/// after every item.
///
/// Scores may be of any type with an order, for example tuples: `(true, 0.3)` ranks higher than `(false, 0.9)`.
///
/// `None` if the gallery has no right answer for the query; the scores do not use such queries.
///
/// # Panics
/// If the length of `similarity` is not a multiple of `gallery`.
pub fn ranks<T: PartialOrd>(
    similarity: &[T],
    gallery: usize,
    hits: impl Fn(usize, usize) -> bool,
) -> Vec<Option<usize>> {
    if gallery == 0 {
        assert!(similarity.is_empty(), "an empty gallery must have no similarities");
        return Vec::new();
    }
    assert!(similarity.len().is_multiple_of(gallery), "`similarity` must have whole rows of `gallery` items");
    let mut is_hit = vec![false; gallery];
    let rows = similarity.chunks_exact(gallery).enumerate();
    rows.map(|(query, scores)| {
        is_hit.iter_mut().enumerate().for_each(|(item, is_hit)| *is_hit = hits(query, item));
        rank_of_best_hit(scores, &is_hit)
    })
    .collect()
}

/// The rank of the best hit in one row; see [`ranks`].
fn rank_of_best_hit<T: PartialOrd>(scores: &[T], is_hit: &[bool]) -> Option<usize> {
    if !is_hit.contains(&true) {
        return None;
    }
    // A score that cannot be compared with itself is NaN or contains NaN.
    let is_number = |score: &T| score.partial_cmp(score).is_some();
    let items = || scores.iter().zip(is_hit);
    let hits = items().filter(|(score, hit)| **hit && is_number(score)).map(|(score, _)| score);
    Some(match hits.reduce(|best, score| if score > best { score } else { best }) {
        Some(best) => items().filter(|(score, hit)| !**hit && (*score >= best || !is_number(score))).count(),
        None => scores.len(),
    })
}

/// Number of right answers in the gallery for each query, which is needed to compute the chance level.
pub fn hits_per_query(queries: usize, gallery: usize, hits: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    (0..queries).map(|query| (0..gallery).filter(|&item| hits(query, item)).count()).collect()
}

/// For each query 1 if a hit is among the best `k` items, otherwise 0; for use with
/// [`bootstrap_mean`](crate::bootstrap_mean). `None` for a query without a right answer in the gallery.
pub fn found_at(k: usize, ranks: &[Option<usize>]) -> Vec<Option<f64>> {
    ranks.iter().map(|found| found.map(|rank| f64::from(u8::from(rank < k)))).collect()
}

/// Recall at k (R@k): share of the queries with a hit among the best `k` items. Queries without a right answer in the gallery
/// are not used; `None` if there are no other queries.
pub fn recall_at(k: usize, ranks: &[Option<usize>]) -> Option<f64> {
    mean(found_at(k, ranks))
}

/// Median rank of the best hit, counted from 1 as in papers. For an even number of queries, the mean of the middle two. Queries
/// without a right answer in the gallery are not used; `None` if there are no other queries.
pub fn median_rank(ranks: &[Option<usize>]) -> Option<f64> {
    let mut sorted: Vec<usize> = ranks.iter().flatten().copied().collect();
    sorted.sort_unstable();
    let middle = sorted.get(sorted.len() / 2)?;
    let below = sorted[(sorted.len() - 1) / 2];
    Some((middle + below) as f64 / 2.0 + 1.0)
}

/// Mean reciprocal rank: mean over queries of 1 / rank of the best hit (rank from 1). Queries without a right answer in the
/// gallery are not used; `None` if there are no other queries.
pub fn mean_reciprocal_rank(ranks: &[Option<usize>]) -> Option<f64> {
    mean(reciprocal_ranks(ranks))
}

/// For each query 1 / rank of the best hit (rank from 1); for use with [`bootstrap_mean`](crate::bootstrap_mean). `None` for a query
/// without a right answer in the gallery.
pub fn reciprocal_ranks(ranks: &[Option<usize>]) -> Vec<Option<f64>> {
    ranks.iter().map(|found| found.map(|rank| 1.0 / (rank as f64 + 1.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_random::{Key, Place};

    fn is_same(query: usize, item: usize) -> bool {
        query == item
    }

    #[test]
    fn the_best_of_several_hits_counts() {
        let similarity = [0.1, 0.9, 0.5, 0.4];
        assert_eq!(ranks(&similarity, 4, |_, item| item == 0), [Some(3)]);
        assert_eq!(ranks(&similarity, 4, |_, item| item == 0 || item == 2), [Some(1)]);
        assert_eq!(ranks(&similarity, 4, |_, _| true), [Some(0)]);
    }

    #[test]
    fn a_collapsed_model_gets_zero_recall() {
        let found_ranks = ranks(&[0.5; 9], 3, is_same);
        assert_eq!(found_ranks, [Some(2); 3]);
        assert_eq!(recall_at(1, &found_ranks), Some(0.0));
    }

    #[test]
    fn ties_between_hits_have_no_effect() {
        assert_eq!(ranks(&[0.7, 0.7, 0.7, 0.2], 4, |_, item| item < 3), [Some(0)]);
    }

    #[test]
    fn nan_is_never_a_hit_and_never_helps() {
        let nan = f32::NAN;
        assert_eq!(ranks(&[nan, 0.9, 0.5], 3, |_, item| item == 0), [Some(3)], "the only hit is NaN: ranked last");
        assert_eq!(ranks(&[nan, 0.9, 0.5], 3, |_, item| item != 1), [Some(1)], "the other hit counts");
        assert_eq!(ranks(&[0.9, nan, 0.5], 3, |_, item| item == 0), [Some(1)], "a wrong item with NaN ranks higher");
        assert_eq!(ranks(&[nan; 4], 2, is_same), [Some(2), Some(2)]);
    }

    #[test]
    fn infinities_are_ordinary_scores() {
        let (low, high) = (f32::NEG_INFINITY, f32::INFINITY);
        assert_eq!(ranks(&[low, 0.0, high], 3, |_, item| item == 0), [Some(2)]);
        assert_eq!(ranks(&[low, low, low], 3, |_, item| item == 0), [Some(2)]);
    }

    #[test]
    fn a_query_without_a_right_answer_is_not_used() {
        let found_ranks = ranks(&[0.9, 0.1, 0.2, 0.3], 2, |query, item| query == 0 && item == 0);
        assert_eq!(found_ranks, [Some(0), None]);
        assert_eq!(recall_at(1, &found_ranks), Some(1.0));
        assert_eq!(found_at(1, &found_ranks), [Some(1.0), None]);
        assert_eq!(median_rank(&found_ranks), Some(1.0));
    }

    #[test]
    fn scores_by_hand() {
        let found_ranks = [Some(0), Some(3), Some(0), Some(9)];
        assert_eq!(recall_at(1, &found_ranks), Some(0.5));
        assert_eq!(recall_at(5, &found_ranks), Some(0.75));
        assert_eq!(median_rank(&found_ranks), Some(2.5), "ranks 1, 1, 4, 10");
        assert_eq!(median_rank(&found_ranks[1..]), Some(4.0), "ranks 1, 4, 10");
        assert_eq!(mean_reciprocal_rank(&found_ranks), Some((1.0 + 0.25 + 1.0 + 0.1) / 4.0));
    }

    #[test]
    fn scores_without_queries_are_undefined() {
        assert!(ranks::<f32>(&[], 0, is_same).is_empty());
        assert!(ranks::<f32>(&[], 5, is_same).is_empty());
        for ranks in [&[][..], &[None, None]] {
            assert_eq!(recall_at(10, ranks), None);
            assert_eq!(median_rank(ranks), None);
            assert_eq!(mean_reciprocal_rank(ranks), None);
        }
    }

    #[test]
    fn ranks_equal_those_of_a_full_sort() {
        let mut stream = Key::new(1).stream(Place::Sample, 0);
        let (queries, gallery) = (40, 60);
        let similarity: Vec<f32> = (0..queries * gallery).map(|_| stream.unit() as f32).collect();
        let hits = |query: usize, item: usize| item % 7 == query % 7;
        let sorted: Vec<Option<usize>> = (0..queries)
            .map(|query| {
                let row = &similarity[query * gallery..][..gallery];
                let mut items: Vec<usize> = (0..gallery).collect();
                items.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
                items.iter().position(|&item| hits(query, item))
            })
            .collect();
        assert_eq!(ranks(&similarity, gallery, hits), sorted);
    }

    #[test]
    fn hits_are_counted_for_each_query() {
        assert_eq!(hits_per_query(3, 4, |query, item| item < query), [0, 1, 2]);
    }

    #[test]
    #[should_panic(expected = "whole rows")]
    fn a_matrix_without_whole_rows_is_rejected() {
        ranks(&[0.0; 5], 2, is_same);
    }
}
