//! Each recipe of `recipes/finetune/` runs from its start to its end on a small imitation of its data set: `prepare` from the files as they are
//! downloaded, two steps, then the scores, then an answer from the command line.

use std::path::Path;

use ptu_data::{ShardFolder, Source, Split};
use serde_json::Value;

use crate::downloads;
use crate::harness::Place;

/// The recipes, with the data sets that each one reads.
const RECIPES: [(&str, &[&str]); 12] = [
    ("vqa-rad", &["vqa-rad"]),
    ("slake", &["slake"]),
    ("medvqa-2019", &["medvqa2019"]),
    ("chexpert", &["chexpert"]),
    ("rsna", &["rsna"]),
    ("nli", &["radnli"]),
    ("chemprot", &["chemprot"]),
    ("melinda", &["melinda"]),
    ("report", &["mimic-cxr"]),
    ("summary", &["mimic-cxr"]),
    ("summary-pair", &["mimic-cxr"]),
    ("retrieval-roco", &["roco"]),
];

/// Number of inputs that a task has in the training split: its questions for `vqa`, otherwise its records.
fn inputs(place: &Place, source: &str, recipe: &str) -> usize {
    let Ok(shards) = ShardFolder::open(&place.path(source), Split::Train) else { return 0 };
    let questions = || (0..shards.len()).map(|index| shards.get(index).unwrap().questions.len()).sum();
    if recipe.contains("\"vqa\"") { questions() } else { shards.len() }
}

/// The command that uses a model of this recipe.
fn command_of(recipe: &str) -> &'static str {
    let commands =
        [("\"vqa\"", "ask"), ("\"report\"", "report"), ("\"summary\"", "summarise"), ("\"retrieval\"", "match")];
    commands.into_iter().find(|(kind, _)| recipe.contains(kind)).map_or("classify", |(_, command)| command)
}

/// A pre-trained model in `run`.
fn pretrained() -> Place {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=1", "--set", "train.validate_every=0"]);
    place
}

#[test]
fn every_recipe_runs_on_an_imitation_of_its_data() {
    let place = pretrained();
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/finetune");
    let mut tried = vec![];
    for (name, sources) in RECIPES {
        tried.push(format!("{name}.toml"));
        let missing = sources.iter().filter(|source| !place.path(source).exists());
        missing.for_each(|source| drop(downloads::prepare(&place, source, source)));
        let recipe = recipes.join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&recipe).unwrap();
        let data: Vec<String> = sources.iter().map(|source| format!("\"{source}\"")).collect();
        assert!(sources.iter().all(|source| text.contains(&format!("\"data/{source}\""))), "{name}: {text}");
        // Two steps of eight inputs, at the size of the small model.
        let inputs: usize = sources.iter().map(|source| inputs(&place, source, &text)).sum();
        let epochs = format!("train.epochs={}", 16.0 / inputs as f64);
        let (data, out) = (format!("data=[{}]", data.join(", ")), format!("run-{name}"));
        let mut sets = vec!["train.batch=8", &epochs, &data, "text.max_tokens=24"];
        if text.contains("[model.image]") {
            sets.push("model.image.size=32");
        }
        if text.contains("[task.generation]") {
            sets.push("task.generation.max_length=16");
        }
        let sets: Vec<&str> = sets.into_iter().flat_map(|set| ["--set", set]).collect();
        let ran =
            place.good(&[&["finetune", recipe.to_str().unwrap(), "--model", "run", "--out", &out][..], &sets].concat());
        assert!(ran.stdout.starts_with("finished: 2 steps"), "{name}: {}", ran.stdout);
        let report: Value = serde_json::from_str(&place.good(&["evaluate", &out, "--json"]).stdout).unwrap();
        for source in sources {
            let report = &report["sources"][source];
            let score = if name.starts_with("retrieval") {
                &report["retrieval"]["image_to_text"]["r1"]
            } else {
                &report["scores"][0]
            };
            assert!(score["value"].is_number(), "{name}: {report}");
        }
        let ran = place.good(&[command_of(&text), &out, sources[0], "--split", "test", "--json"]);
        assert!(ran.stdout.lines().count() >= 8, "{name}: {}", ran.stdout);
        let line: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
        let kind = ["classes", "labels", "answers"].into_iter().find(|kind| line[*kind].is_array());
        let number = kind.map_or(&line["score"], |kind| &line[kind][0]["probability"]);
        assert!(number.is_number() || line["text"].is_string(), "{name}: {line}");
    }
    // A recipe that is added is tried too. Those of the phantom corpus and of `cargo xtask real-tasks` have tests of their own.
    for entry in std::fs::read_dir(recipes).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let elsewhere = ["phantom-", "real-"].iter().any(|start| file.starts_with(start))
            || ["table.toml", "vqa-rad-tiny.toml"].contains(&file.as_str());
        assert!(elsewhere || tried.contains(&file), "{file} has no imitation");
    }
}

/// The recipes of the phantom corpus.
#[test]
fn the_recipes_of_the_phantom_corpus_run() {
    let place = pretrained();
    for name in ["phantom-finding", "phantom-questions", "phantom-retrieval"] {
        let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../recipes/finetune/{name}.toml"));
        let sets = ["data=[\"data\"]", "train.epochs=0.01", "train.batch=8", "text.max_tokens=24"];
        let sets: Vec<&str> = sets.into_iter().flat_map(|set| ["--set", set]).collect();
        place.good(&[&["finetune", recipe.to_str().unwrap(), "--model", "run", "--out", name][..], &sets].concat());
        let command = command_of(&std::fs::read_to_string(recipe).unwrap());
        place.good(&[command, name, "data", "--split", "test"]);
    }
}

/// Labels of the recipes for single films of `cargo xtask real-tasks`, with two values each.
const LABELS: [(&str, [&str; 2]); 9] = [
    ("class", ["normal", "viral"]),
    ("modality", ["CT", "PET"]),
    ("COVID-19", ["positive", "negative"]),
    ("Atelectasis", ["positive", "negative"]),
    ("Edema", ["positive", "negative"]),
    ("Effusion", ["negative", "positive"]),
    ("Infiltration", ["positive", "negative"]),
    ("No Finding", ["negative", "positive"]),
    ("Pneumonia", ["positive", "negative"]),
];

/// The recipes of `cargo xtask real-tasks`, on tables of the same columns.
#[test]
fn the_recipes_of_real_tasks_run() {
    let place = pretrained();
    let names: Vec<&str> = LABELS.iter().map(|(name, _)| *name).collect();
    let mut table = format!("image,patient,{}\n", names.join(","));
    for number in 0..60 {
        downloads::picture(&place, &format!("{number}.png"), number);
        let values: Vec<&str> = LABELS.iter().map(|(_, values)| values[number % 2]).collect();
        table += &format!("{number}.png,p{number},{}\n", values.join(","));
    }
    place.write("films.csv", table);
    let labels = names.iter().flat_map(|name| ["--label", name]);
    place.good(&["prepare", "table", "films.csv", "films"].into_iter().chain(labels).collect::<Vec<_>>());
    for source in ["vqa-rad", "mimic-cxr"] {
        downloads::prepare(&place, source, source);
    }
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/finetune");
    for (name, source) in [
        ("real-kermany", "films"),
        ("real-nih", "films"),
        ("real-covid", "films"),
        ("real-modality", "films"),
        ("real-questions", "vqa-rad"),
        ("real-vqa-rad", "vqa-rad"),
        ("real-impression", "mimic-cxr"),
    ] {
        let recipe = recipes.join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&recipe).unwrap();
        let data = format!("data=[\"{source}\"]");
        let mut sets =
            vec![data.as_str(), "train.epochs=0.5", "train.batch=8", "text.max_tokens=24", "train.validate_every=0"];
        if text.contains("[task.generation]") {
            sets.push("task.generation.max_length=16");
        }
        let sets: Vec<&str> = sets.into_iter().flat_map(|set| ["--set", set]).collect();
        place.good(&[&["finetune", recipe.to_str().unwrap(), "--model", "run", "--out", name][..], &sets].concat());
        let ran = place.good(&[command_of(&text), name, source, "--split", "test"]);
        assert!(!ran.stdout.is_empty(), "{name}");
    }
}

/// The recipe for a label column of a user's table, with each input.
#[test]
fn the_recipe_for_a_table_runs() {
    let place = pretrained();
    let mut table = "image,text,finding,patient\n".to_string();
    for number in 0..60 {
        downloads::picture(&place, &format!("{number}.png"), number);
        let finding = ["effusion", "nodule"][number % 2];
        table += &format!("{number}.png,there is an {finding} in case {number},{finding},p{number}\n");
    }
    place.write("pairs.csv", table);
    place.good(&["prepare", "table", "pairs.csv", "data/own", "--label", "finding"]);
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/finetune/table.toml");
    for input in ["image", "text", "pair"] {
        let (out, input) = (format!("run-{input}"), format!("task.input=\"{input}\""));
        let sets = [&input, "data=[\"data/own\"]", "train.epochs=0.5", "text.max_tokens=24"];
        let sets: Vec<&str> = sets.into_iter().flat_map(|set| ["--set", set]).collect();
        place.good(&[&["finetune", recipe.to_str().unwrap(), "--model", "run", "--out", &out][..], &sets].concat());
        let ran = place.good(&["classify", &out, "data/own", "--split", "test", "--json"]);
        assert!(ran.stdout.contains("\"effusion\""), "{}", ran.stdout);
    }
}

/// A task can be learned from random weights too.
#[test]
fn the_recipe_without_a_pretrained_model_runs() {
    let place = Place::new();
    downloads::prepare(&place, "vqa-rad", "data");
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/finetune/vqa-rad-tiny.toml");
    let sets = ["data=[\"data\"]", "train.epochs=0.125", "train.batch=8", "text.vocabulary=400"];
    let sets: Vec<&str> = sets.into_iter().flat_map(|set| ["--set", set]).collect();
    let ran = place.good(&[&["finetune", recipe.to_str().unwrap(), "--out", "run"][..], &sets].concat());
    assert!(ran.stdout.starts_with("finished: 1 steps"), "{}", ran.stdout);
    place.good(&["ask", "run", "data", "--split", "test"]);
}
