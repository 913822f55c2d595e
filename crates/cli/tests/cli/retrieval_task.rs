//! Fine-tuning for image-text retrieval, its evaluation, and the command `match`.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Place, bytes};

const RETRIEVAL: &str = r#"
data = ["data"]
[task]
kind = "retrieval"
negatives = 3
validation_pairs = 8
[text]
max_tokens = 24
[train]
steps = 4
batch = 8
validate_every = 2
save_every = 1
[optimizer]
learning_rate = 1e-3
fusion = 1.0
head = 1.0
[evaluate]
hits = "cause"
[model]
dropout = 0.1
"#;

/// Phantom pairs in `data`, a pre-trained model in `run`, and a recipe for retrieval in `x.toml`.
fn prepared() -> Place {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=2", "--set", "train.validate_every=0"]);
    place.write("x.toml", RETRIEVAL);
    place
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(json).collect()
}

#[test]
fn retrieval_is_fine_tuned_evaluated_and_matched() {
    let place = prepared();
    let ran = place.good(&["finetune", "x.toml", "--model", "run", "--out", "found"]);
    assert!(ran.stdout.starts_with("finished: 4 steps"), "{}", ran.stdout);
    assert!(ran.stderr.contains("training starts from") && !ran.stderr.contains("new and random"), "{}", ran.stderr);
    assert!(ran.stderr.contains("mean recall"), "{}", ran.stderr);
    let task = json(&String::from_utf8(bytes(&place.path("found/best/task.json"))).unwrap());
    assert_eq!((&task["output"]["kind"], &task["output"]["negatives"]), (&"retrieval".into(), &3.into()));
    let log = String::from_utf8(bytes(&place.path("found/log.jsonl"))).unwrap();
    let step = lines(&log).into_iter().find(|line| line["event"] == "step").unwrap();
    let measured = step.to_string();
    assert!(measured.contains("\"retrieval\""), "{measured}");
    evaluated(&place);
    matched(&place);
}

/// The saved scores are those of the saved ranks and of the TREC files.
fn evaluated(place: &Place) {
    let ran = place.good(&["evaluate", "found"]);
    assert!(ran.stdout.contains("retrieval by the ranking score of all pairs"), "{}", ran.stdout);
    let report = json(&place.good(&["evaluate", "found", "--json", "--compare", "run", "--rerank", "50"]).stdout);
    let scores = &report["sources"]["phantom"];
    assert_eq!(scores["scored_on"]["protocol"], "ranking", "{scores}");
    assert!(scores["itm"].is_null() && scores["reranked"].is_null(), "{scores}");
    let compared: Vec<&str> =
        report["compared"].as_array().unwrap().iter().map(|one| one["score"].as_str().unwrap()).collect();
    for score in ["image-to-text R@1", "image-to-text R@1, other reranked", "text-to-image MRR"] {
        assert!(compared.contains(&score), "{compared:?}");
    }
    let saved = json(&String::from_utf8(bytes(&place.path("found/scores.json"))).unwrap());
    let saved = &saved["phantom"]["retrieval"];
    let ranks = lines(&String::from_utf8(bytes(&place.path("found/rankings/ranks.jsonl"))).unwrap());
    let pairs = scores["pairs"].as_u64().unwrap() as usize;
    assert_eq!(ranks.len(), 2 * pairs);
    for (direction, key) in [("image-to-text", "image_to_text"), ("text-to-image", "text_to_image")] {
        let of: Vec<f64> = ranks
            .iter()
            .filter(|line| line["direction"] == direction)
            .map(|line| line["rank"].as_u64().unwrap() as f64)
            .collect();
        let mrr = of.iter().map(|rank| 1.0 / rank).sum::<f64>() / of.len() as f64;
        let first = of.iter().filter(|rank| **rank == 1.0).count() as f64 / of.len() as f64;
        let close = |score: &Value, wanted: f64| (score["value"].as_f64().unwrap() - wanted).abs() < 1e-12;
        assert!(close(&saved[key]["mrr"], mrr) && close(&saved[key]["r1"], first), "{saved}");
        assert_eq!(reciprocal_ranks(place, direction).len(), pairs);
        let read: f64 = reciprocal_ranks(place, direction).values().sum();
        assert!((read / pairs as f64 - mrr).abs() < 1e-9, "the files say {read}");
    }
    place.exits(&["evaluate", "found", "--rerank", "3"], 2, &["--rerank", "ranks all pairs", "--compare"]);
    place.exits(&["evaluate", "run", "found"], 2, &["`found` is fine-tuned for retrieval", "--compare"]);
    place.exits(&["evaluate", "found", "found", "--trec", "files"], 2, &["--trec", "one model"]);
    place.good(&["evaluate", "run", "--trec", "files"]);
    assert!(place.path("files/phantom-text-to-image.qrels").exists(), "a pre-trained model has rankings too");
    let report = json(&place.good(&["evaluate", "run", "--trec", "files", "--rerank", "5", "--json"]).stdout);
    let ranks = String::from_utf8(bytes(&place.path("files/ranks.jsonl"))).unwrap();
    for (key, direction) in [("image_to_text", "image-to-text-reranked"), ("text_to_image", "text-to-image-reranked")] {
        let ranks: Vec<Value> = ranks.lines().map(json).filter(|line| line["direction"] == direction).collect();
        let first = ranks.iter().filter(|line| line["rank"] == 1).count() as f64 / ranks.len() as f64;
        let scored = report["sources"]["phantom"]["reranked"][key]["r1"]["value"].as_f64().unwrap();
        assert!((scored - first).abs() < 1e-12, "{direction}: {scored} {first}");
    }
    place.good(&["inspect", "found", "--page", "found.html"]);
    let page = String::from_utf8(bytes(&place.path("found.html"))).unwrap();
    assert!(page.contains("scores it together with each text") && !page.contains("no scores yet"));
}

/// 1 / rank of the first hit of each query, from the run file and the judgements.
fn reciprocal_ranks(place: &Place, direction: &str) -> BTreeMap<String, f64> {
    let read = |ending: &str| {
        let file = place.path(&format!("found/rankings/phantom-{direction}.{ending}"));
        String::from_utf8(bytes(&file)).unwrap()
    };
    let (run, judgements) = (read("run"), read("qrels"));
    let columns = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
    let hits: Vec<(String, String)> = judgements
        .lines()
        .map(|line| {
            let columns = columns(line);
            assert_eq!((columns.len(), columns[1].as_str(), columns[3].as_str()), (4, "0", "1"));
            (columns[0].clone(), columns[2].clone())
        })
        .collect();
    let mut found: BTreeMap<String, f64> = BTreeMap::new();
    for line in run.lines() {
        let columns = columns(line);
        assert_eq!((columns.len(), columns[1].as_str()), (6, "Q0"));
        let rank: f64 = columns[3].parse().unwrap();
        if hits.contains(&(columns[0].clone(), columns[2].clone())) {
            found.entry(columns[0].clone()).or_insert(1.0 / rank);
        }
    }
    found
}

/// Scores of images and texts on the command line.
fn matched(place: &Place) {
    let scored = lines(&place.good(&["match", "found", "data", "--split", "test", "--json"]).stdout);
    assert!(scored.len() > 8 && scored.iter().all(|line| line["score"].is_number() && line["rank"].is_null()));
    let probable = lines(&place.good(&["match", "run", "data", "--split", "test", "--json"]).stdout);
    assert_eq!(scored.len(), probable.len());
    assert!(probable.iter().all(|line| (0.0..=1.0).contains(&line["probability"].as_f64().unwrap())));
    // Several texts for one image, and the same for a folder of images.
    let image = crate::vectors::png(32, &(0..32 * 32).map(|place| (place % 251) as u8).collect::<Vec<u8>>());
    place.write("images/a.png", &image);
    place.write("images/broken.png", b"no image");
    place.write("texts.txt", "no finding\n\na mass on the left\n");
    let call = ["match", "found", "images/a.png", "an effusion", "--texts", "texts.txt", "--json"];
    let ranked = lines(&place.good(&call).stdout);
    let values: Vec<f64> = ranked.iter().map(|line| line["score"].as_f64().unwrap()).collect();
    assert!(values.len() == 3 && values.is_sorted_by(|one, other| one >= other), "{values:?}");
    assert_eq!(ranked.iter().map(|line| line["rank"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    let alone = lines(&place.good(&["match", "found", "images/a.png", "no finding", "--json"]).stdout);
    let same = ranked.iter().find(|line| line["text"] == "no finding").unwrap();
    assert!((alone[0]["score"].as_f64().unwrap() - same["score"].as_f64().unwrap()).abs() < 1e-4);
    let ran = place.exits(&["match", "run", "images", "no finding"], 3, &["broken.png", "probability"]);
    assert!(ran.stdout.contains("a.png\n") && ran.stdout.contains("no finding"), "{}", ran.stdout);
    place.exits(&["match", "found", "images/a.png", " "], 2, &["text is empty"]);
    place.bad(&["match", "found", "images/a.png"], &["it has no text", "no input was scored"]);
    place.bad(&["match", "found", "images/a.png", "--texts", "nothing.txt"], &["nothing.txt"]);
    place.write("empty.txt", "\n");
    place.bad(&["match", "found", "images/a.png", "--texts", "empty.txt"], &["empty.txt", "holds no text"]);
    // Commands for other tasks name the one for this task, and the reverse.
    place.bad(&["classify", "found", "images/a.png"], &["fine-tuned for retrieval", "ptunifier match"]);
    place.bad(&["ask", "found", "images/a.png", "which?"], &["fine-tuned for retrieval", "ptunifier match"]);
    let sets = ["--set", "objectives=[\"mlm\"]", "--set", "train.steps=1", "--set", "train.validate_every=0"];
    place.good(&[&["pretrain", "r.toml", "--out", "words"][..], &sets].concat());
    place.bad(&["match", "words", "images/a.png", "no finding"], &["neither", "itm", "phantom-retrieval.toml"]);
}

#[test]
fn a_killed_retrieval_run_gives_the_same_bits() {
    let place = prepared();
    let steps = ["--set", "train.steps=40", "--set", "train.validate_every=10"];
    place.good(&[&["finetune", "x.toml", "--model", "run", "--out", "whole"][..], &steps].concat());
    let mut kills = 0;
    loop {
        let arguments = [&["finetune", "x.toml", "--model", "run", "--out", "killed", "--resume"][..], &steps].concat();
        let mut child = place.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(150 + 90 * kills));
        if kills >= 3 || child.try_wait().unwrap().is_some() {
            assert!(child.wait().unwrap().success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    for file in ["bundle/model.safetensors", "best/model.safetensors", "best/task.json", "log.jsonl", "recipe.toml"] {
        let [one, other] = ["whole", "killed"].map(|run| bytes(&place.path(&format!("{run}/{file}"))));
        assert_eq!(one, other, "{file} differs");
    }
}

#[test]
fn what_retrieval_cannot_learn_from_is_refused() {
    let place = prepared();
    let call = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().flat_map(|set| ["--set".to_string(), (*set).to_string()]).collect();
        ["finetune", "x.toml", "--model", "run", "--out", "x"]
            .map(String::from)
            .into_iter()
            .chain(sets)
            .collect::<Vec<_>>()
    };
    let refused = |sets: &[&str], words: &[&str]| {
        let call = call(sets);
        place.bad(&call.iter().map(String::as_str).collect::<Vec<_>>(), words);
        assert!(!place.path("x/recipe.toml").exists());
    };
    refused(&["train.batch=1"], &["other pairs of the batch", "`train.batch` is 1", "raise"]);
    refused(&["train.accumulate=8"], &["divided by `train.accumulate`", "lower"]);
    refused(&["task.negatives=0"], &["task.negatives", "at least 1"]);
    refused(&["task.validation_pairs=1"], &["task.validation_pairs", "at least 2"]);
    refused(&["task.negative=3"], &["negative"]);
    place.write("same.csv", "image,text,split\na.png,normal,train\nb.png,Normal,train\nc.png,normal,validate\n");
    for (name, level) in [("a", 10u8), ("b", 90), ("c", 200)] {
        let levels: Vec<u8> = (0..32 * 32).map(|place| level.wrapping_add((place % 31) as u8)).collect();
        place.write(&format!("{name}.png"), crate::vectors::png(32, &levels));
    }
    place.good(&["prepare", "table", "same.csv", "same", "--text", "text"]);
    refused(&["data=[\"same\"]"], &["all training pairs have the same text"]);
    // Fewer false texts than asked for are used, and a note says so.
    let few = call(&["task.negatives=15", "train.steps=1", "train.validate_every=0"]);
    let ran = place.good(&few.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(ran.stderr.contains("at most 7 false texts, not 15"), "{}", ran.stderr);
}
