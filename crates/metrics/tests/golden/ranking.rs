//! Retrieval: ranx (nDCG, mean reciprocal rank, hit rate), NumPy (median rank) and scikit-learn over all orders of a
//! gallery (chance).

use crate::{assert_all_close, assert_close, cases, count, list, singles};
use ptu_metrics::{chance_ndcg_at, mean_reciprocal_rank, median_rank, ndcg, ndcg_at, ranks, recall_at};
use serde_json::Value;

#[test]
fn retrieval() {
    let (mut undefined, mut chances) = (0, 0);
    for case in cases(include_str!("ranking.json"), "ranking", 100) {
        let (k, gallery, queries) = (count(&case["k"]), count(&case["gallery"]), count(&case["queries"]));
        let (similarity, gains) = (singles(&case["similarity"]), list(&case["gains"], |gain| gain.as_f64().unwrap()));
        let gain = |query: usize, item: usize| gains[query * gallery + item];
        assert_all_close(ndcg(k, &similarity, gallery, gain), &case["ndcg"], &case);
        assert_close(ndcg_at(k, &similarity, gallery, gain), &case["mean_ndcg"], &case);
        let found_ranks = ranks(&similarity, gallery, |query, item| gain(query, item) > 0.0);
        assert_close(recall_at(k, &found_ranks), &case["recall"], &case);
        assert_close(mean_reciprocal_rank(&found_ranks), &case["mrr"], &case);
        assert_close(median_rank(&found_ranks), &case["median_rank"], &case);
        undefined += usize::from(case["mean_ndcg"] == Value::Null);
        if let Some(expected) = case.get("chance") {
            chances += 1;
            assert_close(chance_ndcg_at(k, queries, gallery, gain), expected, &case);
        }
    }
    assert!(undefined > 0 && chances >= 20, "{undefined} undefined, {chances} with chance");
}
