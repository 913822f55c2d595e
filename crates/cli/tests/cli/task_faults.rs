//! Scores and answers of fine-tuned models that must not be believed: known texts, one patient, damaged weights and descriptions.

use crate::finetune::{SIDE, json, picture, prepared, recipe};
use crate::finetune_faults::fine_tuned;
use crate::harness::bytes;

#[test]
fn records_of_one_patient_have_no_image_of_another() {
    let place = fine_tuned();
    let mut table = "image,side,patient,split\n".to_string();
    for number in 0..8u32 {
        place.write(&format!("one{number}.png"), picture(number.is_multiple_of(2), 2000 + number));
        table += &format!("one{number}.png,{},same,test\n", ["left", "right"][number as usize % 2]);
    }
    place.write("one.csv", table);
    place.good(&["prepare", "table", "one.csv", "one", "--label", "side"]);
    let report = json(&place.good(&["evaluate", "side", "--data", "one", "--json"]).stdout);
    let report = report["sources"].as_object().unwrap().values().next().unwrap().clone();
    let shown = |one: &serde_json::Value| one["image"].as_str().unwrap().to_string();
    let mut images: Vec<String> = report["reliance"].as_array().unwrap().iter().map(shown).collect();
    images.dedup();
    assert_eq!(images, ["blank"], "{report}");
    assert!(report["notes"].to_string().contains("all records are of one patient"), "{report}");
}

#[test]
fn texts_that_the_model_has_learned_from_are_refused() {
    let place = prepared();
    let rows = |split: &str| -> String {
        let row = |number: usize| {
            let side = ["left", "right"][number % 2];
            format!("the film number {number} is bright on the {side} side,{side},p{number},{split}\n")
        };
        (0..40).map(row).collect()
    };
    place.write("notes.csv", format!("text,side,patient,split\n{}", rows("train")));
    place.write("again.csv", format!("text,side,patient,split\n{}", rows("test")));
    for name in ["notes", "again"] {
        place.good(&["prepare", "table", &format!("{name}.csv"), name, "--label", "side"]);
    }
    recipe(&place, "text.toml", &SIDE.replace("\"image\"", "\"text\""));
    let sets = ["data=[\"notes\"]", "train.steps=2", "train.validate_every=0"];
    let sets: Vec<&str> = sets.into_iter().flat_map(|set| ["--set", set]).collect();
    place.good(&[&["finetune", "text.toml", "--model", "run", "--out", "text"][..], &sets].concat());
    // Two steps of 16 records.
    place.bad(&["evaluate", "text", "--data", "again"], &["the texts of 32 of 40 records", "--force"]);
    let report = json(&place.good(&["evaluate", "text", "--data", "again", "--force", "--json"]).stdout);
    assert!(report.to_string().contains("may have memorised them"), "{report}");
}

#[test]
fn damaged_models_give_no_answers() {
    let place = fine_tuned();
    // A description that turns the order of the answers around.
    let file = place.path("side/best/task.json");
    let good = bytes(&file);
    let mut task: serde_json::Value = serde_json::from_slice(&good).unwrap();
    task["calibration"] = serde_json::json!({ "temperature": -1.0, "fitted": 8 });
    std::fs::write(&file, task.to_string()).unwrap();
    place.bad(&["classify", "side", "0.png"], &["task.json", "temperature", "-1", "0.01"]);
    std::fs::write(&file, good).unwrap();
    place.good(&["classify", "side", "0.png"]);
    // A weight that is not a number.
    let file = place.path("side/best/model.safetensors");
    let mut arrays = ptu_model::weights::read_arrays(&file).unwrap();
    arrays.get_mut("cls_head.3.bias").unwrap().values[0] = f32::NAN;
    ptu_model::weights::write_arrays(&file, &arrays).unwrap();
    for arguments in [&["classify", "side", "0.png"][..], &["evaluate", "side"]] {
        place.bad(arguments, &["not finite", "lower learning rate"]);
    }
}

#[test]
fn a_folder_without_a_model_and_a_table_without_rows_are_refused() {
    let place = fine_tuned();
    for (model, words) in [("nowhere", "`nowhere` does not exist"), ("data", "`data` holds no model but shards")] {
        for arguments in [
            &["classify", model, "0.png"][..],
            &["ask", model, "0.png", "Which side?"],
            &["match", model, "0.png", "a note"],
            &["embed", model, "0.png", "--out", "v.parquet"],
            &["evaluate", model],
            &["finetune", "side.toml", "--model", model, "--out", "x"],
        ] {
            place.exits(arguments, 2, &[words, "name a run folder or a bundle"]);
        }
    }
    place.write("empty.csv", "image,text\n");
    for arguments in [&["classify", "side", "empty.csv"][..], &["match", "run", "empty.csv"]] {
        place.bad(arguments, &["`empty.csv` has no rows after its header"]);
    }
}

#[test]
fn requests_that_cannot_be_met_are_refused() {
    let place = fine_tuned();
    let start = ["finetune", "side.toml", "--model", "run", "--out", "x"];
    place.exits(&[&start[..], &["--seeds", "9223372036854775808"]].concat(), 2, &["is no seed", "9223372036854775807"]);
    let task = "task={ kind = \"multilabel\", labels = [\"side\", \"side\"], input = \"image\" }";
    place.bad(&[&start[..], &["--set", task]].concat(), &["`task.labels` names `side` twice"]);
    // Rankings replace rankings, and nothing else.
    place.write("mine/ranks.jsonl", "mine");
    place.bad(&["evaluate", "run", "--gallery", "10", "--trec", "mine"], &["`mine` holds other files than rankings"]);
    assert_eq!(bytes(&place.path("mine/ranks.jsonl")), b"mine");
    for _ in 0..2 {
        place.good(&["evaluate", "run", "--gallery", "10", "--trec", "rankings"]);
    }
}
