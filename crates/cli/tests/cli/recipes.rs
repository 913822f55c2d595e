//! Each recipe of `recipes/finetune/` runs from its start to its end on a small imitation of its data set: two steps, then the scores, then
//! an answer from the command line.

use std::path::{Path, PathBuf};

use ptu_data::record::Section;
use ptu_data::{Label, Question, Record, RecordImage, SentencePair, ShardWriter, Split, WriterOptions};
use serde_json::Value;

use crate::harness::Place;
use crate::vectors::png;

/// Records of each split.
const SPLITS: [(Split, usize); 3] = [(Split::Train, 24), (Split::Validate, 8), (Split::Test, 8)];

/// Writes shards into `name`; `fill` adds to each record what its data set has.
fn shards(place: &Place, name: &str, fill: &dyn Fn(usize, &mut Record)) -> PathBuf {
    let folder = place.path(name);
    let mut writer = ShardWriter::create(&folder, WriterOptions::new(name)).unwrap();
    for (split, count) in SPLITS {
        for number in 0..count {
            let id = format!("{split}-{number}");
            let mut record = Record { patient: id.clone(), id, split, source: name.into(), ..Record::default() };
            fill(number + split as usize * 100, &mut record);
            writer.write(record).unwrap();
        }
    }
    writer.finish().unwrap();
    folder
}

fn image(number: usize) -> Option<RecordImage> {
    let pixels: Vec<u8> = (0..32 * 32).map(|place| ((place * (number + 3)) % 251) as u8).collect();
    Some(RecordImage { bytes: png(32, &pixels), path: None })
}

fn questions(number: usize, record: &mut Record) {
    let question = |question: &str, answer: &str, closed| Question {
        id: format!("{number}-{question}"),
        question: question.into(),
        answer: answer.into(),
        closed,
        category: String::new(),
    };
    record.image = image(number);
    record.questions = vec![
        question("which organ is shown?", ["lung", "brain"][number % 2], false),
        question("is it normal?", ["yes", "no"][number / 2 % 2], true),
    ];
}

fn label(record: &mut Record, name: &str, values: &[&str], number: usize) {
    record.labels.push(Label::new(name, values[number % values.len()]));
}

fn chexpert(number: usize, record: &mut Record) {
    record.image = image(number);
    let findings = ["Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"];
    for (shift, name) in findings.into_iter().enumerate() {
        label(record, name, &["positive", "negative", "uncertain", "unmentioned"], number + shift);
    }
}

fn rsna(number: usize, record: &mut Record) {
    record.image = image(number);
    label(record, "pneumonia", &["1", "0"], number);
}

fn nli(number: usize, record: &mut Record) {
    let hypothesis = format!("there is finding number {number}.");
    record.sentences = Some(SentencePair { premise: format!("the heart is normal in case {number}."), hypothesis });
    label(record, "relation", &["contradiction", "entailment", "neutral"], number);
}

fn chemprot(number: usize, record: &mut Record) {
    record.texts = vec![format!("case {number}: @CHEMICAL$ inhibits @GENE$ in cells.")];
    label(record, "relation", &["CPR:3", "CPR:4", "CPR:5", "CPR:6", "CPR:9", "false"], number);
}

fn melinda(number: usize, record: &mut Record) {
    record.image = image(number);
    record.texts = vec![format!("western blot of sample {number}.")];
    label(record, "i_meth", &["western blot", "pull down", "two hybrid"], number);
}

fn mimic(number: usize, record: &mut Record) {
    record.image = image(number);
    record.texts = vec![format!("the heart is normal in case {number}."), "no acute disease.".into()];
    record.sections = vec![Section::Findings, Section::Impression];
}

fn captions(number: usize, record: &mut Record) {
    record.image = image(number);
    record.texts = vec![format!("axial slice of case {number}."), format!("scan number {number} of the series.")];
}

/// The recipes, with the data sets that each one reads.
type Fill = fn(usize, &mut Record);
const RECIPES: [(&str, &[&str], Fill); 12] = [
    ("vqa-rad", &["vqa-rad"], questions),
    ("slake", &["slake"], questions),
    ("medvqa-2019", &["medvqa2019"], questions),
    ("chexpert", &["chexpert"], chexpert),
    ("rsna", &["rsna"], rsna),
    ("nli", &["radnli", "mednli"], nli),
    ("chemprot", &["chemprot"], chemprot),
    ("melinda", &["melinda"], melinda),
    ("report", &["mimic-cxr"], mimic),
    ("summary", &["mimic-cxr"], mimic),
    ("summary-pair", &["mimic-cxr"], mimic),
    ("retrieval-roco", &["roco"], captions),
];

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
    for (name, sources, fill) in RECIPES {
        tried.push(format!("{name}.toml"));
        let missing = sources.iter().filter(|source| !place.path(source).exists());
        missing.for_each(|source| drop(shards(&place, source, &fill)));
        let recipe = recipes.join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&recipe).unwrap();
        let data: Vec<String> = sources.iter().map(|source| format!("\"{source}\"")).collect();
        assert!(sources.iter().all(|source| text.contains(&format!("\"data/{source}\""))), "{name}: {text}");
        // Two steps of eight records, at the size of the small model.
        let epochs = format!(
            "train.epochs={}",
            16.0 / (24 * sources.len()) as f64 / if text.contains("\"vqa\"") { 2.0 } else { 1.0 }
        );
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
    // A recipe that is added is tried too. Those of the phantom corpus are tried with the corpus itself.
    for entry in std::fs::read_dir(recipes).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let elsewhere = file.starts_with("phantom-") || file == "vqa-rad-tiny.toml";
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

/// A task can be learned from random weights too.
#[test]
fn the_recipe_without_a_pretrained_model_runs() {
    let place = Place::new();
    shards(&place, "data", &questions);
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/finetune/vqa-rad-tiny.toml");
    let sets = ["data=[\"data\"]", "train.epochs=0.1", "train.batch=8", "text.vocabulary=400"];
    let sets: Vec<&str> = sets.into_iter().flat_map(|set| ["--set", set]).collect();
    let ran = place.good(&[&["finetune", recipe.to_str().unwrap(), "--out", "run"][..], &sets].concat());
    assert!(ran.stdout.starts_with("finished: 1 steps"), "{}", ran.stdout);
    place.good(&["ask", "run", "data", "--split", "test"]);
}
