//! A run that is killed and resumed gives the bits of one that never stopped.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ptu_random::{Key, Place as Draw};

use crate::harness::{Place, bytes};

fn pretrain(place: &Place, out: &str, extra: &[&str]) -> std::process::Command {
    let mut command = place.command(&["pretrain", "r.toml", "--out", out]);
    command.args(["--set", "train.steps=150", "--set", "train.save_every=4", "--set", "train.validate_every=25"]);
    command.args(extra).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Everything that must be the same: the log, weights, moments, progress but for the lengths of files with times in them.
fn compare(whole: &Path, killed: &Path) {
    let weights = ["bundle/model.safetensors", "best/model.safetensors"];
    let learned = ["bundle/learned.safetensors", "best/learned.safetensors"];
    for file in [&weights[..], &learned, &["log.jsonl", "recipe.toml", "tokenizer.json"]].concat() {
        assert_eq!(bytes(&whole.join(file)), bytes(&killed.join(file)), "{file} differs");
    }
    let state = |run: &Path| {
        let mut steps: Vec<_> =
            std::fs::read_dir(run.join("state")).unwrap().flatten().map(|entry| entry.path()).collect();
        steps.sort();
        steps.pop().unwrap()
    };
    for file in ["model.safetensors", "optimizer.safetensors", "learned.safetensors"] {
        assert_eq!(bytes(&state(whole).join(file)), bytes(&state(killed).join(file)), "{file} of the state differs");
    }
}

#[test]
fn twenty_kills_at_random_moments_change_no_bit() {
    kills_change_no_bit(20, &[]);
}

#[test]
fn kills_of_a_model_with_one_stream_change_no_bit() {
    kills_change_no_bit(4, &["--set", "model.fusion.kind=\"single_stream_vit\""]);
}

fn kills_change_no_bit(wanted: usize, sets: &[&str]) {
    let place = Place::new();
    place.phantom();
    place.recipe();
    let whole = pretrain(&place, "whole", sets).output().unwrap();
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    let mut moments = Key::new(11).stream(Draw::Sample, 0);
    let mut kills = 0;
    loop {
        let mut child = pretrain(&place, "killed", &[sets, &["--resume"]].concat()).spawn().unwrap();
        // The last lives are left to finish.
        let end = if kills < wanted { Some(Duration::from_millis(20 + moments.below(900) as u64)) } else { None };
        let finished = match end {
            Some(life) => {
                std::thread::sleep(life);
                child.try_wait().unwrap().is_some()
            }
            None => true,
        };
        if !finished {
            child.kill().unwrap();
            kills += 1;
            child.wait().unwrap();
            continue;
        }
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        compare(&place.path("whole"), &place.path("killed"));
        if kills >= wanted {
            break;
        }
        // Finished before all kills were spent: once more from the start.
        std::fs::remove_dir_all(place.path("killed")).unwrap();
    }
}

#[test]
fn a_finished_run_is_left_as_it_is() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run"]);
    let before = bytes(&place.path("run/log.jsonl"));
    let modified = |name: &str| std::fs::metadata(place.path(name)).unwrap().modified().unwrap();
    let weights = modified("run/bundle/model.safetensors");
    place.good(&["pretrain", "r.toml", "--out", "run", "--resume"]);
    assert_eq!(bytes(&place.path("run/log.jsonl")), before);
    assert_eq!(modified("run/bundle/model.safetensors"), weights);
    place.bad(&["pretrain", "r.toml", "--out", "run"], &["already contains a run", "--resume"]);
}

#[test]
fn an_interrupt_ends_the_step_and_saves() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    let arguments = ["--set", "train.steps=100000", "--set", "train.save_every=100000"];
    let mut command = place.command(&["pretrain", "r.toml", "--out", "run", "--resume"]);
    let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Wait until it steps.
    let log = place.path("run/log.jsonl");
    for _ in 0..600 {
        if std::fs::metadata(&log).is_ok_and(|file| file.len() > 0) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let signalled = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(130) && said.contains("--resume"), "{said}");
    let lines = String::from_utf8(bytes(&log)).unwrap().lines().filter(|line| line.contains("\"step\"")).count();
    let states: Vec<_> = std::fs::read_dir(place.path("run/state")).unwrap().flatten().collect();
    assert_eq!(states.len(), 1);
    assert!(lines > 0 && place.path("run/bundle/model.safetensors").exists());
}

#[test]
fn several_workers_give_the_same_run() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "one"]);
    place.good(&["pretrain", "r.toml", "--out", "three", "--set", "train.workers=3"]);
    for file in ["log.jsonl", "bundle/model.safetensors"] {
        assert_eq!(bytes(&place.path("one").join(file)), bytes(&place.path("three").join(file)), "{file}");
    }
}

#[test]
fn resuming_with_another_recipe_or_other_data_is_refused() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=2"]);
    let resume = |extra: &[&str], words: &[&str]| {
        place.bad(&[&["pretrain", "r.toml", "--out", "run", "--resume"], extra].concat(), words);
    };
    resume(&["--set", "train.steps=1"], &["`train.steps`", "2", "now 1", "--out"]);
    resume(&["--set", "train.steps=2", "--set", "model.fusion.width=64"], &["model.fusion.width"]);
    std::fs::remove_dir_all(place.path("data")).unwrap();
    place.good(&["prepare", "phantom", "data", "--pairs", "60", "--seed", "6", "--side", "32"]);
    resume(&["--set", "train.steps=2"], &["data", "not the data that the run was started with"]);
}
