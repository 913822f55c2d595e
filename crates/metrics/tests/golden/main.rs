//! Comparison of all scores with scikit-learn, SciPy and ranx on random cases. `tools/reference/golden_classify.py`
//! writes the expected numbers and says which function of which library they come from.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod calibration;
mod classify;
mod paired;
mod ranking;

use serde_json::Value;

/// The cases of one kind in a file; there are at least `least`, so that an empty list is noticed.
fn cases(file: &str, kind: &str, least: usize) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    let cases = file[kind].as_array().unwrap().clone();
    assert!(cases.len() >= least, "{} cases of `{kind}`", cases.len());
    cases
}

fn list<T>(value: &Value, convert: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(convert).collect()
}

fn count(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn counts(value: &Value) -> Vec<usize> {
    list(value, count)
}

fn singles(value: &Value) -> Vec<f32> {
    list(value, |number| number.as_f64().unwrap() as f32)
}

/// Pairs of a score and a truth of 0 or 1.
fn records(scores: &Value, truths: &Value) -> Vec<(f32, bool)> {
    singles(scores).into_iter().zip(counts(truths)).map(|(score, truth)| (score, truth == 1)).collect()
}

/// `null` stands for an undefined score.
#[track_caller]
fn assert_close(found: Option<f64>, expected: &Value, case: &Value) {
    let equal = match (found, expected.as_f64()) {
        (Some(found), Some(expected)) => (found - expected).abs() <= 1e-9,
        (None, None) => expected.is_null(),
        _ => false,
    };
    assert!(equal, "{found:?} for {expected} in {case}");
}

#[track_caller]
fn assert_all_close(found: impl IntoIterator<Item = Option<f64>>, expected: &Value, case: &Value) {
    let (found, expected): (Vec<_>, _) = (found.into_iter().collect(), expected.as_array().unwrap());
    assert_eq!(found.len(), expected.len(), "{case}");
    found.into_iter().zip(expected).for_each(|(found, expected)| assert_close(found, expected, case));
}
