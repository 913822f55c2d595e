//! Paired tests: SciPy, and the exact distribution by convolution where there are too many exchanges for SciPy.

use crate::{assert_close, cases, count, counts, list};
use ptu_metrics::{PairedTest, Permutations, mcnemar, permutation_test};
use ptu_random::Key;
use serde_json::Value;

const FILE: &str = include_str!("paired.json");

fn values(value: &Value) -> Vec<Option<f64>> {
    list(value, Value::as_f64)
}

#[test]
fn p_values() {
    let (mut exact, mut sampled) = (0, 0);
    for case in cases(FILE, "paired", 60) {
        let groups = counts(&case["groups"]);
        let found = mcnemar(&values(&case["first"]), &values(&case["second"]), &groups).unwrap();
        assert_close(Some(found.p_value), &case["mcnemar"], &case);
        assert_close(Some(found.difference), &case["difference"], &case);

        let permutations = Permutations::new(Key::new(1));
        let (first, second) = (values(&case["first_graded"]), values(&case["second_graded"]));
        let found = permutation_test(&first, &second, &groups, &permutations).unwrap();
        if found.test == PairedTest::Permutation {
            exact += 1;
            assert_close(Some(found.p_value), &case["permutation"], &case);
        } else {
            sampled += 1;
            // Five standard errors of the share of 10,000 random exchanges.
            let expected = case["permutation"].as_f64().unwrap();
            let error = (expected * (1.0 - expected) / permutations.count as f64).sqrt() + 1e-4;
            assert!((found.p_value - expected).abs() < 5.0 * error, "{found:?} {case}");
        }
        assert_eq!(found.test == PairedTest::Permutation, count(&case["differing"]) <= 13);
    }
    assert!(exact >= 40 && sampled >= 10, "{exact} exact, {sampled} sampled");
}
