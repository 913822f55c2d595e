//! Every example runs to its end as it stands.
#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens, and says so")]

use std::path::PathBuf;
use std::process::Command;

/// Where the runner has built the examples: beside the folder of the tests.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples").join(name)
}

fn runs(name: &str, says: &str) {
    let output = Command::new(example(name)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(says), "{name}: {said}");
}

#[test]
fn a_folder_is_embedded_and_searched() {
    runs("embed_folder", "400 vectors");
}

#[test]
fn own_pairs_are_trained_on() {
    runs("train_on_own_pairs", "image-to-text R@10");
}

#[test]
fn a_bundle_is_used() {
    runs("use_a_bundle", "belong together");
}

#[test]
fn an_objective_of_ones_own_trains() {
    runs("custom_objective", "step 5: loss");
}

#[test]
fn a_task_of_ones_own_trains() {
    runs("custom_task", "after step 4: minus mean absolute error");
}

#[test]
fn a_classifier_is_fine_tuned() {
    runs("fine_tune_a_classifier", ": 0.");
}

#[test]
fn a_question_is_asked() {
    runs("ask_a_question", "Which side? ");
}
