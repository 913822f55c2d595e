//! What fine-tuning, evaluation and prediction say when something is wrong, and the linear probe beside a fine-tuned model.

use crate::finetune::{QUESTIONS, SIDE, json, picture, prepared, recipe, tuned};
use crate::harness::{Place, bytes};

/// A model that was fine-tuned for a few steps, in `side`.
pub fn fine_tuned() -> Place {
    tuned(SIDE, "side", &["train.steps=6", "train.validate_every=2"])
}

#[test]
fn the_linear_probe_of_the_starting_model_is_a_baseline() {
    let place = fine_tuned();
    let score = ["evaluate", "side", "--probe", "run"];
    let report = json(&place.good(&[&score[..], &["--json"]].concat()).stdout);
    let probe = &report["sources"]["pairs"]["probe"];
    assert_eq!(probe["fitted"], 120, "{probe}");
    let first = &probe["scores"][0];
    assert_eq!(first["metric"], "accuracy");
    let own = report["sources"]["pairs"]["scores"][0]["value"].as_f64().unwrap();
    let of_probe = first["score"]["value"].as_f64().unwrap();
    assert!((first["difference"]["value"].as_f64().unwrap() - (own - of_probe)).abs() < 1e-12, "{probe}");
    assert!(
        first["difference"]["low"].is_number() && !report["sources"]["pairs"]["notes"].to_string().contains("probe")
    );
    let ran = place.good(&score);
    assert!(
        ran.stdout.contains("accuracy minus probe") && ran.stdout.contains("fitted to 120 records"),
        "{}",
        ran.stdout
    );
    // The encoders alone have other features.
    let encoders = [&score[..], &["--probe-space", "encoder", "--predictions", "p.jsonl"]].concat();
    let ran = place.good(&encoders);
    assert!(ran.stdout.contains("linear probe of the encoders of the starting model"), "{}", ran.stdout);
    let lines = |file: &str| String::from_utf8(bytes(&place.path(file))).unwrap().lines().map(json).collect::<Vec<_>>();
    for line in lines("p.jsonl") {
        let [own, probe] = [&line["logits"], &line["other_logits"]["probe"]].map(|it| it.as_array().unwrap().clone());
        assert!(own.len() == 2 && probe.len() == 2 && own != probe, "{line}");
        let best = if probe[0].as_f64() >= probe[1].as_f64() { "left" } else { "right" };
        assert_eq!(line["others"]["probe"], best, "{line}");
    }
    assert_eq!(lines("p.jsonl"), lines("side/predictions.jsonl"), "the file in the run folder is the same");
    place.exits(&["evaluate", "side", "--probe-space", "encoder"], 2, &["--probe"]);
    place.exits(&["evaluate", "run", "--predictions", "p.jsonl"], 2, &["--predictions", "--trec"]);
    place.exits(&["evaluate", "run", "--probe", "run"], 2, &["--probe", "pre-trained"]);
    place.exits(&["evaluate", "side", "--probe", "nowhere"], 2, &["`nowhere` does not exist"]);
    // Which validation chose the model.
    let ran = place.good(&["inspect", "side"]);
    assert!(ran.stdout.contains("in validation ") && ran.stdout.contains(" of 3") && ran.stdout.contains("side/best"));
    assert!(place.good(&["watch", "side", "--once"]).stdout.contains("best validation score"));
}

#[test]
fn models_and_groups_that_do_not_fit_are_refused() {
    let place = fine_tuned();
    place.exits(&["evaluate", "side", "--by", "brigt"], 2, &["`brigt`", "`bright`"]);
    place.exits(&["evaluate", "side", "--compare", "nowhere"], 2, &["`nowhere` does not exist", "a run folder"]);
    place.exits(&["evaluate", "side", "--compare", "data"], 2, &["`data` holds no model"]);
    recipe(&place, "ask.toml", QUESTIONS);
    let sets = ["--set", "train.steps=1", "--set", "train.validate_every=0"];
    place.good(&[&["finetune", "ask.toml", "--model", "run", "--out", "ask"][..], &sets].concat());
    place.exits(&["evaluate", "side", "--compare", "ask"], 2, &["cannot be compared", "vqa", "classification"]);
    place.exits(&["evaluate", "side", "--zero-shot", "x.toml"], 2, &["--zero-shot", "fine-tuned"]);
    // Questions.
    place.exits(&["ask", "ask", "0.png", " "], 2, &["the question is empty"]);
    place.write("note.txt", "a note");
    let ran = place.good(&["ask", "ask", "note.txt", "Which side is bright?"]);
    assert!(ran.stdout.contains("from the question alone"), "{}", ran.stdout);
    let ran = place.good(&["ask", "ask", "note.txt", "Which side is bright?", "--json"]);
    assert_eq!(json(&ran.stdout)["without_image"], true);
    place.bad(&["ask", "ask", "note.txt"], &["it has no question", "QUESTION"]);
    place.exits(&["classify", "side", "0.png", "--top", "0"], 2, &["at least 1"]);
    // A best model that is not whole.
    let file = place.path("side/best/task.json");
    std::fs::rename(&file, place.path("away")).unwrap();
    for arguments in
        [&["evaluate", "side"][..], &["classify", "side", "0.png"], &["evaluate", "run", "--compare", "side"]]
    {
        place.bad(arguments, &["best/task.json` is missing", "side/bundle`"]);
    }
    std::fs::rename(place.path("away"), file).unwrap();
    place.good(&["classify", "side", "0.png"]);
}

#[test]
fn a_class_that_the_model_does_not_know_counts_as_wrong() {
    let place = fine_tuned();
    let mut table = "image,side,patient,split\n".to_string();
    for number in 0..12u32 {
        place.write(&format!("new{number}.png"), picture(number.is_multiple_of(2), 1000 + number));
        let side = ["left", "right", "middle"][number as usize % 3];
        table += &format!("new{number}.png,{side},p{number},test\n");
    }
    place.write("new.csv", table);
    place.good(&["prepare", "table", "new.csv", "new", "--label", "side"]);
    let report = json(&place.good(&["evaluate", "side", "--data", "new", "--json"]).stdout);
    let report = report["sources"].as_object().unwrap().values().next().unwrap().clone();
    assert_eq!((report["records"].as_u64(), report["unanswerable"].as_u64()), (Some(12), Some(4)), "{report}");
    assert!(report["scores"][0]["value"].as_f64() <= Some(8.0 / 12.0), "{report}");
    assert!(report["notes"].to_string().contains("4 of 12 records is not a class of the model (`middle`)"), "{report}");
}

#[test]
fn wrong_runs_seeds_and_lengths_are_refused() {
    let place = prepared();
    recipe(&place, "side.toml", SIDE);
    let start = ["finetune", "side.toml", "--model", "run", "--out", "x"];
    place.exits(&[&start[..], &["--seeds", "0,0"]].concat(), 2, &["seed 0 twice"]);
    place.exits(&[&start[..], &["--seeds", "0-2"]].concat(), 2, &["`0-2` is no seed", "0,1,2"]);
    place.bad(&["finetune", "--resume", "nowhere"], &["`nowhere` contains no run", "ptunifier finetune RECIPE"]);
    let text = std::fs::read_to_string(place.path("side.toml")).unwrap();
    place.write("side.toml", text.replace("steps = 200\n", ""));
    place.bad(&start, &["`train.steps` is missing", "epochs = 10"]);
    place.write("side.toml", text.replace("steps = 200", "steps = 200\nepochs = 2"));
    place.bad(&start, &["`train.epochs`", "remove one of them"]);
    place.write("side.toml", text.replace("steps = 200", "epochs = 2"));
    let ran = place.good(&[&start[..], &["--set", "train.steps=1"]].concat());
    assert!(
        ran.stdout.starts_with("finished: 1 steps") && ran.stderr.contains("not for the 2 epochs"),
        "{}",
        ran.stderr
    );
    // Data without a validation split.
    place.write("train.csv", "image,side,split\n0.png,left,train\n1.png,right,train\n2.png,left,train\n");
    place.good(&["prepare", "table", "train.csv", "only-train", "--label", "side"]);
    let sets = ["--set", "data=[\"only-train\"]", "--out", "y"];
    let refused = ["finetune", "side.toml", "--model", "run"];
    let ran = place.run(&[&refused[..], &sets].concat());
    assert!(!ran.success && ran.stderr.contains("contains no record to validate on"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("pair"), "{}", ran.stderr);
}
