//! Retrieval from a similarity matrix in which a query may have several right answers.

use crate::mean::mean;

/// The place (from 0) of each query's best-ranked hit, from `similarity`, row-major `[queries, gallery]`.
///
/// The place is the number of wrong items scored at least as high as the best hit: a tie between a hit and a wrong item
/// counts against us. Sorting would settle ties by position, which hands a collapsed model (all scores equal) a perfect
/// score wherever partners lie on the diagonal; counting them as lost never flatters, needs no draw and keeps places
/// whole. Ties among hits do not matter. A wrong item scored NaN also counts as ahead. A hit scored NaN is no hit: a
/// query with no other gets the place `gallery`, behind every item.
///
/// Scores are numbers, or whatever else has an order: `(true, 0.3)` ranks ahead of `(false, 0.9)`.
///
/// `None` where the gallery holds no right answer: such a query cannot be answered, and the scores leave it out.
///
/// # Panics
/// If `similarity` is not whole rows of `gallery` items.
pub fn ranks<T: PartialOrd>(
    similarity: &[T],
    gallery: usize,
    hits: impl Fn(usize, usize) -> bool,
) -> Vec<Option<usize>> {
    if gallery == 0 {
        assert!(similarity.is_empty(), "an empty gallery has no similarities");
        return Vec::new();
    }
    assert!(similarity.len().is_multiple_of(gallery), "similarity must be whole rows of `gallery` items");
    let mut is_hit = vec![false; gallery];
    let rows = similarity.chunks_exact(gallery).enumerate();
    rows.map(|(query, scores)| {
        is_hit.iter_mut().enumerate().for_each(|(item, is_hit)| *is_hit = hits(query, item));
        place(scores, &is_hit)
    })
    .collect()
}

/// The place of the best hit in one row; see [`ranks`].
fn place<T: PartialOrd>(scores: &[T], is_hit: &[bool]) -> Option<usize> {
    if !is_hit.contains(&true) {
        return None;
    }
    // What cannot be compared with itself is NaN, or holds one.
    let is_number = |score: &T| score.partial_cmp(score).is_some();
    let items = || scores.iter().zip(is_hit);
    let hits = items().filter(|(score, hit)| **hit && is_number(score)).map(|(score, _)| score);
    Some(match hits.reduce(|best, score| if score > best { score } else { best }) {
        Some(best) => items().filter(|(score, hit)| !**hit && (*score >= best || !is_number(score))).count(),
        None => scores.len(),
    })
}

/// How many right answers the gallery holds for each query: what chance needs.
pub fn hits_per_query(queries: usize, gallery: usize, hits: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    (0..queries).map(|query| (0..gallery).filter(|&item| hits(query, item)).count()).collect()
}

/// For each query 1 where a hit is among the best `k`, else 0, ready for [`bootstrap_mean`](crate::bootstrap_mean).
/// `None` for a query that has no right answer.
pub fn found_at(k: usize, ranks: &[Option<usize>]) -> Vec<Option<f64>> {
    ranks.iter().map(|rank| rank.map(|place| f64::from(u8::from(place < k)))).collect()
}

/// Share of the answerable queries with a hit among the best `k` (R@k); `None` where no query is answerable.
pub fn recall_at(k: usize, ranks: &[Option<usize>]) -> Option<f64> {
    mean(found_at(k, ranks))
}

/// Median rank of the best hit, counted from 1 as papers do; the mean of the middle two for an even number of
/// answerable queries, `None` where there is none.
pub fn median_rank(ranks: &[Option<usize>]) -> Option<f64> {
    let mut places: Vec<usize> = ranks.iter().flatten().copied().collect();
    places.sort_unstable();
    let middle = places.get(places.len() / 2)?;
    let below = places[(places.len() - 1) / 2];
    Some((middle + below) as f64 / 2.0 + 1.0)
}

/// Mean over the answerable queries of 1 / rank of the best hit (rank from 1); `None` where there is none.
pub fn mean_reciprocal_rank(ranks: &[Option<usize>]) -> Option<f64> {
    mean(ranks.iter().map(|rank| rank.map(|place| 1.0 / (place as f64 + 1.0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_random::{Key, Place};

    fn partner(query: usize, item: usize) -> bool {
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
    fn a_collapsed_model_finds_nothing() {
        let places = ranks(&[0.5; 9], 3, partner);
        assert_eq!(places, [Some(2); 3]);
        assert_eq!(recall_at(1, &places), Some(0.0));
    }

    #[test]
    fn ties_among_hits_do_not_count_against_us() {
        assert_eq!(ranks(&[0.7, 0.7, 0.7, 0.2], 4, |_, item| item < 3), [Some(0)]);
    }

    #[test]
    fn nan_is_never_a_hit_and_never_helps() {
        let nan = f32::NAN;
        assert_eq!(ranks(&[nan, 0.9, 0.5], 3, |_, item| item == 0), [Some(3)], "the only hit is NaN: behind all");
        assert_eq!(ranks(&[nan, 0.9, 0.5], 3, |_, item| item != 1), [Some(1)], "the other hit stands");
        assert_eq!(ranks(&[0.9, nan, 0.5], 3, |_, item| item == 0), [Some(1)], "a wrong NaN counts as ahead");
        assert_eq!(ranks(&[nan; 4], 2, partner), [Some(2), Some(2)]);
    }

    #[test]
    fn infinities_are_ordinary_scores() {
        let (low, high) = (f32::NEG_INFINITY, f32::INFINITY);
        assert_eq!(ranks(&[low, 0.0, high], 3, |_, item| item == 0), [Some(2)]);
        assert_eq!(ranks(&[low, low, low], 3, |_, item| item == 0), [Some(2)]);
    }

    #[test]
    fn a_query_without_an_answer_is_left_out() {
        let places = ranks(&[0.9, 0.1, 0.2, 0.3], 2, |query, item| query == 0 && item == 0);
        assert_eq!(places, [Some(0), None]);
        assert_eq!(recall_at(1, &places), Some(1.0));
        assert_eq!(found_at(1, &places), [Some(1.0), None]);
        assert_eq!(median_rank(&places), Some(1.0));
    }

    #[test]
    fn scores_by_hand() {
        let places = [Some(0), Some(3), Some(0), Some(9)];
        assert_eq!(recall_at(1, &places), Some(0.5));
        assert_eq!(recall_at(5, &places), Some(0.75));
        assert_eq!(median_rank(&places), Some(2.5), "ranks 1, 1, 4, 10");
        assert_eq!(median_rank(&places[1..]), Some(4.0), "ranks 1, 4, 10");
        assert_eq!(mean_reciprocal_rank(&places), Some((1.0 + 0.25 + 1.0 + 0.1) / 4.0));
    }

    #[test]
    fn nothing_asked_is_undefined() {
        assert!(ranks::<f32>(&[], 0, partner).is_empty());
        assert!(ranks::<f32>(&[], 5, partner).is_empty());
        for ranks in [&[][..], &[None, None]] {
            assert_eq!(recall_at(10, ranks), None);
            assert_eq!(median_rank(ranks), None);
            assert_eq!(mean_reciprocal_rank(ranks), None);
        }
    }

    #[test]
    fn places_are_those_of_a_full_sort() {
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
    fn a_torn_matrix_is_our_bug() {
        ranks(&[0.0; 5], 2, partner);
    }
}
