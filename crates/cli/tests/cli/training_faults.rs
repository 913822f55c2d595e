//! Runs that must not end as if they had learned something, and what training says of its data, its length and its start.

use std::path::Path;

use ptu_model::weights::{read_arrays, write_arrays};

use crate::finetune::{QUESTIONS, SIDE, json, prepared, recipe};
use crate::harness::{Place, bytes};

const START: [&str; 6] = ["finetune", "side.toml", "--model", "run", "--out", "side"];

/// What `finetune` is told, with these keys.
fn with<'a>(start: &[&'a str], sets: &[&'a str]) -> Vec<&'a str> {
    start.iter().copied().chain(sets.iter().flat_map(|set| ["--set", set])).collect()
}

/// Changes the values of the first weight of a file whose name begins so.
fn change(file: &Path, name: &str, value: f32) {
    let mut arrays = read_arrays(file).unwrap();
    let (_, array) = arrays.iter_mut().find(|(found, _)| found.starts_with(name)).unwrap();
    array.values.fill(value);
    write_arrays(file, &arrays).unwrap();
}

#[test]
fn probabilities_are_not_calibrated_with_a_few_records() {
    let place = prepared();
    recipe(&place, "side.toml", SIDE);
    let few = "only 20 records of the validation split have a known answer";
    let ran = place.good(&with(&START, &["train.steps=4", "train.validate_every=2"]));
    assert!(ran.stderr.contains("not calibrated") && ran.stderr.contains(few), "{}", ran.stderr);
    let task = json(&String::from_utf8(bytes(&place.path("side/best/task.json"))).unwrap());
    assert_eq!((&task["uncalibrated"]["records"], &task["calibration"]), (&20.into(), &serde_json::Value::Null));
    let ran = place.good(&["evaluate", "side"]);
    assert!(ran.stdout.contains(few) && !ran.stdout.contains("at temperature"), "{}", ran.stdout);
    place.good(&["inspect", "side", "--page", "page.html"]);
    assert!(String::from_utf8(bytes(&place.path("page.html"))).unwrap().contains(few));
}

#[test]
fn equal_validations_are_reported() {
    let place = prepared();
    recipe(&place, "side.toml", SIDE);
    let sets = ["train.steps=4", "train.validate_every=2", "optimizer.learning_rate=1e-12"];
    let ran = place.good(&with(&START, &sets));
    assert!(ran.stderr.contains("all 2 validations gave the same score"), "{}", ran.stderr);
}

#[test]
fn a_run_whose_steps_were_all_skipped_fails() {
    let place = prepared();
    recipe(&place, "side.toml", SIDE);
    // Finite weights whose products are not.
    change(&place.path("run/bundle/model.safetensors"), "vision_encoder.visual.conv1.weight", 3e38);
    for arguments in
        [&with(&START, &["train.steps=3", "train.validate_every=1"])[..], &["finetune", "--resume", "side"]]
    {
        place.exits(arguments, 1, &["not finite in all 3 steps", "nothing was learned"]);
        assert!(!place.path("side/best").exists() && !place.path("side/bundle").exists());
    }
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let place = prepared();
    recipe(&place, "side.toml", SIDE);
    change(&place.path("run/bundle/model.safetensors"), "itm_head", f32::NAN);
    place.bad(&START, &["weight `itm_head", "run/bundle/model.safetensors`", "not finite"]);
    place.exits(&["match", "run", "0.png", "a note"], 1, &["not finite", "lower learning rate"]);
}

#[test]
fn a_model_to_start_from_is_required() {
    let place = prepared();
    recipe(&place, "side.toml", SIDE);
    let alone = ["finetune", "side.toml", "--out", "side"];
    place.exits(&alone, 2, &["`--model`", "finetune.from_scratch = true"]);
    place.bad(&with(&START, &["finetune.from_scratch=true"]), &["`finetune.from_scratch`", "`finetune.model`"]);
}

#[test]
fn steps_in_place_of_epochs_are_validated_by_epoch() {
    let place = prepared();
    recipe(&place, "side.toml", SIDE);
    let text = std::fs::read_to_string(place.path("side.toml")).unwrap();
    place.write(
        "side.toml",
        text.replace("steps = 200", "epochs = 9").replace("validate_every = 20", "validate_every = 1"),
    );
    let ran = place.good(&with(&START, &["train.steps=20"]));
    assert!(ran.stderr.contains("validated after each epoch"), "{}", ran.stderr);
    // An epoch of 120 records has 8 steps of 16.
    let log = String::from_utf8(bytes(&place.path("side/log.jsonl"))).unwrap();
    let steps: Vec<u64> = log
        .lines()
        .map(json)
        .filter(|one| one["event"] == "validation")
        .map(|one| one["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [8, 16, 20]);
    assert!(ran.stderr.contains("in total with validations of about"), "{}", ran.stderr);
}

#[test]
fn seeds_have_a_folder_of_their_own() {
    let place = prepared();
    recipe(&place, "side.toml", SIDE);
    place.write("side/mine.txt", "mine");
    place.exits(
        &[&START[..], &["--seeds", "0,1"]].concat(),
        2,
        &["`side` holds other files than the runs of `--seeds`"],
    );
    assert!(!place.path("side/seed-0").exists());
}

/// Shards in `NAME` of these rows below the columns image, split and those of `columns`.
fn table(place: &Place, name: &str, columns: &str, row: impl Fn(usize) -> String) {
    let split = |number: usize| ["train", "validate"][usize::from(number >= 30)];
    let rows: String = (0..36).map(|number| format!("{number}.png,{},{}\n", split(number), row(number))).collect();
    place.write(&format!("{name}.csv"), format!("image,split,{columns}\n{rows}"));
    let file = format!("{name}.csv");
    let labels: Vec<&str> = columns.split(',').filter(|one| !["question", "answer"].contains(one)).collect();
    let labels = labels.into_iter().flat_map(|label| ["--label", label]);
    place.good(&["prepare", "table", &file, name].into_iter().chain(labels).collect::<Vec<_>>());
}

#[test]
fn records_that_give_nothing_to_learn_are_refused() {
    let place = prepared();
    table(&place, "one", "question,answer", |_| "Is it bright?,yes".into());
    recipe(&place, "one.toml", QUESTIONS);
    let one = ["finetune", "one.toml", "--model", "run", "--out", "x"];
    place.bad(&with(&one, &["data=[\"one\"]"]), &["nothing to learn", "the answer of all 30 examples is `yes`"]);
    table(&place, "labels", "mass,edema", |number| format!("{},uncertain", ["positive", "negative"][number % 2]));
    let both = "[task]\nkind = \"multilabel\"\nlabels = [\"mass\", \"edema\"]\ninput = \"image\"\n";
    recipe(&place, "labels.toml", both);
    let labels = ["finetune", "labels.toml", "--model", "run", "--out", "x"];
    let data = "data=[\"labels\"]";
    place.bad(&with(&labels, &[data]), &["no value of `edema` is known", "`task.uncertain`"]);
    let mass = "task.labels=[\"mass\"]";
    place.bad(
        &with(&[&labels[..], &["--data", "2%"]].concat(), &[data, mass]),
        &["leaves none of 30 training examples", "larger share"],
    );
    assert!(!place.path("x").exists());
    place.good(&with(&labels, &[data, mass, "train.steps=1", "train.validate_every=0"]));
}
