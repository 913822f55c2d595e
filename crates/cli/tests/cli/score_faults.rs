//! Scores of several models, of models that were trained further, and of data that were replaced.

use crate::finetune::{QUESTIONS, picture, prepared, recipe};
use crate::finetune_faults::fine_tuned;
use crate::harness::{Place, bytes};

#[test]
fn models_that_have_no_mean_get_none() {
    let place = fine_tuned();
    for (one, other) in [("side", "side"), ("side", "side/best"), ("run", "run/bundle")] {
        place.exits(&["evaluate", one, other], 2, &["the same model"]);
    }
    recipe(&place, "ask.toml", QUESTIONS);
    let sets = ["--set", "train.steps=1", "--set", "train.validate_every=0"];
    place.good(&[&["finetune", "ask.toml", "--model", "run", "--out", "ask"][..], &sets].concat());
    place.exits(&["evaluate", "side", "ask"], 2, &["cannot be compared", "vqa", "classification"]);
    // The same task on other records.
    prepare_again(&place, "others");
    let other = ["finetune", "side.toml", "--model", "run", "--out", "other", "--set", "data=[\"others\"]"];
    place.good(&[&other[..], &sets].concat());
    let ran = place.good(&["evaluate", "side", "other"]);
    assert!(ran.stderr.contains("they have no mean: they differ in data, records"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("mean and standard deviation"), "{}", ran.stdout);
    let ran = place.good(&["evaluate", "side", "other", "--data", "others"]);
    assert!(ran.stdout.contains("mean and standard deviation of 2 models\n  others"), "{}", ran.stdout);
}

/// Shards of other images in `name`, with the columns of `data`.
fn prepare_again(place: &Place, name: &str) {
    let mut table = "image,side,patient,split\n".to_string();
    for number in 0..40u32 {
        let left = number.is_multiple_of(2);
        place.write(&format!("{name}{number}.png"), picture(left, 5000 + number));
        let (side, split) = (if left { "left" } else { "right" }, if number < 30 { "train" } else { "test" });
        table += &format!("{name}{number}.png,{side},p{number},{split}\n");
    }
    place.write(&format!("{name}.csv"), table);
    place.good(&["prepare", "table", &format!("{name}.csv"), name, "--label", "side"]);
}

#[test]
fn data_that_were_replaced_are_not_scored_unnoticed() {
    let place = fine_tuned();
    std::fs::remove_dir_all(place.path("data")).unwrap();
    prepare_again(&place, "data");
    for model in ["side", "run"] {
        place.exits(&["evaluate", model], 1, &["data` are not those that the model was trained on", "--data"]);
    }
    place.good(&["evaluate", "side", "--data", "data"]);
}

#[test]
fn a_best_model_that_was_deleted_is_missed() {
    let place = fine_tuned();
    std::fs::remove_dir_all(place.path("side/best")).unwrap();
    for arguments in [&["classify", "side", "0.png"][..], &["evaluate", "side"]] {
        let ran = place.good(arguments);
        assert!(ran.stderr.contains("`side/best`, does not exist any more"), "{}", ran.stderr);
    }
}

#[test]
fn a_page_shows_no_scores_of_an_earlier_model() {
    let place = prepared();
    place.good(&["evaluate", "run"]);
    let page = |place: &Place| {
        place.good(&["inspect", "run", "--page", "page.html"]);
        String::from_utf8(bytes(&place.path("page.html"))).unwrap()
    };
    assert!(!page(&place).contains("an earlier model of this run"));
    place.good(&["pretrain", "--resume", "run", "--set", "train.steps=4"]);
    let after = page(&place);
    assert!(after.contains("scores.json are those of an earlier model of this run"), "no warning");
    assert!(after.contains("ptunifier evaluate run"));
    place.good(&["evaluate", "run"]);
    assert!(!page(&place).contains("an earlier model of this run"));
}

#[test]
fn a_probe_reports_its_progress() {
    let place = fine_tuned();
    let ran = place.good(&["evaluate", "side", "--probe", "run"]);
    assert!(ran.stderr.contains("120/120 linear probe: features"), "{}", ran.stderr);
}
