//! Studies: a grid of runs, its tables, and what happens if it is killed, shared by processes, or wrong.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Place, bytes};

const STUDY: &str = r#"
name = "small"
title = "Rows of the pools"
question = "Are more rows better?"
seeds = [0, 1]
reference = "0"
[corpus]
train = 48
validate = 16
test = 24
side = 32
[pretrain]
recipe = "r.toml"
set = ["train.steps=8", "train.save_every=2", "train.validate_every=4"]
[[axis]]
name = "rows"
[[axis.value]]
name = "0"
set = ["model.image_prompts.size=0", "model.text_prompts.size=0"]
[[axis.value]]
name = "16"
set = ["model.image_prompts.size=16", "model.text_prompts.size=16"]
[[cell]]
name = "16, more steps"
set = ["model.image_prompts.size=16", "model.text_prompts.size=16"]
finetune = ["train.steps=3"]
[[finetune]]
name = "finding"
recipe = "f.toml"
[[measure]]
name = "R@10"
of = "pretrain"
score = ["image-to-text R@10", "text-to-image R@10"]
[[measure]]
name = "loss"
of = "losses"
score = ["total"]
lower_is_better = true
[[measure]]
name = "finding"
of = "finding"
score = ["accuracy"]
"#;
const FINETUNE: &str = r#"
data = ["data"]
[task]
kind = "classification"
label = "finding"
input = "image"
[text]
max_tokens = 24
[train]
steps = 2
batch = 8
validate_every = 0
"#;

fn with_study() -> Place {
    let place = Place::new();
    place.recipe();
    place.write("s.toml", STUDY);
    place.write("f.toml", FINETUNE);
    place
}

/// The tables of a study.
fn tables(place: &Place, out: &str) -> Vec<Vec<u8>> {
    let mut names: Vec<_> = std::fs::read_dir(place.path(out)).unwrap().flatten().map(|entry| entry.path()).collect();
    names.retain(|path| path.is_file() && path.extension().is_some_and(|end| end != "html"));
    names.sort();
    assert!(names.len() >= 5, "{names:?}");
    names.iter().map(|path| bytes(path)).collect()
}

#[test]
fn a_study_gives_tables_and_shares_what_is_the_same() {
    let place = with_study();
    let said = place.good(&["study", "s.toml", "--out", "s", "--json"]);
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&found["done"], &found["of"]), (&6.into(), &6.into()));
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["cell"].as_str().unwrap()).collect::<Vec<_>>(), ["0", "16", "16, more steps"]);
    assert!(
        rows[1]["measures"]["R@10"]["mean"]["half"].is_number() && rows[0]["measures"]["R@10"]["difference"].is_null()
    );
    assert_eq!(rows[0]["prompt_share"], 0.0);
    // Two cells share their pre-training, and all measures but that of the task.
    let runs =
        || std::fs::read_dir(place.path("s/runs")).unwrap().flatten().map(|one| one.file_name().into_string().unwrap());
    assert_eq!(runs().filter(|name| name.starts_with("pretrain-")).count(), 4);
    assert_eq!(runs().filter(|name| name.starts_with("finding-")).count(), 6);
    assert_eq!(rows[1]["measures"]["loss"], rows[2]["measures"]["loss"]);
    let text = |name: &str| String::from_utf8(bytes(&place.path(name))).unwrap();
    assert!(text("s/study.md").contains("| 16, more steps | 2 |") && text("s/study.tex").contains("\\toprule"));
    assert!(text("s/study.csv").lines().count() > 9 + 18, "means and seeds");
    assert!(
        text("s/total-loss-on-the-validation-split.svg").contains("<svg")
            && text("s/study.html").contains("machine time")
    );
    // It is done: the same call trains nothing, wherever the folder lies, and another seed only itself.
    std::fs::rename(place.path("s"), place.path("elsewhere")).unwrap();
    let again = place.good(&["study", "s.toml", "--out", "elsewhere"]);
    assert!(!again.stderr.contains("cell `"), "{}", again.stderr);
    std::fs::rename(place.path("elsewhere"), place.path("s")).unwrap();
    // The results are enough for all of it, the machine time too.
    std::fs::create_dir_all(place.path("kept/results")).unwrap();
    std::fs::copy(place.path("s/study.txt"), place.path("kept/study.txt")).unwrap();
    for result in std::fs::read_dir(place.path("s/results")).unwrap().flatten() {
        std::fs::copy(result.path(), place.path("kept/results").join(result.file_name())).unwrap();
    }
    place.good(&["study", "s.toml", "--out", "kept", "--collect"]);
    assert_eq!(tables(&place, "kept"), tables(&place, "s"));
    assert_eq!(text("kept/study.html"), text("s/study.html"));
    // Scores of another split are not mixed with those of the first, and need no training.
    let (tests, scores) =
        (tables(&place, "s"), |said: &str| serde_json::from_str::<Value>(said).unwrap()["values"].clone());
    let asked = ["study", "s.toml", "--out", "s", "--split", "validate", "--json"];
    let validated = place.good(&asked);
    assert!(!validated.stderr.contains("steps of about"), "{}", validated.stderr);
    assert_ne!(scores(&validated.stdout), found["values"]);
    place.good(&["study", "s.toml", "--out", "s"]);
    assert_eq!(tables(&place, "s"), tests);
    // Differences to another cell are those to the first one, turned round.
    let other = place.good(&["study", "s.toml", "--out", "s", "--collect", "--reference", "16", "--json"]).stdout;
    let other: Value = serde_json::from_str(&other).unwrap();
    let loss = |row: &Value| row["measures"]["loss"]["difference"]["mean"].as_f64();
    assert_eq!((loss(&other["rows"][0]), loss(&other["rows"][1])), (loss(&rows[1]).map(|value| -value), None));
    place.exits(&["study", "s.toml", "--out", "s", "--collect", "--reference", "17"], 2, &["`17`", "no such cell"]);
    place.write("l.toml", STUDY.replace("train = 48", "train = 40"));
    place.exits(&["study", "l.toml", "--out", "s"], 2, &["holds study `small with 48", "not `small with 40"]);
    let more = place.good(&["study", "s.toml", "--out", "s", "--seeds", "0,1,2", "--cell", "0"]).stderr;
    assert!(more.contains("cell `0`, seed 2") && !more.contains("seed 1"), "{more}");
}

#[test]
fn kills_and_two_processes_change_no_table() {
    let place = with_study();
    place.good(&["study", "s.toml", "--out", "whole"]);
    // The second run of a process may be at an earlier step than the one that it resumed.
    let mut child = place.command(&["study", "s.toml", "--out", "killed"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Here it has validated after step 4, and saved before.
    let validated = || {
        std::fs::read_dir(place.path("killed/runs"))
            .is_ok_and(|mut runs| runs.any(|run| run.is_ok_and(|run| run.path().join("best").exists())))
    };
    let started = Instant::now();
    while !validated() && started.elapsed() < Duration::from_secs(300) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    child.wait().unwrap();
    let resumed = place.good(&["study", "s.toml", "--out", "killed", "--cell", "0", "--seeds", "0"]).stderr;
    assert!(resumed.contains("resuming after step"), "{resumed}");
    for (life, lives) in [(700, 6), (1500, 4)] {
        for _ in 0..lives {
            let mut child = place.command(&["study", "s.toml", "--out", "killed"]);
            let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(life));
            let _ = child.kill();
            child.wait().unwrap();
        }
    }
    place.good(&["study", "s.toml", "--out", "killed"]);
    assert_eq!(tables(&place, "killed"), tables(&place, "whole"));
    let start = || {
        let mut command = place.command(&["study", "s.toml", "--out", "shared"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in [start(), start()] {
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    assert_eq!(tables(&place, "shared"), tables(&place, "whole"));
}

#[test]
fn dropped_models_change_no_table_and_are_trained_again_where_they_are_needed() {
    let place = with_study();
    place.good(&["study", "s.toml", "--out", "whole"]);
    let study = |cells: &[&str]| {
        let cells = cells.iter().flat_map(|cell| ["--cell", *cell]);
        let arguments: Vec<&str> =
            ["study", "s.toml", "--out", "dropped", "--drop-models"].into_iter().chain(cells).collect();
        place.good(&arguments);
        let runs = std::fs::read_dir(place.path("dropped/runs")).unwrap().flatten().map(|run| run.path());
        let has_weights = |name: &str, run: &std::path::Path| run.join(name).exists();
        runs.filter(|run| ["state", "best", "bundle"].iter().any(|name| has_weights(name, run))).count()
    };
    // The third cell needs the pre-training of the second, with both seeds.
    assert_eq!(study(&["0", "16"]), 2);
    // A result that cannot be read is named, and the other cells go on.
    let results = std::fs::read_dir(place.path("dropped/results")).unwrap().flatten().map(|entry| entry.path());
    let result = results.into_iter().find(|path| path.to_str().unwrap().contains("/16-")).unwrap();
    let whole = bytes(&result);
    std::fs::write(&result, &whole[..50]).unwrap();
    let said = place.run(&["study", "s.toml", "--out", "dropped", "--drop-models"]);
    assert!(
        !said.success && said.stderr.contains("cell `16`") && said.stderr.contains("cell `16, more steps`"),
        "{}",
        said.stderr
    );
    std::fs::write(&result, whole).unwrap();
    assert_eq!(study(&[]), 0);
    assert_eq!(tables(&place, "dropped"), tables(&place, "whole"));
    let longer = "[[cell]]\nname = \"0, more steps\"\nset = [\"model.image_prompts.size=0\", \"model.text_prompts.size=0\"]\nfinetune = [\"train.steps=3\"]\n";
    place.write("s.toml", STUDY.replace("[[finetune]]", &format!("{longer}[[finetune]]")));
    assert_eq!(study(&[]), 0);
    place.good(&["study", "s.toml", "--out", "whole"]);
    assert_eq!(tables(&place, "dropped"), tables(&place, "whole"));
}

#[test]
fn a_cell_that_fails_or_diverges_is_named_and_the_rest_goes_on() {
    let place = with_study();
    // More prompts than a text encoder has room for do not fail, but a fine-tuning without its label does.
    let failing = STUDY.replace("finetune = [\"train.steps=3\"]", "finetune = ['task.label=\"absent\"']");
    place.write("failing.toml", &failing);
    let ran =
        place.exits(&["study", "failing.toml", "--out", "f"], 1, &["failed: cell `16, more steps`, seed 1", "absent"]);
    assert!(ran.stdout.contains("| 16 | 2 |") && ran.stdout.contains("| 16, more steps | 0 |"), "{}", ran.stdout);
    let stopping = format!("{STUDY}\n[[stop]]\nafter = 3\nloss_above = 0.001\n");
    place.write("stopping.toml", stopping);
    let seen = place.good(&["study", "stopping.toml", "--out", "d"]).stdout;
    assert!(seen.contains("`16` was ended early (seed 1: loss ") && seen.contains("after step 3"), "{seen}");
    // It stays ended.
    assert_eq!(place.good(&["study", "stopping.toml", "--out", "d"]).stdout, seen);
}

#[test]
fn a_study_that_is_wrong_says_why() {
    let place = with_study();
    let wrong = |from: &str, to: &str, words: &[&str]| {
        place.write("w.toml", STUDY.replace(from, to));
        place.exits(&["study", "w.toml", "--out", "w"], 2, words);
        assert!(!place.path("w").exists(), "nothing was done");
    };
    wrong("model.image_prompts.size=16", "model.image_prompts.sise=16", &["cell `16`", "sise", "did you mean"]);
    wrong(
        "[[finetune]]",
        "[[axis]]\nname = \"b\"\n[[axis.value]]\nname = \"x\"\nset = [\"model.text_prompts.size=3\"]\n[[finetune]]",
        &["cell `0, x`", "two axes change `model.text_prompts.size`"],
    );
    wrong(
        "[[finetune]]",
        "[[axis]]\nname = \"b\"\n[[axis.value]]\nname = \"x\"\nset = ['model.text_prompts={ kind = \"token\" }']\n[[finetune]]",
        &["cell `0, x`", "two axes change `model.text_prompts`"],
    );
    wrong("set = [\"train.steps=8\"", "set = [\"seed=3\"", &["`set` changes `seed`, which `seeds` of the study sets"]);
    wrong("set = [\"train.steps=8\"", "set = ['data=[\"data\"]'", &["`set` changes `data`, which `[corpus]`"]);
    wrong(
        "[\"accuracy\"]",
        "[\"accuracy, 70 % of images missing, prompts\"]",
        &["measure `finding`", "add `missing = true`"],
    );
    wrong("finetune = [\"train.steps=3\"]", "", &["`16` and `16, more steps` are the same"]);
    wrong("reference = \"0\"", "reference = \"1\"", &["cell `1`", "`reference` names it"]);
    wrong("of = \"losses\"", "of = \"loss\"", &["measure `loss`", "known are finding, pretrain, losses"]);
    wrong("name = \"finding\"\nrecipe", "name = \"losses\"\nrecipe", &["a fine-tuning is named `losses`"]);
    wrong("title =", "titel =", &["titel"]);
    wrong("recipe = \"f.toml\"", "recipe = \"g.toml\"", &["g.toml"]);
    wrong("recipe = \"r.toml\"", "recipe = \"{data}/r.toml\"", &["--data"]);
    wrong("recipe = \"r.toml\"", "recipe = \"f.toml\"", &["for fine-tuning"]);
    place.good(&["study", "s.toml", "--out", "s", "--cell", "0", "--seeds", "0"]);
    place.write("o.toml", STUDY.replace("name = \"small\"", "name = \"other\""));
    place.exits(
        &["study", "o.toml", "--out", "s"],
        2,
        &["holds study `small with 48 + 16 + 24 phantom pairs", "not `other with 48"],
    );
    place.exits(&["study", "s.toml", "--out", "s", "--seeds", "1,1"], 2, &["`--seeds` has the seed 1 twice"]);
    place.exits(&["study", "s.toml", "--out", "s", "--cell", "1"], 2, &["no such cell", "`16, more steps`"]);
    place.write("full/file", "x");
    place.exits(&["study", "s.toml", "--out", "full"], 2, &["`full` is not empty"]);
    place.write("n.toml", STUDY.replace("score = [\"accuracy\"]", "score = [\"acuracy\"]"));
    let told = place.exits(&["study", "n.toml", "--out", "s", "--cell", "16"], 1, &["acuracy"]).stderr;
    assert!(
        told.find("no cell has `acuracy`").unwrap() < told.find("cell `16`, seed 1").unwrap(),
        "told before the end: {told}"
    );
    place.exits(
        &["study", "n.toml", "--out", "s", "--collect"],
        1,
        &["no cell has `acuracy` of `finding`", "`accuracy`"],
    );
}

#[test]
fn fidelity_is_measured_by_a_study_as_by_its_own_command() {
    let place = with_study();
    let measure = "[[measure]]\nname = \"cosine\"\nof = \"fidelity\"\nscore = [\"texts, neighbour, cosine\"]\n";
    let start = STUDY.split("[[cell]]").next().unwrap();
    let start = start.replace("name = \"small\"", "name = \"of\"\nfidelity_labels = [\"finding\"]");
    place.write("of.toml", start + measure);
    let said = place.good(&["study", "of.toml", "--out", "s", "--json", "--seeds", "0", "--cell", "16"]).stdout;
    let found: Value = serde_json::from_str(&said).unwrap();
    let value =
        found["values"].as_array().unwrap().iter().find(|one| one["value"].is_number()).unwrap()["value"].clone();
    let run = std::fs::read_dir(place.path("s/runs")).unwrap().flatten().next().unwrap().path();
    let run = run.to_str().unwrap();
    let said = place.good(&["fidelity", run, "--label", "finding", "--json"]).stdout;
    let of_run: Value = serde_json::from_str(&said).unwrap();
    let all = of_run["galleries"][0]["fidelity"].as_array().unwrap().clone();
    assert_eq!(all.len(), 12, "two modalities, six completions");
    let of = |removed: &str, completion: &str| {
        all.iter().find(|one| one["removed"] == removed && one["completion"] == completion).unwrap().clone()
    };
    assert_eq!(of("texts", "neighbour")["scores"]["cosine"]["value"], value);
    // What is compared with itself is the same, and everything is between 0 and that.
    for removed in ["images", "texts"] {
        let pair = of(removed, "pair");
        assert!((pair["scores"]["cosine"]["value"].as_f64().unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(pair["scores"]["finding agreement"]["value"], 1.0);
        assert!(of(removed, "prompts")["scores"]["cosine"]["value"].as_f64().unwrap() < 1.0);
        assert_eq!(pair["layers"].as_array().unwrap().len(), 2);
    }
    // A memory is written, read again, and refused for another model.
    for _ in 0..2 {
        let remembered = place.good(&["fidelity", run, "--label", "finding", "--json", "--memory", "m.safetensors"]);
        assert_eq!(remembered.stdout, said);
    }
    place.good(&["study", "of.toml", "--out", "s", "--seeds", "1", "--cell", "16"]);
    let runs = std::fs::read_dir(place.path("s/runs")).unwrap().flatten().map(|entry| entry.path());
    let other = runs.into_iter().find(|other| other.to_str() != Some(run)).unwrap();
    let asked = ["fidelity", other.to_str().unwrap(), "--memory", "m.safetensors"];
    place.exits(&asked, 1, &["m.safetensors", "written for another model"]);
    let shown = place.good(&["fidelity", run]).stdout;
    assert!(shown.contains("texts removed") && shown.contains("prompts minus neighbour"), "{shown}");
    place.exits(&["fidelity", run, "--label", "colour"], 2, &["colour"]);
}
