//! Tasks of records that lack their image or their text, in training and in testing.

use serde_json::Value;

use crate::finetune::{QUESTIONS, SIDE, json, prepared, recipe, tuned};
use crate::harness::{Place, bytes};

/// The task reads the image, which shows the side, and the text.
const BOTH: &str = "[task]\nkind = \"classification\"\nlabel = \"side\"\ninput = \"available\"\n";

/// Shards in `data` whose texts are all the same, so that only images tell the side, and a pre-trained model in `run`.
fn with_equal_texts() -> Place {
    let place = prepared();
    let table = String::from_utf8(bytes(&place.path("pairs.csv"))).unwrap();
    let line =
        |(number, line): (usize, &str)| line.replace(&format!(",note {},", number.wrapping_sub(1)), ",a note,") + "\n";
    place.write("equal.csv", table.lines().enumerate().map(line).collect::<String>());
    std::fs::remove_dir_all(place.path("data")).unwrap();
    place.good(&["prepare", "table", "equal.csv", "data", "--text", "text", "--label", "side", "--keep-duplicates"]);
    recipe(&place, "both.toml", BOTH);
    place
}

fn finetune(place: &Place, out: &str, missing: &str) {
    let sets = format!("finetune.missing={missing}");
    place.good(&["finetune", "both.toml", "--model", "run", "--out", out, "--set", &sets]);
}

/// The report of a model, scored with missing images and texts.
fn report(place: &Place, run: &str) -> Value {
    json(&place.good(&["evaluate", run, "--missing", "--json"]).stdout)["sources"]["equal"].clone()
}

/// The accuracies over the shares.
fn curve(report: &Value, missing: &str, stand_in: &str) -> Vec<f64> {
    let is_asked = |one: &&Value| one["score"] == "accuracy" && one["away"] == missing && one["stand_in"] == stand_in;
    let curve = report["missing"].as_array().unwrap().iter().find(is_asked).unwrap();
    curve["points"].as_array().unwrap().iter().map(|point| point[1]["value"].as_f64().unwrap()).collect()
}

#[test]
fn scores_fall_with_what_is_missing() {
    let place = with_equal_texts();
    finetune(&place, "complete", "{ images = 0.0 }");
    let complete = report(&place, "complete");
    let accuracy = complete["scores"][0]["value"].as_f64().unwrap();
    assert!(accuracy >= 0.9, "{complete}");
    // The text that is the same everywhere finds the same training image for all records.
    for stand_in in ["prompts", "zeros", "nothing", "mean", "neighbour"] {
        let images = curve(&complete, "images", stand_in);
        assert_eq!((images.len(), images[0]), (6, accuracy), "nothing is missing at the first share");
        assert_eq!(images[5], 0.5, "a text does not tell the side");
        let either = curve(&complete, "either", stand_in);
        assert!(either[0] == accuracy && either[5] < accuracy, "{either:?}");
    }
    // The score without any image is that of the table of image reliance.
    let reliance = complete["reliance"].as_array().unwrap();
    let missing = reliance.iter().find(|one| one["image"] == "missing" && one["metric"] == "accuracy").unwrap();
    assert_eq!(missing["score"]["value"].as_f64().unwrap(), curve(&complete, "images", "prompts")[5]);
    let shown = place.good(&["evaluate", "complete", "--missing"]).stdout;
    assert!(shown.contains("accuracy, images or texts removed, prompts") && shown.contains("70 % "), "{shown}");
    place.good(&["inspect", "complete", "--page", "complete.html"]);
    let page = String::from_utf8(bytes(&place.path("complete.html"))).unwrap();
    assert!(page.contains("accuracy with missing images or texts"));
    // What was trained without any image has learned nothing of images; with texts removed it has them all.
    finetune(&place, "blind", "{ images = 1.0 }");
    let blind = report(&place, "blind");
    assert_eq!(curve(&blind, "images", "prompts")[5], 0.5);
    let stand_ins: Vec<&str> =
        blind["missing"].as_array().unwrap().iter().map(|one| one["stand_in"].as_str().unwrap()).collect();
    assert!(
        stand_ins.contains(&"zeros") && !stand_ins.contains(&"neighbour"),
        "it saw no complete pair: {stand_ins:?}"
    );
    let blind = blind["scores"][0]["value"].as_f64().unwrap();
    assert!(blind <= 0.75, "{blind}");
    finetune(&place, "silent", "{ texts = 1.0 }");
    assert!(curve(&report(&place, "silent"), "texts", "prompts")[5] >= 0.9);
}

#[test]
fn a_training_record_is_its_own_neighbour() {
    let place = prepared();
    recipe(&place, "both.toml", BOTH);
    let few = ["--set", "train.steps=60", "--set", "train.validate_every=60", "--set", "train.save_every=60"];
    let finetune = ["finetune", "both.toml", "--model", "run", "--out", "own"];
    place.good(&[&finetune[..], &few].concat());
    let asked = ["evaluate", "own", "--split", "train", "--force", "--missing", "--json"];
    let trained = json(&place.good(&asked).stdout)["sources"]["pairs"].clone();
    let accuracy = trained["scores"][0]["value"].as_f64().unwrap();
    assert_ne!(curve(&trained, "images", "prompts")[5], accuracy);
    for removed in ["images", "texts", "either"] {
        assert_eq!(curve(&trained, removed, "neighbour"), [accuracy; 6]);
    }
}

#[test]
fn records_that_lack_a_modality_have_the_stand_in_of_their_curve() {
    let place = with_equal_texts();
    finetune(&place, "both", "{ images = 0.0 }");
    // Every second record has no text of its own.
    let table = String::from_utf8(bytes(&place.path("equal.csv"))).unwrap();
    let line = |(number, line): (usize, &str)| match number % 4 {
        1 | 2 => line.replace(",a note,", ",,") + "\n",
        _ => line.to_string() + "\n",
    };
    place.write("equal.csv", table.lines().enumerate().map(line).collect::<String>());
    place.good(&[
        "prepare",
        "table",
        "equal.csv",
        "some",
        "--text",
        "text",
        "--label",
        "side",
        "--keep-duplicates",
        "--allow-missing",
    ]);
    let of = |stand_in: &str| {
        let asked = ["evaluate", "both", "--data", "some", "--force", "--missing", "--json", "--stand-in", stand_in];
        json(&place.good(&asked).stdout)["sources"]["equal"].clone()
    };
    let (zeros, prompts) = (of("zeros"), of("prompts"));
    assert_eq!(zeros["missing"], prompts["missing"]);
    let first = |report: &Value| report["scores"][0]["value"].as_f64().unwrap();
    assert_eq!(curve(&zeros, "texts", "zeros")[0], first(&zeros));
    assert_eq!(curve(&zeros, "texts", "prompts")[0], first(&prompts));
}

#[test]
fn questions_may_lack_their_image_and_never_their_text() {
    let place = tuned(QUESTIONS, "ask", &["finetune.missing={ images = 0.2 }"]);
    let answered = json(&place.good(&["evaluate", "ask", "--missing", "--json"]).stdout)["sources"]["pairs"].clone();
    let curves = answered["missing"].as_array().unwrap();
    assert!(curves.iter().all(|one| one["away"] == "images"), "a question is always there: {curves:?}");
    let own = answered["scores"][0]["value"].as_f64().unwrap();
    let accuracy = curve(&answered, "images", "prompts");
    assert!(accuracy[0] == own && accuracy[5] < own, "the image tells the answer: {accuracy:?}");
    // What an evaluation does not ask for stays in the run folder.
    let saved = || json(&String::from_utf8(bytes(&place.path("ask/task-scores.json"))).unwrap())["pairs"].clone();
    place.good(&["evaluate", "ask"]);
    assert_eq!(saved()["missing"], answered["missing"]);
    place.good(&["evaluate", "ask", "--seed", "7"]);
    assert!(saved()["missing"].is_null(), "scores with another seed are others");
    place.bad(
        &["finetune", "ask.toml", "--model", "run", "--out", "x", "--set", "finetune.missing={ texts = 0.5 }"],
        &["finetune.missing", "the question is always there"],
    );
}

#[test]
fn what_cannot_be_missing_is_refused() {
    let place = with_equal_texts();
    recipe(&place, "side.toml", SIDE);
    let refused = |file: &str, missing: &str, words: &[&str]| {
        let set = format!("finetune.missing={missing}");
        place.bad(&["finetune", file, "--model", "run", "--out", "x", "--set", &set], words);
    };
    refused("side.toml", "{ images = 0.5 }", &["finetune.missing", "task.input = \"available\""]);
    refused("both.toml", "{ images = 0.7, texts = 0.7 }", &["finetune.missing", "0.7 and 0.7", "at most 1"]);
    refused("both.toml", "{ image = 0.7 }", &["finetune.missing.image", "images"]);
    refused("both.toml", "0.7", &["finetune.missing", "{ images = 0.5, texts = 0.2 }"]);
    // Where no record has an image, nothing is trained of images and of pairs.
    place.write(
        "texts.csv",
        "text,side,patient,split\n".to_string()
            + &["a,left,p,train\n", "b,right,q,train\n", "c,left,r,validate\n"].concat(),
    );
    place.good(&["prepare", "table", "texts.csv", "texts", "--text", "text", "--label", "side"]);
    for input in ["pair", "image"] {
        let sets = [format!("task.input=\"{input}\""), "data=[\"texts\"]".into()];
        let call = ["finetune", "both.toml", "--model", "run", "--out", "x", "--set", &sets[0], "--set", &sets[1]];
        place.bad(&call, &["no training record of", "what `task.input` reads"]);
    }
    place.good(&["finetune", "side.toml", "--model", "run", "--out", "side", "--set", "train.steps=2"]);
    place.bad(&["evaluate", "side", "--missing"], &["reads `image`", "task.input = \"available\""]);
}
