//! Calibration: plain NumPy for the expected calibration error, scikit-learn for Brier scores and SciPy for
//! temperatures.

use crate::{assert_all_close, assert_close, cases, count, counts, records, singles};
use ptu_metrics::{Temperature, brier, brier_of_classes, expected_calibration_error, reliability_curve, top_label};
use serde_json::Value;

const FILE: &str = include_str!("calibration.json");

#[test]
fn calibration_of_positives() {
    for case in cases(FILE, "calibration", 100) {
        let records = records(&case["probabilities"], &case["truths"]);
        assert_curve(&records, &case);
        assert_close(brier(records), &case["brier"], &case);
    }
}

#[test]
fn calibration_of_top_labels() {
    for case in cases(FILE, "top_label", 60) {
        let (classes, right) = (count(&case["classes"]), counts(&case["right"]));
        let probabilities = singles(&case["probabilities"]);
        assert_curve(&top_label(&probabilities, classes, &right), &case);
        assert_close(brier_of_classes(&probabilities, classes, &right), &case["brier"], &case);
    }
}

/// A bin of the expected curve holds count, mean probability and share of events.
fn assert_curve(records: &[(f32, bool)], case: &Value) {
    let bins = count(&case["bins"]);
    let curve = reliability_curve(bins, records.iter().copied()).unwrap();
    assert_eq!(curve.len(), bins);
    for (found, expected) in curve.iter().zip(case["curve"].as_array().unwrap()) {
        assert_all_close([Some(found.count as f64), found.confidence, found.accuracy], expected, case);
    }
    assert_close(expected_calibration_error(bins, records.iter().copied()), &case["ece"], case);
}

#[test]
fn temperatures() {
    for case in cases(FILE, "temperature", 120) {
        let (logits, right) = (singles(&case["logits"]), counts(&case["right"]));
        let found = match case["sigmoid"].as_bool().unwrap() {
            true => Temperature::fit_sigmoid(records(&case["logits"], &case["right"])),
            false => Temperature::fit_softmax(&logits, count(&case["classes"]), &right),
        };
        let found = found.unwrap();
        assert_eq!(format!("{:?}", found.fit), case["fit"].as_str().unwrap(), "{found:?} {case}");
        let expected = case["value"].as_f64().unwrap();
        assert!((found.value / expected - 1.0).abs() < 1e-4, "{found:?} {case}");
        assert_close(Some(found.nll_before), &case["before"], &case);
        assert_close(Some(found.nll_after), &case["after"], &case);
    }
}
