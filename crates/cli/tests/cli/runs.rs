//! Runs that go on: without their recipe, from anywhere, with more steps, after an interruption.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Place, bytes};

fn place() -> Place {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place
}

#[test]
fn a_run_goes_on_without_its_recipe_in_whichever_words() {
    let place = place();
    place.good(&["pretrain", "r.toml", "--out", "whole"]);
    std::fs::copy(place.path("r.toml"), place.path("kept.toml")).unwrap();
    for (number, words) in [
        &["pretrain", "--resume", "run"][..],
        &["pretrain", "--out", "run", "--resume"],
        &["pretrain", "kept.toml", "--resume", "run"],
        &["pretrain", "--out", "run", "--resume", "kept.toml"],
        &["pretrain", "--resume", "run", "--out", "run"],
    ]
    .into_iter()
    .enumerate()
    {
        killed_after(&place, 2);
        place.good(words);
        for file in ["log.jsonl", "bundle/model.safetensors", "recipe.toml"] {
            assert_eq!(bytes(&place.path("whole").join(file)), bytes(&place.path("run").join(file)), "{number} {file}");
        }
        std::fs::remove_dir_all(place.path("run")).unwrap();
    }
    place.bad(&["pretrain"], &["--out"]);
    place.bad(&["pretrain", "--resume"], &["--resume RUN"]);
    place.bad(&["pretrain", "--out", "new"], &["recipe"]);
    place.bad(&["pretrain", "r.toml"], &["--out RUN"]);
    place.bad(&["pretrain", "r.toml", "--out", "new", "--resume", "whole"], &["two folders"]);
    place.bad(&["pretrain", "--resume", "nowhere"], &["nowhere", "contains no run", "pretrain RECIPE --out nowhere"]);
    assert!(!place.path("new").exists() && !place.path("nowhere").exists());
}

/// A run in `run` whose process was killed with a state of so many steps saved; the recipe asks for 6.
fn killed_after(place: &Place, steps: u64) {
    let state = place.path("run/state");
    let set = ["--set", "train.save_every=2"];
    let mut child = place
        .command(&["pretrain", "r.toml", "--out", "run"])
        .args(set)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let saved = |step: u64| state.join(format!("step-{step:012}")).exists();
    for _ in 0..2_000 {
        if (steps..6).any(saved) {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_is_found_from_any_working_directory_and_where_it_was_moved_to() {
    let place = place();
    place.good(&["pretrain", "r.toml", "--out", "place/run", "--set", "train.steps=2"]);
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    let from = |folder: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ptunifier"));
        let output = command.current_dir(place.path(folder)).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let scores = |json: &str| -> serde_json::Value {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        json["sources"]["phantom"].clone()
    };
    let here = scores(&from(".", &["evaluate", "place/run", "--json"]));
    assert!(here.is_object());
    assert_eq!(scores(&from("elsewhere", &["evaluate", "../place/run", "--json"])), here);
    from("elsewhere", &["pretrain", "--resume", "../place/run"]);
    from("elsewhere", &["inspect", "../place/run"]);
    // Moved as a whole, run and data beside each other.
    std::fs::create_dir(place.path("moved")).unwrap();
    std::fs::rename(place.path("place/run"), place.path("moved/run")).unwrap();
    std::fs::rename(place.path("data"), place.path("moved/data")).unwrap();
    assert_eq!(scores(&from("elsewhere", &["evaluate", "../moved/run", "--json"])), here);
    from("elsewhere", &["pretrain", "--resume", "../moved/run"]);
}

#[test]
fn a_finished_run_is_extended_and_its_learning_rate_starts_again() {
    let place = place();
    place.good(&["pretrain", "r.toml", "--out", "run"]);
    let before = bytes(&place.path("run/log.jsonl"));
    let told = place.good(&["pretrain", "--resume", "run", "--set", "train.steps=11"]);
    assert!(told.stderr.contains("finished run of 6 steps is extended to 11"), "{}", told.stderr);
    assert!(told.stdout.contains("finished: 11 steps"), "{}", told.stdout);
    let after = bytes(&place.path("run/log.jsonl"));
    assert!(after.starts_with(&before), "what was learned stays as it is");
    let rates: Vec<f64> = String::from_utf8(after)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["learning_rate"].as_f64())
        .collect();
    assert_eq!(rates.len(), 11);
    assert_eq!(rates[6], rates[0], "{rates:?}");
    assert!(rates[10] < rates[7], "{rates:?}");
    // The same bits as of a recipe that says it all from the start.
    let whole = ["--set", "train.steps=11", "--set", "train.extended_from=[6]"];
    place.good(&[&["pretrain", "r.toml", "--out", "whole"], &whole[..]].concat());
    for file in ["log.jsonl", "bundle/model.safetensors", "recipe.toml"] {
        assert_eq!(bytes(&place.path("whole").join(file)), bytes(&place.path("run").join(file)), "{file}");
    }
    // It goes on as it is, with the recipe and without.
    place.good(&["pretrain", "--resume", "run"]);
    place.good(&["pretrain", "r.toml", "--out", "run", "--resume", "--set", "train.steps=11"]);
    place.bad(&["pretrain", "--resume", "run", "--set", "train.steps=8"], &["`train.steps` (11, now 8)"]);
}

#[test]
fn only_a_finished_run_is_extended() {
    let place = place();
    killed_after(&place, 2);
    let words = ["`train.steps` (6, now 20)", "only a finished run can be extended", "of 6 steps are saved"];
    if place.path("run/state/step-000000000006").exists() {
        return; // It was too fast to be killed.
    }
    place.bad(&["pretrain", "--resume", "run", "--set", "train.steps=20"], &words);
}

#[test]
fn the_time_is_told_before_the_first_step_and_no_line_counts_down_from_nothing() {
    let place = place();
    let told = place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=40"]).stderr;
    let lines: Vec<&str> = told.lines().collect();
    let estimate = lines.iter().position(|line| line.starts_with("40 steps of about ")).expect(&told);
    let first = lines.iter().position(|line| line.starts_with("step 1/40")).expect(&told);
    assert!(estimate < first, "{told}");
    assert!(!told.contains("eta 0 s") && lines[first].contains(" left"), "{told}");
    // Timing changes nothing: of 9 steps none is timed before, and the first update is the same in both schedules.
    let losses = |run: &str, steps: &str| -> Vec<serde_json::Value> {
        let sets = [steps, "train.warmup=0.0", "train.validate_every=0"].map(|set| ["--set", set]).concat();
        place.good(&[&["pretrain", "r.toml", "--out", run], &sets[..]].concat());
        let log = String::from_utf8(bytes(&place.path(run).join("log.jsonl"))).unwrap();
        let loss = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].clone();
        log.lines().take(2).map(loss).collect()
    };
    assert_eq!(losses("untimed", "train.steps=9"), losses("timed", "train.steps=40"));
}

#[test]
fn a_state_is_saved_when_its_time_has_come() {
    let place = place();
    let set = ["train.steps=100000", "train.save_every=100000", "train.save_every_seconds=1", "train.validate_every=0"];
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    let mut command = place.command(&["pretrain", "r.toml", "--out", "run"]);
    let mut child = command.args(&set).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let state = place.path("run/state");
    let saved = |folder: &Path| {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.to_str()?.strip_prefix("step-")?.parse::<u64>().ok()).max()
    };
    for _ in 0..600 {
        if saved(&state).is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let saved = saved(&state).expect("a state was saved by time");
    assert!(saved > 0 && saved < 100_000, "{saved}");
}
