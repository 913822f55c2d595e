//! Classification: scikit-learn.

use crate::{assert_all_close, assert_close, cases, count, counts, list, records, singles};
use ptu_metrics::{
    Answer, BinaryScore, ConfusionMatrix, F1Averages, LabelAverages, OperatingPoint, accuracy, auroc,
    average_precision, balanced_accuracy, f1, f1_by_class, f1_by_label, per_class, predictive_values, scores_by_label,
    scores_one_versus_rest, sensitivity_at_specificity, specificity_at_sensitivity,
};
use serde_json::Value;

const FILE: &str = include_str!("classify.json");

#[test]
fn binary_scores() {
    for case in cases(FILE, "binary", 150) {
        let records = records(&case["scores"], &case["truths"]);
        let reversed = || records.iter().rev().copied();
        assert_close(auroc(reversed()), &case["auroc"], &case);
        assert_close(average_precision(reversed()), &case["average_precision"], &case);
        let prevalence = records.iter().filter(|(_, positive)| *positive).count() as f64 / records.len() as f64;
        let points = case["points"].as_array().unwrap();
        assert_eq!(points.is_empty(), case["auroc"].is_null());
        for expected in points {
            let target = expected["target"].as_f64().unwrap();
            let found = sensitivity_at_specificity(target, reversed()).unwrap();
            assert_point(found, prevalence, &expected["at_specificity"], &case);
            let found = specificity_at_sensitivity(target, reversed()).unwrap();
            assert_point(found, prevalence, &expected["at_sensitivity"], &case);
        }
        if points.is_empty() {
            assert_eq!(sensitivity_at_specificity(0.5, reversed()), None);
        }
    }
}

/// `expected` holds threshold, sensitivity, specificity, PPV and NPV.
fn assert_point(found: OperatingPoint, prevalence: f64, expected: &Value, case: &Value) {
    let values = predictive_values(found.sensitivity, found.specificity, prevalence);
    assert_eq!(found.threshold, expected[0].as_f64().map(|threshold| threshold as f32), "{case}");
    let shares = [Some(found.sensitivity), Some(found.specificity), values.positive, values.negative];
    shares.into_iter().enumerate().for_each(|(place, share)| assert_close(share, &expected[place + 1], case));
}

#[test]
fn predictive_values_of_tables() {
    for case in cases(FILE, "predictive", 50) {
        let share = |place: usize| case[place].as_f64().unwrap();
        let values = predictive_values(share(0), share(1), share(2));
        assert_close(values.positive, &case[3], &case);
        assert_close(values.negative, &case[4], &case);
    }
}

#[test]
fn averages_over_labels() {
    for case in cases(FILE, "labels", 60) {
        let truths = list(&case["truths"], |truth| truth.as_u64().map(|truth| truth == 1));
        let (labels, scores) = (count(&case["labels"]), singles(&case["scores"]));
        assert_averages(|score| scores_by_label(score, labels, &scores, &truths), &case);
        let found = scores_by_label(BinaryScore::Auroc, labels, &scores, &truths);
        for (label, found) in found.labels.iter().enumerate() {
            let of_label = || truths.iter().skip(label).step_by(labels);
            assert_eq!(found.positives, of_label().filter(|truth| **truth == Some(true)).count());
            assert_eq!(found.negatives, of_label().filter(|truth| **truth == Some(false)).count());
        }
    }
}

#[test]
fn averages_over_classes() {
    for case in cases(FILE, "classes", 60) {
        let (classes, scores, right) = (count(&case["classes"]), singles(&case["scores"]), counts(&case["right"]));
        assert_averages(|score| scores_one_versus_rest(score, classes, &scores, &right), &case);
    }
}

fn assert_averages(of: impl Fn(BinaryScore) -> LabelAverages, case: &Value) {
    for (score, name) in [(BinaryScore::Auroc, "auroc"), (BinaryScore::AveragePrecision, "average_precision")] {
        let (found, expected) = (of(score), &case[name]);
        assert_close(found.macro_mean, &expected["macro"], case);
        assert_close(found.micro.value, &expected["micro"], case);
        assert_all_close(found.labels.iter().map(|label| label.value), &expected["labels"], case);
        assert_eq!(found.undefined, count(&expected["undefined"]), "{case}");
    }
}

#[test]
fn scores_of_classes() {
    for case in cases(FILE, "answers", 100) {
        let (classes, given, right) = (count(&case["classes"]), counts(&case["given"]), counts(&case["right"]));
        let answers: Vec<_> = given.iter().zip(&right).map(|(&given, &right)| Answer { given, right }).collect();
        let matrix = ConfusionMatrix::new(classes, &answers);
        let entries = (0..classes * classes).map(|entry| matrix.count(entry / classes, entry % classes));
        assert_eq!(entries.collect::<Vec<_>>(), counts(&case["matrix"]));
        assert_close(matrix.accuracy(), &case["accuracy"], &case);
        assert_close(accuracy(&answers), &case["accuracy"], &case);
        assert_close(matrix.balanced_accuracy(), &case["balanced_accuracy"], &case);
        assert_close(balanced_accuracy(classes, &answers), &case["balanced_accuracy"], &case);
        for scores in [matrix.per_class(), per_class(classes, &answers)] {
            assert_all_close(scores.iter().map(|class| class.recall), &case["recall"], &case);
            assert_all_close(scores.iter().map(|class| class.precision), &case["precision"], &case);
            assert_all_close(scores.iter().map(|class| class.specificity), &case["specificity"], &case);
            assert_all_close(scores.iter().map(|class| class.f1), &case["f1"]["values"], &case);
        }
        assert_f1(f1_by_class(classes, &answers), &case);
    }
}

#[test]
fn f1_of_labels() {
    for case in cases(FILE, "decisions", 50) {
        let (labels, given, right) = (count(&case["labels"]), counts(&case["given"]), counts(&case["right"]));
        let answers: Vec<_> =
            given.iter().zip(&right).map(|(given, right)| Answer { given: *given == 1, right: *right == 1 }).collect();
        let first: Vec<_> = answers.iter().copied().step_by(labels).collect();
        assert_close(f1(&first), &case["binary"], &case);
        assert_f1(f1_by_label(labels, &answers.into_iter().map(Some).collect::<Vec<_>>()), &case);
    }
}

fn assert_f1(found: F1Averages, case: &Value) {
    let expected = &case["f1"];
    assert_close(found.macro_mean, &expected["macro"], case);
    assert_close(found.micro, &expected["micro"], case);
    assert_close(found.weighted, &expected["weighted"], case);
    assert_all_close(found.values, &expected["values"], case);
    assert_eq!(found.undefined, count(&expected["undefined"]), "{case}");
}
