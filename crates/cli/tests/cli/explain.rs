//! Explanations of scores.

use serde_json::Value;

use crate::finetune::{SIDE, picture, prepared, tuned};
use crate::harness::bytes;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_score_of_an_image_is_explained_by_both_methods() {
    let place = tuned(SIDE, "side", &[]);
    place.write("left.png", picture(true, 7_000));
    let explain = ["explain", "side", "--image", "left.png", "--output", "left", "--out", "why"];
    let said = json(&place.good(&[&explain[..], &["--json"]].concat()).stdout);
    let all = said["explanations"].as_array().unwrap();
    assert_eq!(
        all.iter().map(|one| one["method"].as_str().unwrap()).collect::<Vec<_>>(),
        ["attention", "integrated gradients"]
    );
    for one in all {
        let patches: Vec<f64> =
            one["patches"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        assert_eq!(patches.len(), 16);
        assert_eq!(one["stand_in"]["missing"], "text", "{one}");
        for file in one["files"].as_array().unwrap() {
            assert!(place.path(file.as_str().unwrap()).exists(), "{file}");
        }
    }
    // What speaks for `left` speaks against `right`, since these are the only classes.
    let gap = all[1]["gap"].as_f64().unwrap();
    assert!(gap < 0.05 * all[1]["score"].as_f64().unwrap().abs().max(1.0), "{gap}");
    assert_eq!(
        json(&String::from_utf8(bytes(&place.path("why/explanation.json"))).unwrap()).as_array().unwrap().len(),
        2
    );
    let shown = place.good(&explain).stdout;
    assert!(
        shown.contains("left.png: left")
            && shown.contains("no text: prompts [")
            && shown.contains("worth most: the patch in row"),
        "{shown}"
    );
    // The check of the explanations runs on the test records of the run.
    let checks = json(&place.good(&["explain", "side", "--check", "--records", "12", "--steps", "4", "--json"]).stdout);
    for check in checks["checks"].as_array().unwrap() {
        assert!(check["deletion"]["value"].is_number() && check["random_weights"]["value"].is_number(), "{check}");
        assert!(check["pointing"].is_null(), "{check}");
    }
}

#[test]
fn a_pair_is_explained_by_a_pre_trained_model_and_wrong_requests_say_why() {
    let place = prepared();
    let explain = ["explain", "run", "--image", "0.png", "--text", "note 0"];
    for score in ["contrast", "match"] {
        let said = json(&place.good(&[&explain[..], &["--score", score, "--steps", "2", "--json"]].concat()).stdout);
        let words = said["explanations"][1]["words"].as_array().unwrap();
        assert_eq!(words.iter().map(|word| word["word"].as_str().unwrap()).collect::<Vec<_>>(), ["note", "0"]);
        assert!(said["explanations"][0]["stand_in"].is_null());
    }
    let refused = |arguments: &[&str], code: i32, words: &[&str]| {
        place.exits(&[&["explain", "run"][..], arguments].concat(), code, words);
    };
    refused(&[], 2, &["nothing to explain", "--check"]);
    refused(&["--image", "0.png"], 1, &["give an image and a text"]);
    refused(&["--image", "0.png", "--text", "x", "--score", "ranking"], 1, &["no head for retrieval"]);
    refused(&["--image", "0.png", "--text", "x", "--output", "left"], 2, &["`--output`"]);
    refused(&["--image", "nowhere.png", "--text", "x"], 1, &["nowhere.png"]);
    refused(&["--image", "pairs.csv", "--text", "x"], 1, &["pairs.csv"]);
    refused(&["--check", "--data", "nowhere"], 1, &["nowhere"]);
    refused(&["--image", "0.png", "--text", " "], 2, &["text is empty"]);
    refused(&["--image", "0.png", "--text", "x", "--records", "3"], 2, &["--check"]);
    place.write("full/x.png", "x");
    refused(&["--image", "0.png", "--text", "x", "--out", "full"], 2, &["`full`", "empty"]);
    place.exits(&["explain", "nowhere", "--text", "x"], 2, &["`nowhere` does not exist"]);
}
