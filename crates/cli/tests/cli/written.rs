//! Fine-tuning of tasks that write texts: reports from images, summaries from texts.

use std::process::Stdio;
use std::time::Duration;

use ptu_data::InputForm;

use crate::finetune::{json, picture, recipe};
use crate::harness::{Place, bytes};

/// Shards in `data` with reports about the bright side of an image, and a pre-trained model in `run`.
fn prepared() -> Place {
    let place = Place::new();
    let mut table = "image,findings,impression,patient,split\n".to_string();
    for number in 0..160u32 {
        let (left, lung) = (number.is_multiple_of(2), number / 2 % 3);
        let (side, lung) = (if left { "left" } else { "right" }, ["clear", "hazy", "dark"][lung as usize]);
        let split = ["train", "train", "train", "train", "train", "train", "validate", "test"][number as usize / 2 % 8];
        place.write(&format!("{number}.png"), picture(left, number));
        table += &format!(
            "{number}.png,The {side} side is bright. Both lungs are {lung}.,The bright side is {side}.,p{number},{split}\n"
        );
    }
    place.write("pairs.csv", table);
    place.good(&["prepare", "table", "pairs.csv", "data", "--text", "findings", "--text", "impression"]);
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=2", "--set", "train.validate_every=0"]);
    place
}

const REPORT: &str = "[task]\nkind = \"report\"\ntarget = \"impression\"\ninput = \"image\"\n\
                      [task.generation]\nmax_length = 12\nstrategy = { kind = \"beam\", num_beams = 2 }\n";
const SUMMARY: &str =
    "[task]\nkind = \"summary\"\n[task.generation]\nmax_length = 12\nstrategy = { kind = \"greedy\" }\n";

#[test]
fn reports_and_summaries_are_learned_written_and_scored() {
    let place = prepared();
    recipe(&place, "report.toml", REPORT);
    place.good(&["finetune", "report.toml", "--model", "run", "--out", "report", "--set", "train.steps=500"]);
    let report = json(&place.good(&["evaluate", "report", "--json"]).stdout);
    let report = &report["sources"]["pairs"];
    let bleu = &report["scores"][0];
    assert_eq!(bleu["name"], "BLEU-4");
    assert!(bleu["value"].as_f64() >= Some(0.8) && bleu["low"].is_number(), "{report}");
    assert!(report["baseline"]["difference"]["low"].as_f64() > Some(0.0), "{report}");
    assert_eq!(report["baseline"]["name"], "most frequent report");
    assert_eq!(report["receipt"]["decoding"]["strategy"]["num_beams"], 2);
    let costs: Vec<f64> = report["reliance"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["metric"] == "BLEU-4")
        .map(|one| one["cost"]["value"].as_f64().unwrap())
        .collect();
    assert!(costs.len() == 2 && costs.iter().all(|cost| *cost > 0.0), "blank and other image: {report}");
    let predictions = String::from_utf8(bytes(&place.path("report/predictions.jsonl"))).unwrap();
    let first = json(predictions.lines().next().unwrap());
    assert!(first["text"].is_string() && first["reference"].is_string() && first["probabilities"].is_null(), "{first}");
    let short = json(&place.good(&["evaluate", "report", "--greedy", "--max-length", "4", "--json"]).stdout);
    let short = &short["sources"]["pairs"];
    assert!(short["scores"][0]["value"].as_f64() < bleu["value"].as_f64(), "{short}");
    assert_eq!(short["receipt"]["decoding"]["strategy"]["kind"], "greedy");
    assert_eq!(short["receipt"]["decoding"]["max_length"], 4);
    let saved = String::from_utf8(bytes(&place.path("report/predictions.jsonl"))).unwrap();
    assert_eq!(saved, predictions, "scores of texts that are generated in another way are not saved");
    let ran = place.good(&["report", "report", "2.png"]);
    assert_eq!(ran.stdout, "2.png\n  the bright side is left.\n");
    let sampled = |seed: &str| {
        place.good(&["report", "report", "3.png", "--sample", "--temperature", "3", "--seed", seed, "--json"]).stdout
    };
    assert_eq!(sampled("1"), sampled("1"));
    assert!((2..9).any(|seed| sampled(&seed.to_string()) != sampled("1")));

    recipe(&place, "summary.toml", SUMMARY);
    place.good(&["finetune", "summary.toml", "--model", "run", "--out", "summary", "--set", "train.steps=500"]);
    let report = json(&place.good(&["evaluate", "summary", "--json"]).stdout);
    let report = &report["sources"]["pairs"];
    assert_eq!((&report["scores"][0]["name"], report["reliance"].as_array().unwrap().len()), (&"ROUGE-L".into(), 0));
    assert!(report["scores"][0]["value"].as_f64() >= Some(0.9), "{report}");
    assert!(report["baseline"]["name"] == "first sentence" || report["baseline"]["name"] == "most frequent summary");
    place.write("findings.txt", "The right side is bright. Both lungs are hazy.");
    assert_eq!(
        place.good(&["summarise", "summary", "findings.txt"]).stdout,
        "findings.txt\n  the bright side is right.\n"
    );
    let ran = place.good(&["summarise", "summary", "data", "--split", "test", "--json"]);
    assert_eq!(ran.stdout.lines().count(), 20);
    let line = json(ran.stdout.lines().next().unwrap());
    assert_eq!((&line["kind"], &line["finished"]), (&"summary".into(), &true.into()), "{line}");
    refused(&place);
}

/// Wrong requests.
fn refused(place: &Place) {
    place.bad(&["report", "summary", "2.png"], &["fine-tuned for summary", "ptunifier summarise summary"]);
    place.bad(&["summarise", "report", "findings.txt"], &["fine-tuned for report", "ptunifier report report"]);
    place.bad(&["classify", "report", "2.png"], &["fine-tuned for report", "ptunifier report"]);
    place.bad(&["summarise", "summary", "2.png"], &["it has no text"]);
    place.bad(&["report", "run", "2.png"], &["finetune"]);
    for (options, words) in [
        (&["--num-beams", "0"][..], &["`--num-beams`"][..]),
        (&["--max-length", "1"], &["`--max-length`"]),
        (&["--max-length", "4000"], &["`--max-length` is 4000", "position embeddings"]),
        (&["--sample", "--temperature", "0"], &["`--temperature`"]),
        (&["--greedy", "--length-penalty", "2"], &["--num-beams"]),
        (&["--top-k", "5"], &["--sample"]),
    ] {
        place.exits(&[&["report", "report", "2.png"][..], options].concat(), 2, words);
        place.exits(&[&["evaluate", "report"][..], options].concat(), 2, words);
    }
    place.exits(&["evaluate", "run", "--greedy"], 2, &["writes no texts"]);
    let wrong = |set: &str, words: &[&str]| {
        place.bad(&["finetune", "report.toml", "--model", "run", "--out", "x", "--set", set], words);
        assert!(!place.path("x/recipe.toml").exists());
    };
    wrong("task.generation.strategy.num_beams=0", &["task.generation.num_beams"]);
    wrong("task.generation.max_length=4000", &["task.generation.max_length", "at most"]);
    wrong("task.target=\"caption\"", &["no training record", "task.target"]);
    wrong("task.input=\"sentences\"", &["task.input", InputForm::Pair.name()]);
}

#[test]
fn a_killed_run_of_a_decoder_gives_the_same_bits() {
    let place = prepared();
    recipe(&place, "report.toml", REPORT);
    let sets = ["--set", "train.steps=40", "--set", "train.validate_every=10"];
    place.good(&[&["finetune", "report.toml", "--model", "run", "--out", "whole"][..], &sets].concat());
    for kill in 0..5 {
        let resumed =
            [&["finetune", "report.toml", "--model", "run", "--out", "killed", "--resume"][..], &sets].concat();
        let mut child = place.command(&resumed).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if kill == 4 {
            assert!(child.wait().unwrap().success());
            break;
        }
        std::thread::sleep(Duration::from_millis(300 + 150 * kill));
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
    }
    for file in ["bundle/model.safetensors", "best/model.safetensors", "best/task.json", "log.jsonl", "recipe.toml"] {
        let [one, other] = ["whole", "killed"].map(|run| bytes(&place.path(&format!("{run}/{file}"))));
        assert_eq!(one, other, "{file} differs");
    }
}
