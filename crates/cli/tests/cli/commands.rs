//! Commands from end to end on small data.

use crate::harness::{Place, bytes};

#[test]
fn pretrain_evaluate_inspect() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    let ran = place.good(&["pretrain", "r.toml", "--out", "run"]);
    assert!(ran.stdout.contains("finished: 6 steps"), "{}", ran.stdout);
    for file in
        ["recipe.toml", "log.jsonl", "timing.jsonl", "tokenizer.json", "bundle/config.json", "bundle/tokenizer.json"]
    {
        assert!(place.path("run").join(file).exists(), "{file}");
    }
    let log = String::from_utf8(bytes(&place.path("run/log.jsonl"))).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("\"event\":\"step\"")).count(), 6);
    assert_eq!(log.lines().filter(|line| line.contains("\"event\":\"validation\"")).count(), 2);
    assert!(log.contains("\"mlm\"") && log.contains("\"itm\"") && log.contains("\"itc\""));
    assert!(!log.contains("seconds"), "no clock in the log");

    let table = place.good(&["evaluate", "run"]).stdout;
    assert!(table.contains("image-to-text R@10") && table.contains("chance"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&place.good(&["evaluate", "run", "--json"]).stdout).unwrap();
    let recall = &json["sources"]["phantom"]["retrieval"]["image_to_text"]["r10"];
    assert!(recall["value"].is_number() && recall["chance"].is_number(), "{json}");
    let again = place.good(&["evaluate", "run/bundle", "--data", "data", "--hits", "cause", "--json"]).stdout;
    assert!(again.contains("\"r10\""), "{again}");

    let seen = place.good(&["inspect", "run", "--page", "page.html"]).stdout;
    assert!(seen.contains("6 of 6") && seen.contains("weights"), "{seen}");
    assert!(String::from_utf8(bytes(&place.path("page.html"))).unwrap().contains("</html>"));
    assert!(place.good(&["inspect", "data"]).stdout.contains("pairs"));
}

#[test]
fn any_subset_of_objectives_trains() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    for (out, objectives) in [("a", "[\"mlm\"]"), ("b", "[\"itc\"]"), ("c", "[\"itm\", \"mlm\"]")] {
        let set = format!("objectives={objectives}");
        place.good(&["pretrain", "r.toml", "--out", out, "--set", &set, "--set", "train.steps=2"]);
    }
    let log = |run: &str| String::from_utf8(bytes(&place.path(&format!("{run}/log.jsonl")))).unwrap();
    assert!(log("b").contains("itc") && !log("b").contains("mlm"));
    // What a model never learned it is neither judged by nor asked.
    assert!(log("a").contains("\"mlm\":{\"value\"") && log("b").contains("\"retrieval\":{"), "{}", log("a"));
    let scores = |run: &str| -> serde_json::Value {
        let scores: serde_json::Value =
            serde_json::from_str(&place.good(&["evaluate", run, "--json", "--page", "page.html"]).stdout).unwrap();
        scores["sources"]["phantom"].clone()
    };
    for (run, scored) in [("a", "mlm"), ("b", "retrieval"), ("c", "itm mlm")] {
        let scores = scores(run);
        for name in ["mlm", "retrieval", "itm"] {
            assert_eq!(scores.get(name).is_some(), scored.contains(name), "{run} {name}: {scores}");
        }
    }
    assert!(!place.good(&["evaluate", "a"]).stdout.contains("R@"));
    assert!(!place.good(&["evaluate", "b"]).stdout.contains("MLM"));
    place.bad(&["evaluate", "b", "--rerank", "5"], &["matching", "`itm`"]);
    place.bad(&["evaluate", "c", "--rerank", "5"], &["`itc`"]);
    place.bad(&["evaluate", "b", "--missing"], &["missing", "`mlm`", "label"]);
    place.bad(&["evaluate", "a", "--label", "finding", "--sentence", "{}"], &["sentences", "`itc`"]);
    place.good(&["evaluate", "b", "--missing", "--label", "finding"]);
    for command in [&["inspect", "a"][..], &["watch", "a", "--once"]] {
        let seen = place.good(command);
        assert!(seen.stdout.contains("MLM accuracy"), "{command:?}: {}", seen.stdout);
    }
}

#[test]
fn a_run_on_halves_counts_what_it_cannot_use() {
    let place = Place::new();
    place.recipe();
    place.good(&[
        "prepare",
        "phantom",
        "data",
        "--pairs",
        "80",
        "--side",
        "32",
        "--image-missing",
        "0.3",
        "--text-missing",
        "0.3",
    ]);
    let ran = place.good(&["pretrain", "r.toml", "--out", "run"]);
    assert!(ran.stderr.contains("images without a text"), "{}", ran.stderr);
    let log = String::from_utf8(bytes(&place.path("run/log.jsonl"))).unwrap();
    assert!(log.contains("\"unused\":{\"images alone\""), "{log}");
}

#[test]
fn two_sources_with_weights() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["prepare", "phantom", "other", "--pairs", "60", "--seed", "9", "--side", "32"]);
    place.write(
        "two.toml",
        crate::harness::RECIPE.replace("[\"data\"]", "[\"data\", { path = \"other\", weight = 3.0 }]"),
    );
    place.good(&["pretrain", "two.toml", "--out", "run"]);
    assert!(place.path("run/bundle/model.safetensors").exists());
}

#[test]
fn accumulation_saves_memory_and_still_learns() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.accumulate=2", "--set", "optimizer.clip=1.0"]);
}

/// Every further score, of one model, of two compared, of several as one.
#[test]
fn evaluate_on_request() {
    let place = Place::new();
    place.good(&["prepare", "phantom", "data", "--pairs", "300", "--seed", "5", "--side", "32"]);
    place.recipe();
    let pretrain = |out: &str, seed: &str| {
        place.good(&["pretrain", "r.toml", "--out", out, "--set", "train.steps=4", "--set", seed])
    };
    pretrain("a", "seed=0");
    pretrain("b", "seed=1");
    let all = ["--label", "finding", "--sentence", "The image shows {}.", "--rerank", "5", "--missing", "--json"];
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&place.good(&[&["evaluate"], arguments].concat()).stdout).unwrap()
    };
    let scores = &json(&[&["a", "--page", "page.html"], &all[..]].concat())["sources"]["phantom"];
    for path in [
        "/reranked/image_to_text/r10/value",
        "/mlm/own_image/perplexity/low",
        "/mlm/wrong_image/accuracy/value",
        "/mlm/no_image/perplexity/chance",
        "/labels/finding/by_sentences/value",
        "/labels/finding/neighbours/value",
        "/labels/finding/linear/high",
    ] {
        assert!(scores.pointer(path).is_some_and(serde_json::Value::is_number), "{path}: {scores}");
    }
    let curves = scores["missing"].as_array().unwrap();
    assert_eq!(curves.len(), 3 + 2 * 2 * 3);
    assert!(curves.iter().all(|curve| curve["points"].as_array().unwrap().len() == 5));
    let start = |place: usize| curves[place]["points"][0].clone();
    assert!(start(0) == start(1) && start(1) == start(2), "nothing is away yet");
    let page = String::from_utf8(bytes(&place.path("page.html"))).unwrap();
    assert!(page.contains("with missing images"));

    let compared = &json(&["a", "--compare", "b", "--json"])["compared"];
    assert!(compared[0]["difference"]["low"].is_number(), "{compared}");
    let own = &json(&["a", "--compare", "a", "--json"])["compared"];
    assert!(own.as_array().unwrap().iter().all(|one| one["difference"]["value"] == 0.0), "{own}");
    let spread = &json(&["a", "b", "--json"])["spread"];
    assert!(spread[0]["mean"].is_number() && spread[0]["deviation"].is_number(), "{spread}");
    place.bad(&["evaluate", "a", "--label", "mood"], &["`mood`", "data"]);
}

/// What a model has learned from is no test of it.
#[test]
fn learned_records_are_not_scored() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=2"]);
    place.bad(&["evaluate", "run", "--split", "train"], &["learned from", "--force"]);
    place.good(&["evaluate", "run", "--split", "train", "--force"]);
    // The same records, split otherwise: the model is evaluated on patients that it was trained on.
    place.good(&["prepare", "phantom", "other", "--pairs", "60", "--seed", "5", "--side", "32", "--test", "30"]);
    place.bad(&["evaluate", "run", "--data", "other"], &["other", "learned from", "phantom-"]);
}

#[test]
fn a_run_is_watched() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run"]);
    let seen = place.good(&["watch", "run", "--once", "--page", "page.html"]).stdout;
    assert!(seen.contains("step 6 of 6") && seen.contains("mlm loss") && seen.contains('▁'), "{seen}");
    assert!(place.path("page.html").exists());
    assert!(place.good(&["watch", "run"]).stdout.contains("done"), "a finished run ends the watch");
    place.bad(&["watch", "data"], &["data", "not a run folder"]);
}

#[test]
fn the_machine_is_examined() {
    let place = Place::new();
    place.recipe();
    let seen = place.good(&["doctor", "r.toml"]).stdout;
    assert!(seen.contains("self-test") && seen.contains("agree with PyTorch") && seen.contains("is ready"), "{seen}");
    place.bad(&["doctor", "r.toml", "--set", "train.batch=1048576"], &["not ready"]);
}

#[test]
fn shells_and_manuals_know_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.good(&["completions", shell]).stdout;
        assert!(script.contains("pretrain") && script.contains("search"), "{shell}");
    }
    place.good(&["man", "pages"]);
    let page = String::from_utf8(bytes(&place.path("pages/ptunifier-prepare-table.1"))).unwrap();
    assert!(page.contains("skip"), "{page}");
}

#[test]
fn help_has_examples() {
    let place = Place::new();
    for command in [
        &["--help"][..],
        &["pretrain", "--help"],
        &["prepare", "table", "--help"],
        &["evaluate", "--help"],
        &["embed", "--help"],
        &["search", "--help"],
        &["import", "--help"],
        &["watch", "--help"],
        &["doctor", "--help"],
    ] {
        let help = place.good(command).stdout;
        assert!(help.contains("Example"), "{command:?}: {help}");
    }
}

/// The main job on a small scale: a page comes out, and the last line is what scripts read.
#[test]
fn quickstart_ends_with_its_line() {
    let place = Place::new();
    let sets = ["train.steps=2", "train.validate_every=0", "train.batch=8"].map(|set| ["--set", set]).concat();
    place.write("data/letter.txt", "dear");
    let ran = place.good(&[&["quickstart", "--out", "q", "--pairs", "100"], &sets[..]].concat());
    let last = ran.stdout.lines().last().unwrap();
    let words: Vec<&str> = last.split(' ').collect();
    assert_eq!(
        (words[0], words[1], words[2], words[4], words[6], words[8]),
        ("quickstart:", "R@10", "image-to-text", "text-to-image", "chance", "N")
    );
    assert_eq!(words[9], "200");
    for number in [words[3], words[5], words[7]] {
        assert!((0.0..=1.0).contains(&number.parse::<f64>().unwrap()), "{last}");
    }
    let page = String::from_utf8(bytes(&place.path("q/report.html"))).unwrap();
    assert!(page.contains("data:image/png;base64") && !page.contains("<script"));
    place.bad(&["quickstart", "--out", "data"], &["not empty"]);
}
