//! Published weights become a bundle, with a report of every weight.

use std::path::Path;

use crate::finetune::{json, picture};
use crate::harness::Place;

/// A fixture of the crate that reads published encoders.
fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/fixtures").join(name).display().to_string()
}

#[test]
fn two_encoders_become_a_bundle_that_embeds() {
    let place = Place::new();
    let (image, text) = (fixture("dinov2"), fixture("bert"));
    let ran = place.good(&["import", "--image", &image, "--text", &text, "--out", "b", "--size", "20", "--json"]);
    let told = json(&ran.stdout);
    assert_eq!(told["reports"][0]["layout"], "transformers, DINOv2");
    let weights = told["reports"][0]["weights"].as_array().unwrap();
    let positions = weights.iter().find(|weight| weight["origin"]["origin"] == "resized").unwrap();
    assert_eq!(positions["name"], "vision_encoder.visual.positional_embedding");
    assert_eq!(told["reports"][0]["unused"][0]["reason"], "pretraining_only");
    assert!(!told["initialised"].as_array().unwrap().is_empty());
    assert_eq!(json(&std::fs::read_to_string(place.path("b/import.json")).unwrap()), told);
    assert!(std::fs::read_to_string(place.path("b/README.md")).unwrap().contains("licence not stated"));
    place.write("0.png", picture(true, 0));
    let untrained = "weights of `b` are new and were never trained";
    assert!(place.good(&["embed", "b", "0.png", "--out", "v.parquet"]).stderr.contains(untrained));
    let encoder = ["embed", "b", "0.png", "--space", "encoder", "--only", "images", "--out", "e.jsonl"];
    assert!(!place.good(&encoder).stderr.contains(untrained), "the encoders are as published");
    place.good(&["inspect", "b"]);
    place.exits(&["import", "b", "--out", "again"], 1, &["`b` is a bundle of this program already"]);
    assert_eq!(json(&std::fs::read_to_string(place.path("b/config.json")).unwrap())["image"]["size"], 20);
    place.exits(&["import", "--image", &image, "--text", &text, "--out", "b"], 2, &["`b` exists", "name another"]);
}

#[test]
fn the_report_is_told_in_lines() {
    let place = Place::new();
    let (image, text) = (fixture("clip"), fixture("roberta"));
    let seen = place.good(&["import", "--image", &image, "--text", &text, "--out", "b", "--drop-last", "1"]).stdout;
    for line in
        ["transformers, CLIP or SigLIP, 19 weights", "16 tensors, of blocks that are dropped", "weights are new"]
    {
        assert!(seen.contains(line), "`{line}` is not in:\n{seen}");
    }
    assert_eq!(seen.lines().last(), Some("bundle b"));
}

#[test]
fn what_cannot_be_imported_says_why() {
    let place = Place::new();
    let (image, text, onnx) = (fixture("vit"), fixture("bert"), fixture("dinov2-onnx"));
    let fails = |arguments: &[&str], code: i32, words: &[&str]| {
        place.exits(&[&["import", "--out", "b"], arguments].concat(), code, words);
    };
    fails(&["--image", &text, "--text", &text], 1, &["holds a text encoder, but an image encoder is asked for"]);
    fails(&["--image", &image, "--text", &image], 1, &["holds an image encoder, but a text encoder is asked for"]);
    fails(&[&image], 1, &["holds only an image encoder", "--image and --text"]);
    fails(&["--image", &onnx, "--image-heads", "2", "--text", &text], 1, &["no file", "--mean"]);
    fails(&["absent"], 1, &["absent"]);
    fails(&[], 2, &["SOURCE"]);
    fails(&["--image", &image], 2, &["--text"]);
    fails(&["--image", &image, "--text", &text, "--mean", "1,2", "--std", "1,1,1"], 2, &["three numbers"]);
    fails(&["--image", &image, "--text", &text, "--activation", "relu"], 2, &["quick_gelu"]);
    fails(&["--image", &image, "--text", &text, "--prompts", "4,5"], 2, &["--prompts is for a whole checkpoint"]);
    assert!(!place.path("b").exists(), "a failed import leaves no folder");
    std::fs::create_dir(place.path("b")).unwrap();
    fails(&["absent"], 1, &["absent"]);
    assert_eq!(place.path("b").read_dir().unwrap().count(), 0, "nor does it remove one that was there");
}
