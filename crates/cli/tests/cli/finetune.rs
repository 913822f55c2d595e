//! Fine-tuning and what follows it: evaluation, classification, questions.

use std::process::Stdio;
use std::time::Duration;

use ptu_random::{Key, Place as Draw};
use serde_json::Value;

use crate::harness::{Place, bytes};
use crate::vectors::png;

/// A picture whose left or right side is bright; `shift` makes each one different.
pub fn picture(left: bool, shift: u32) -> Vec<u8> {
    // Noise that says nothing about the side, drawn anew for each picture.
    let mut noise = Key::new(u64::from(shift)).stream(Draw::Sample, 0);
    let pixel = |place: u32| {
        let is_bright = (place % 32 < 16) == left;
        (if is_bright { 180 } else { 20 }) + noise.below(60) as u8
    };
    png(32, &(0..32 * 32).map(pixel).collect::<Vec<u8>>())
}

/// Shards in `data` with sides as labels and questions about them, and a pre-trained model in `run`.
pub fn prepared() -> Place {
    let place = Place::new();
    let mut table = "image,text,side,bright,patient,split,question,answer,closed\n".to_string();
    for number in 0..160u32 {
        let left = number.is_multiple_of(2);
        let (side, bright) = if left { ("left", "yes") } else { ("right", "no") };
        let split = ["train", "train", "train", "train", "train", "train", "validate", "test"][number as usize / 2 % 8];
        place.write(&format!("{number}.png"), picture(left, number));
        let (question, answer, closed) = match number / 16 % 2 {
            0 => ("Which side is bright?", side, "no"),
            _ => ("Is the left side bright?", bright, "yes"),
        };
        table +=
            &format!("{number}.png,note {number},{side},{bright},p{number},{split},{question},{answer},{closed}\n");
    }
    place.write("pairs.csv", table);
    let closed = ["--label", "side", "--label", "bright"];
    place.good(&[&["prepare", "table", "pairs.csv", "data", "--text", "text"][..], &closed].concat());
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=2", "--set", "train.validate_every=0"]);
    place
}

const TRAINING: &str = r#"
data = ["data"]
[text]
max_tokens = 24
[train]
steps = 200
batch = 16
validate_every = 20
save_every = 3
warmup = 0.1
[optimizer]
learning_rate = 3e-4
fusion = 1.0
head = 1.0
[model]
dropout = 0.0
"#;

/// Writes a recipe for a task into `name`.
pub fn recipe(place: &Place, name: &str, task: &str) {
    place.write(
        name,
        format!("{task}\n{TRAINING}").replacen("\ndata = [\"data\"]", "", 1).replacen("", "data = [\"data\"]\n", 1),
    );
}

/// A model in `out`, fine-tuned from [`prepared`]'s for a task with these changes to the recipe.
pub fn tuned(task: &str, out: &str, sets: &[&str]) -> Place {
    let place = prepared();
    let file = format!("{out}.toml");
    recipe(&place, &file, task);
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    place.good(&["finetune", &file, "--model", "run", "--out", out].into_iter().chain(sets).collect::<Vec<_>>());
    place
}

pub const SIDE: &str = "[task]\nkind = \"classification\"\nlabel = \"side\"\ninput = \"image\"\n";
const BRIGHT: &str = "[task]\nkind = \"multilabel\"\nlabels = [\"bright\"]\ninput = \"image\"\n";
pub const QUESTIONS: &str = "[task]\nkind = \"vqa\"\n";

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_class_is_learned_from_images_and_predicted() {
    let place = prepared();
    recipe(&place, "side.toml", SIDE);
    let ran = place.good(&["finetune", "side.toml", "--model", "run", "--out", "side"]);
    assert!(ran.stderr.contains("2 classes: `left`, `right`") && ran.stderr.contains("cls_head"), "{}", ran.stderr);
    let report = json(&place.good(&["evaluate", "side", "--json"]).stdout);
    let report = &report["sources"]["pairs"];
    assert_eq!((report["records"].as_u64(), report["scores"][0]["name"].as_str()), (Some(20), Some("accuracy")));
    let accuracy = report["scores"][0]["value"].as_f64().unwrap();
    assert!(accuracy >= 0.9, "a bright side is seen: {report}");
    // Without the right image nothing is left.
    let reliance = report["reliance"].as_array().unwrap();
    let blank = reliance.iter().find(|one| one["image"] == "blank" && one["metric"] == "accuracy").unwrap();
    assert_eq!(blank["score"]["value"], 0.5, "{blank}");
    assert!(blank["cost"]["low"].as_f64() > Some(0.0), "{blank}");
    assert!(report["baseline"]["difference"]["low"].as_f64() > Some(0.0), "{report}");
    let lines = String::from_utf8(bytes(&place.path("side/predictions.jsonl"))).unwrap();
    assert_eq!(lines.lines().count(), 20);
    let right = lines.lines().filter(|line| json(line)["predicted"] == json(line)["right"]).count();
    assert_eq!(right as f64 / 20.0, accuracy, "the score is that of the predictions");
    // The page says what the run learned, not what pre-training learns.
    place.good(&["inspect", "side", "--page", "side.html"]);
    let page = String::from_utf8(bytes(&place.path("side.html"))).unwrap();
    assert!(page.contains("classification") && !page.contains("mlm, itm, itc") && !page.contains("no scores yet"));
    // It shows the scores that were saved.
    for shown in ["accuracy", "baseline: most frequent class", "Image reliance", "pairs: right predictions"] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(page.contains(&format!("{accuracy:.3}")) && page.contains("Reliability of probabilities"));
    // One input, several, JSON.
    let ran = place.good(&["classify", "side", "0.png"]);
    assert!(ran.stdout.contains("0.png") && ran.stdout.contains("left "), "{}", ran.stdout);
    let ran = place.good(&["classify", "side", "data", "--split", "test", "--json", "--top", "1"]);
    assert_eq!(ran.stdout.lines().count(), 20);
    place.write("broken.png", b"no image");
    place.exits(&["classify", "side", "0.png", "broken.png"], 3, &["broken.png"]);
    // The table and the help of other commands agree with the bundle.
    place.bad(&["ask", "side", "0.png", "Which side?"], &["fine-tuned for classification", "classify"]);
    place.bad(&["classify", "run", "0.png"], &["pre-trained model without a task", "finetune"]);
    place.exits(&["evaluate", "side", "--rerank", "3"], 2, &["--rerank", "pre-trained"]);
}

#[test]
fn labels_and_questions_are_learned_and_answered() {
    let place = prepared();
    recipe(&place, "bright.toml", BRIGHT);
    place.good(&["finetune", "bright.toml", "--model", "run", "--out", "bright"]);
    let report = json(&place.good(&["evaluate", "bright", "--json"]).stdout);
    assert!(report["sources"]["pairs"]["scores"][0]["value"].as_f64() >= Some(0.95), "mean AUROC: {report}");
    recipe(&place, "ask.toml", QUESTIONS);
    let ran = place.good(&["finetune", "ask.toml", "--model", "run", "--out", "ask", "--set", "train.steps=300"]);
    assert!(ran.stderr.contains("4 answers, collected from train and validate"), "{}", ran.stderr);
    let report = json(&place.good(&["evaluate", "ask", "--json"]).stdout);
    let report = &report["sources"]["pairs"];
    let names: Vec<&str> =
        report["scores"].as_array().unwrap().iter().map(|score| score["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["accuracy", "accuracy on closed questions", "accuracy on open questions"]);
    assert!(report["scores"][0]["value"].as_f64() >= Some(0.9), "{report}");
    let cost = |image: &str| {
        let reliance = report["reliance"].as_array().unwrap();
        let one = reliance.iter().find(|one| one["image"] == image && one["metric"] == "accuracy").unwrap();
        one["cost"]["value"].as_f64().unwrap()
    };
    assert!(cost("other") > 0.0 && cost("blank") > 0.0 && cost("missing") > 0.0, "{report}");
    page_of_answers(&place);
    let ran = place.good(&["ask", "ask", "2.png", "Which side is bright?", "--top", "1"]);
    assert!(ran.stdout.contains("Which side is bright?") && ran.stdout.contains("left "), "{}", ran.stdout);
    // Questions through a pipe.
    let mut child =
        place.command(&["ask", "ask", "3.png", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"Which side is bright?\n\nIs the left side bright?\n")
        .unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let answers: Vec<Value> = output.lines().map(|line| json(line)["answers"][0]["name"].clone()).collect();
    assert_eq!(answers, ["right", "no"]);
    // The questions of the records.
    let ran = place.good(&["ask", "ask", "data", "--split", "test", "--json"]);
    assert_eq!(ran.stdout.lines().count(), 20);
    place.bad(&["classify", "ask", "0.png"], &["fine-tuned for vqa", "ptunifier ask"]);
}

/// The page of a model that answers questions: of a short training, so that some answers are wrong.
fn page_of_answers(place: &Place) {
    place.good(&["finetune", "ask.toml", "--model", "run", "--out", "short", "--set", "train.steps=30"]);
    place.good(&["inspect", "short", "--page", "p.html"]);
    let read = |name: &str| String::from_utf8(bytes(&place.path(name))).unwrap();
    assert!(read("p.html").contains("no scores yet: run `ptunifier evaluate short`"));
    let report = json(&place.good(&["evaluate", "short", "--page", "p.html", "--json"]).stdout);
    let accuracy = report["sources"]["pairs"]["scores"][0]["value"].as_f64().unwrap();
    assert!(accuracy > 0.0 && accuracy < 1.0, "right and wrong answers: {accuracy}");
    place.good(&["inspect", "short", "--page", "again.html"]);
    for page in [read("p.html"), read("again.html")] {
        assert!(page.contains(&format!("{accuracy:.3}")) && page.contains("baseline: most frequent answer by type"));
        for shown in ["Image reliance", "blank image", "image of another patient", "text alone", "(lost "] {
            assert!(page.contains(shown), "{shown}");
        }
        assert!(page.contains("pairs: right answers") && page.contains("pairs: wrong answers"));
        assert!(page.contains("✓</span> correct") && page.contains("✗</span> wrong"));
        assert!(page.contains("Which side is bright?") && page.contains("data:image/png"), "question and image");
        assert!(!page.contains("no scores yet"));
    }
    place.exits(&["evaluate", "short", "--page", "p.txt"], 2, &["p.txt", "`.html`"]);
    place.exits(&["evaluate", "short", "ask", "--page", "p.html"], 2, &["one model"]);
    place.bad(&["evaluate", "short/best", "--data", "data", "--page", "p.html"], &["not a run folder"]);
}

#[test]
fn a_killed_run_gives_the_same_bits() {
    let place = prepared();
    for (name, task) in [("side", SIDE), ("ask", QUESTIONS)] {
        let file = format!("{name}.toml");
        recipe(&place, &file, task);
        let whole = format!("{name}-whole");
        let killed = format!("{name}-killed");
        place.good(&["finetune", &file, "--model", "run", "--out", &whole]);
        let mut kills = 0;
        loop {
            let mut command = place.command(&["finetune", &file, "--model", "run", "--out", &killed, "--resume"]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(150 + 90 * kills));
            if kills >= 4 || child.try_wait().unwrap().is_some() {
                assert!(child.wait().unwrap().success());
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        for file in ["bundle/model.safetensors", "best/model.safetensors", "best/task.json", "log.jsonl", "recipe.toml"]
        {
            let [one, other] = [&whole, &killed].map(|run| bytes(&place.path(&format!("{run}/{file}"))));
            assert_eq!(one, other, "{file} of {name} differs");
        }
        // The starting model is not needed any more.
        let moved = place.path("moved");
        std::fs::rename(place.path("run"), &moved).unwrap();
        place.good(&["finetune", "--resume", &killed, "--set", "train.steps=204"]);
        std::fs::rename(moved, place.path("run")).unwrap();
    }
}

#[test]
fn what_cannot_be_learned_is_refused_before_anything_is_written() {
    let place = prepared();
    let refused = |task: &str, sets: &[&str], words: &[&str]| {
        recipe(&place, "x.toml", task);
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        place.bad(&[&["finetune", "x.toml", "--model", "run", "--out", "x"][..], &sets].concat(), words);
        assert!(!place.path("x/recipe.toml").exists());
    };
    refused(SIDE, &["task.label=\"size\""], &["no training record", "`size`", "`side`"]);
    refused(SIDE, &["finetune.share=0.005"], &["`left`", "at least"]);
    refused(SIDE, &["objectives=[\"mlm\"]"], &["objectives", "pre-training"]);
    refused(SIDE, &["model.preset=\"tiny\""], &["model.preset", "finetune.model"]);
    refused(SIDE, &["task.labels=[\"side\"]"], &["labels"]);
    refused(SIDE, &["task.input=\"sentences\""], &["no training record", "task.input"]);
    refused(SIDE, &["finetune.share=1.5"], &["finetune.share"]);
    refused(SIDE, &["train.freeze=[\"vision\", \"visoin\"]"], &["`visoin`", "vision_encoder"]);
    refused(SIDE, &["train.epochs=0.0"], &["train.epochs"]);
    refused(BRIGHT, &["task.labels=[\"bright\", \"side\"]"], &["neither yes nor no", "`side`"]);
    refused(BRIGHT, &["task.uncertain={ other = \"positive\" }"], &["`other`"]);
    refused(SIDE, &["model.image.size=33"], &["image.size"]);
    place.bad(
        &["finetune", "x.toml", "--model", "data", "--out", "x"],
        &["`data` holds no model", "name a run folder or a bundle"],
    );
    place.bad(&["pretrain", "x.toml", "--out", "x"], &["[task]", "finetune"]);
    place.bad(&["finetune", "r.toml", "--model", "run", "--out", "x"], &["no `[task]`", "pretrain"]);
    place.exits(&["finetune", "x.toml", "--model", "run", "--out", "x", "--data", "0%"], 2, &["share"]);
    place.exits(&["finetune", "--out", "x"], 2, &["name a recipe"]);
}

#[test]
fn several_seeds_and_shares_in_one_call() {
    let place = prepared();
    recipe(&place, "side.toml", SIDE);
    let call = ["finetune", "side.toml", "--model", "run", "--out", "seeds", "--seeds", "0,1", "--data", "50%"];
    let ran = place.good(&call);
    assert!(ran.stdout.contains("mean ") && ran.stdout.contains("standard deviation"), "{}", ran.stdout);
    assert!(ran.stderr.contains("60 examples from 120 records"), "{}", ran.stderr);
    let again = place.good(&call);
    assert_eq!(ran.stdout.lines().last(), again.stdout.lines().last(), "finished runs are left as they are");
    let ran = place.good(&["evaluate", "seeds/seed-0", "seeds/seed-1"]);
    assert!(ran.stdout.contains("mean and standard deviation of 2 models"), "{}", ran.stdout);
    let ran = place.good(&["evaluate", "seeds/seed-0", "--compare", "seeds/seed-1", "--by", "bright"]);
    assert!(ran.stdout.contains("first minus") && ran.stdout.contains("bright = yes"), "{}", ran.stdout);
    // Early stopping: after the first validation nothing gets better.
    let sets = ["--set", "train.patience=1", "--set", "train.validate_every=2", "--set", "train.steps=300"];
    let ran = place.good(&[&["finetune", "side.toml", "--model", "run", "--out", "early"][..], &sets].concat());
    assert!(ran.stderr.contains("stopping early"), "{}", ran.stderr);
}
