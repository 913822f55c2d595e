//! Zero-shot classification by sentences, with a pre-trained model.

use serde_json::Value;

use crate::harness::{Place, bytes};

const SENTENCES: &str = r#"
[classes]
normal = ["The chest shows no abnormality.", "No abnormality on the hand radiograph."]
fracture = ["The hand shows a fracture."]
nodule = ["The chest shows a nodule in the lung.", "Two nodules in the lung."]
"rare thing" = ["Something that no image shows."]
"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The phantom corpus in `data`, a pre-trained model in `run`, sentences in `s.toml`.
fn pretrained() -> Place {
    let place = Place::new();
    place.phantom();
    place.recipe();
    let sets = ["--set", "train.steps=2", "--set", "train.validate_every=0", "--set", "text.max_tokens=48"];
    place.good(&[&["pretrain", "r.toml", "--out", "run"][..], &sets].concat());
    place.write("s.toml", SENTENCES);
    place
}

#[test]
fn images_are_classified_and_scored_by_sentences() {
    let place = pretrained();
    let ran =
        place.good(&["classify", "run", "data", "--split", "test", "--sentences", "s.toml", "--json", "--top", "9"]);
    let lines: Vec<Value> = ran.stdout.lines().map(json).collect();
    for line in &lines {
        let classes = line["classes"].as_array().unwrap();
        let sum: f64 = classes.iter().map(|class| class["probability"].as_f64().unwrap()).sum();
        assert!(classes.len() == 4 && (sum - 1.0).abs() < 1e-6, "{line}");
        assert!(line["id"].is_string() && line["id"] != line["input"], "the record's own id: {line}");
    }
    let score = ["evaluate", "run", "--zero-shot", "s.toml", "--label", "finding"];
    let report = json(&place.good(&[&score[..], &["--json"]].concat()).stdout);
    let report = &report["sources"]["phantom"];
    assert_eq!(
        (&report["receipt"]["protocol"], &report["receipt"]["task"]),
        (&"zero-shot".into(), &"classification".into())
    );
    let classes = report["receipt"]["sentences"]["classes"].as_array().unwrap();
    assert_eq!(classes[0]["sentences"], json(r#"["The hand shows a fracture."]"#));
    let names: Vec<&str> =
        report["scores"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names[..4], ["accuracy", "balanced accuracy", "macro F1", "mean AUROC"]);
    assert_eq!(
        report["scores"].as_array().unwrap()[7]["value"],
        Value::Null,
        "no image shows the rare thing: {report}"
    );
    assert!(report["baseline"]["score"]["value"].is_number(), "{report}");
    let images: Vec<&str> =
        report["reliance"].as_array().unwrap().iter().map(|one| one["image"].as_str().unwrap()).collect();
    assert!(images.contains(&"blank") && !images.contains(&"missing"), "{images:?}");
    // With one patient there is no image of another.
    assert_eq!(images.contains(&"other"), report["patients"].as_u64() > Some(1), "{report}");
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("their class is not in the file of sentences (`") && notes.contains("`rare thing`)"),
        "{notes}"
    );
    // The predictions are those of `classify`: the same records, in the same order, have the same best class.
    let saved = String::from_utf8(bytes(&place.path("run/zero-shot-predictions.jsonl"))).unwrap();
    assert_eq!(saved.lines().count() as u64, report["records"].as_u64().unwrap());
    for prediction in saved.lines().map(json) {
        let line = lines.iter().find(|line| line["id"] == prediction["id"]).unwrap();
        assert_eq!(line["classes"][0]["name"], prediction["predicted"]);
    }
    assert!(place.path("run/zero-shot-scores.json").exists());
    let ran = place.good(&[&score[..], &["--compare", "run", "--page", "scores.html"]].concat());
    assert!(ran.stdout.contains("zero-shot classification with 4 classes") && ran.stdout.contains("first minus run"));
    let page = String::from_utf8(bytes(&place.path("scores.html"))).unwrap();
    assert!(page.contains("zero-shot classification with 4 classes") && page.contains("Image reliance"));
    assert!(page.contains("phantom: wrong predictions"), "classes that sentences found");
}

#[test]
fn what_cannot_be_classified_by_sentences_is_refused() {
    let place = pretrained();
    let refused = |arguments: &[&str], code: i32, words: &[&str]| {
        place.exits(&[&["evaluate", "run", "--zero-shot", "s.toml"][..], arguments].concat(), code, words);
    };
    refused(&["--label", "findng"], 2, &["`findng`", "`finding`"]);
    refused(&["--label", "organ"], 1, &["the values `chest`", "the classes are `fracture`"]);
    refused(&[], 1, &["exactly one positive label"]);
    refused(&["--label", "finding", "--rerank", "3"], 2, &["--rerank", "--zero-shot"]);
    refused(&["--label", "finding", "--stand-in", "zeros"], 2, &["--stand-in", "--zero-shot"]);
    refused(&["--label", "finding", "--label", "organ"], 2, &["once"]);
    refused(&["--label", "finding", "--split", "train"], 1, &["learned from"]);
    refused(&["--label", "finding", "--by", "orgn"], 2, &["`orgn`", "`organ`"]);
    refused(&["--label", "finding", "--compare", "nowhere"], 2, &["`nowhere` does not exist"]);
    place.write("s.toml", "[classes]\nnormal = [\"x\"]\n");
    refused(&["--label", "finding"], 1, &["s.toml", "fewer than two classes"]);
    place.bad(&["classify", "run", "data", "--sentences", "none.toml"], &["none.toml"]);
    // A model without the contrast.
    place.write("s.toml", SENTENCES);
    let sets = ["--set", "objectives=[\"mlm\"]", "--set", "train.steps=1", "--set", "train.validate_every=0"];
    place.good(&[&["pretrain", "r.toml", "--out", "words"][..], &sets].concat());
    place.bad(&["classify", "words", "data", "--sentences", "s.toml"], &["`itc`", "words"]);
    place.bad(&["evaluate", "words", "--zero-shot", "s.toml", "--label", "finding"], &["`itc`", "words"]);
}

/// The files that come with the program can be read.
#[test]
fn the_files_of_sentences_of_the_recipes_are_valid() {
    let place = pretrained();
    let recipes = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/zero-shot");
    let sentences = |name: &str| recipes.join(name).display().to_string();
    let phantom = sentences("phantom-finding.toml");
    let ran = place.good(&["evaluate", "run", "--zero-shot", &phantom, "--label", "finding"]);
    assert!(ran.stdout.contains("10 classes") && !ran.stdout.contains("not in the file"), "{}", ran.stdout);
    place.bad(&["evaluate", "run", "--zero-shot", &sentences("chexpert.toml")], &["`subset` = `zero-shot`"]);
}
