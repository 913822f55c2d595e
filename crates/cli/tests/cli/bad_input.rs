//! What a person does wrong gets a message with file, cause and cure.

use crate::harness::{Place, RECIPE};

#[test]
fn recipes() {
    let place = Place::new();
    place.phantom();
    place.bad(&["pretrain", "none.toml", "--out", "run"], &["none.toml"]);
    place.write("bad.toml", "data = [\"data\"\n");
    place.bad(&["pretrain", "bad.toml", "--out", "run"], &["bad.toml", "line"]);
    place.recipe();
    for (set, words) in [
        ("train.stepz=3", &["train.stepz", "train.steps"][..]),
        ("train.steps=0", &["train.steps", "at least 1"]),
        ("train.accumulate=3", &["train.accumulate", "divide", "8"]),
        ("data=[\"nowhere\"]", &["nowhere"]),
        ("model.image.size=33", &["image.size", "multiple"]),
        ("model.image.width=63", &["image.width", "64"]),
        ("text.tokenizer=\"data\"", &["data"]),
        ("text.max_tokens=5000", &["text.max_tokens", "position embeddings"]),
    ] {
        place.bad(&["pretrain", "r.toml", "--out", "run", "--set", set], words);
    }
}

#[test]
fn data_that_was_changed() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    let shard = place.path("data/train-00000.parquet");
    let mut bytes = std::fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    place.bad(&["pretrain", "r.toml", "--out", "run"], &["train-00000.parquet", "damaged", "prepare"]);
    std::fs::remove_file(&shard).unwrap();
    place.bad(&["pretrain", "r.toml", "--out", "run"], &["train-00000.parquet"]);
    std::fs::write(place.path("data/manifest.json"), "{}").unwrap();
    place.bad(&["pretrain", "r.toml", "--out", "run"], &["manifest.json"]);
}

#[test]
fn a_run_folder_in_use_or_full_of_other_things() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.write("mine/letter.txt", "dear");
    place.bad(&["pretrain", "r.toml", "--out", "mine"], &["mine", "not empty"]);
    let long = ["--set", "train.steps=100000"];
    let mut child = place
        .command(&[&["pretrain", "r.toml", "--out", "run"], &long[..]].concat())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !place.path("run/recipe.toml").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    place.bad(&[&["pretrain", "r.toml", "--out", "run", "--resume"], &long[..]].concat(), &["in use"]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn damaged_states_and_bundles() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=2"]);
    let resume = ["pretrain", "r.toml", "--out", "run", "--set", "train.steps=2", "--resume"];
    let weights = place.path("run/bundle/model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    place.bad(&["evaluate", "run"], &["model.safetensors", "safetensors file"]);
    // A torn bundle is written again from the state.
    place.good(&resume);
    place.good(&["evaluate", "run"]);
    let state = std::fs::read_dir(place.path("run/state")).unwrap().flatten().next().unwrap().path();
    std::fs::write(state.join("state.json"), "{").unwrap();
    place.bad(&resume, &["state.json", "damaged"]);
    place.write("bundle/config.json", "[".repeat(100_000));
    std::fs::copy(&weights, place.path("bundle/model.safetensors")).unwrap();
    place.bad(&["evaluate", "bundle", "--data", "data"], &["config.json"]);
    place.bad(&["evaluate", "data"], &["`data` holds no model but shards"]);
    place.bad(&["inspect", "nowhere"], &["nowhere"]);
}

#[test]
fn tables() {
    let place = Place::new();
    place.write("t.csv", "image,text\nmissing.png,a text\n");
    place.bad(&["prepare", "table", "t.csv", "out"], &["t.csv", "line 2", "missing.png", "--skip-bad"]);
    place.write("c.csv", "picture,words\na.png,b\n");
    place.bad(&["prepare", "table", "c.csv", "out"], &["c.csv", "picture", "image"]);
    place.bad(&["prepare", "table", "none.csv", "out"], &["none.csv"]);
    assert!(!place.path("out").exists(), "nothing is left behind");
}

#[test]
fn what_the_machine_cannot_do() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    let large = ["--set", "model.image.layers=64", "--set", "model.image.width=1024", "--set", "train.batch=16384"];
    let run = ["pretrain", "r.toml", "--out", "run"];
    place.bad(&[&run[..], &large].concat(), &["16384 records", "GB", "train."]);
    place.bad(&["bench", "step", "--preset", "base", "--batch", "4096"], &["4096", "GB", "--batch"]);
    for threads in ["0", "10000"] {
        place.bad(&["bench", "step", "--preset", "tiny", "--threads", threads], &["--threads", "1..=1024"]);
    }
    place.bad(&["bench", "step", "--device", "cuda:0"], &["cuda:0", "cpu"]);
    place.bad(&["bench", "step", "--against", "nowhere/python"], &["nowhere/python", "--against"]);
    place.bad(&["bench", "step", "--against", "true"], &["true", "torch"]);
}

/// Saving to a disk that fills up: the message names the file, and the old state is still there.
#[test]
fn a_full_disk_loses_nothing() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    let disk = place.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
        .arg(&disk)
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        println!("no small file system can be mounted here: not tested");
        return;
    }
    let ran = place.run(&[
        "pretrain",
        "r.toml",
        "--out",
        "disk/run",
        "--set",
        "train.steps=400",
        "--set",
        "train.log_every=1",
    ]);
    let state = std::fs::read_dir(disk.join("run/state")).map(|entries| entries.flatten().count());
    std::process::Command::new("umount").arg(&disk).status().unwrap();
    assert!(!ran.success && ran.stderr.contains("disk/run") && ran.stderr.contains("space"), "{}", ran.stderr);
    assert!(state.is_ok(), "the run folder is still there");
}

#[test]
fn the_recipe_of_the_tests_is_sound() {
    assert!(RECIPE.parse::<toml::Table>().is_ok());
}
