//! `cargo xtask interop DATA PYTHON`: checks that the programs of others can open the shards.
//!
//! PYTHON has `tools/interop/requirements.txt`. Shards are prepared from the phantom, from `DATA/vqa-rad` if it exists, and from
//! the 3,955 reports of Open-i that torchxrayvision contains; `datasets`, pandas and DuckDB read them. Manifests in `deploy/` are
//! checked by their own validators. Small models are fine-tuned on the phantom, and scikit-learn computes their scores from the predictions
//! again; ranx scores the rankings of the tests of `ptu-metrics`, and of a model, as TREC files. Small encoders with random weights, written by
//! transformers, timm and open_clip, are imported, and their outputs compared with those of these programs.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::exports::exports;
use crate::house::House;
use crate::process::{run, run_with};

/// Reports of Open-i, and how many of them have both sections.
const REPORTS: (u64, u64) = (3_955, 3_419);

/// The exit code of a command that skipped inputs.
const SKIPPED: i32 = 3;

/// Sizes of a model that is trained in a second: its rankings are poor, which is enough to compare scores.
const SMALL: [&str; 4] = ["data=[\"phantom\"]", "train.steps=2", "train.batch=8", "train.validate_every=0"];

/// Lets `ranx` score the rankings of a small model, and compares its scores with those of `evaluate`.
fn rankings(house: &House, place: &Path, python: &Path, script: &Path) -> Result<String, String> {
    let recipe = house.root.join("recipes/pretrain/phantom.toml");
    let sets = SMALL.iter().flat_map(|set| ["--set", set]);
    run(house.ptunifier(&["pretrain"]).arg(recipe).args(["--out", "run"]).args(sets).current_dir(place))?;
    let mut evaluate = house.ptunifier(&["evaluate", "run", "--json", "--trec", "rankings"]);
    let scores = run(evaluate.current_dir(place).stdout(Stdio::piped()))?;
    std::fs::write(place.join("scores.json"), scores).map_err(|error| error.to_string())?;
    run(Command::new(python).arg(script).args(["rankings", "rankings", "scores.json", "phantom"]).current_dir(place))
}

/// Runs all checks and stops at the first that fails.
pub fn interop(house: &House, data: &Path, python: &Path) -> Result<(), String> {
    let root = &house.root;
    let script = root.join("tools/interop/check.py");
    run(Command::new("cargo").args(["build", "--release", "--quiet", "--workspace"]).current_dir(root))?;
    let place = root.join("target/interop");
    if place.exists() {
        std::fs::remove_dir_all(&place).map_err(|error| error.to_string())?;
    }
    std::fs::create_dir_all(&place).map_err(|error| error.to_string())?;
    let prepare = |arguments: &[&str]| run(house.ptunifier(&["prepare"]).args(arguments).current_dir(&place));
    let mut folders = vec!["phantom", "openi"];
    prepare(&["phantom", "phantom", "--pairs", "400", "--image-missing", "0.2", "--text-missing", "0.2"])?;
    let vqa = data.join("vqa-rad");
    if vqa.is_dir() {
        let vqa = std::fs::canonicalize(&vqa).map_err(|error| error.to_string())?;
        prepare(&["vqa-rad", &vqa.to_string_lossy(), "vqa-rad"])?;
        folders.push("vqa-rad");
    } else {
        println!("`{}` does not exist: VQA-RAD is skipped", vqa.display());
    }
    let reports = run(Command::new(python).arg(&script).arg("openi"))?;
    // The archive has reports without their images, which are skipped, and the command says so by its exit code.
    let mut openi = house.ptunifier(&["prepare", "openi", reports.trim(), "openi"]);
    run_with(openi.current_dir(&place), &[SKIPPED])?;
    let manifest = std::fs::read_to_string(place.join("openi/manifest.json")).map_err(|error| error.to_string())?;
    let manifest: serde_json::Value = serde_json::from_str(&manifest).map_err(|error| error.to_string())?;
    let noted = |what: &str| manifest["noted"][what].as_u64().unwrap_or_default();
    let found = (noted("reports"), noted("reports-with-both-sections"));
    println!("openi: {} reports, {} with both sections", found.0, found.1);
    if found != REPORTS {
        return Err(format!("Open-i has {} reports, {} with both sections", REPORTS.0, REPORTS.1));
    }
    print!("{}", run(Command::new(python).arg(&script).arg("shards").args(&folders).current_dir(&place))?);
    print!("{}", rankings(house, &place, python, &script)?);
    let job = root.join("deploy/prepare.yaml");
    print!("{}", run(Command::new(python).arg(&script).arg("manifests").arg(job))?);
    run(Command::new("bash").arg("-n").arg(root.join("deploy/prepare.sbatch")))?;
    println!("deploy/prepare.sbatch: bash accepts it");
    encoders(house, &place, python)?;
    metrics(house, &place, python)?;
    let models = ["run", RUNS[2].1].map(|run_folder| place.join(run_folder));
    exports(house, python, &place.join("exports"), &models)
}

/// The seed of the encoders: another one than that of the fixtures.
const ENCODERS_SEED: &str = "7";

/// Imports encoders that the programs of others wrote, and compares their outputs (`crates/import/tests/forward.rs`).
fn encoders(house: &House, place: &Path, python: &Path) -> Result<(), String> {
    let folder = place.join("encoders");
    let script = house.root.join("tools/reference/encoders.py");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    run(Command::new(python).arg(script).arg(&folder).arg(ENCODERS_SEED).current_dir(place))?;
    let mut test = house.cargo(&["test", "--release", "--quiet", "--package", "ptu-import", "--test", "forward"]);
    run(test.args(["--", "--nocapture"]).env("PTUNIFIER_ENCODERS", &folder))?;
    println!("encoders in the layouts of transformers, timm and open_clip: imported, with equal outputs");
    Ok(())
}

/// Tasks of small models that are fine-tuned on the phantom: the recipe, the folder of the run, and a task other than the recipe's.
const RUNS: [(&str, &str, Option<&str>); 3] = [
    ("phantom-finding", "classes", None),
    ("phantom-finding", "labels", Some("task={ kind = \"multilabel\", labels = [\"finding\"], input = \"image\" }")),
    ("phantom-questions", "answers", None),
];

/// Computes scores again with scikit-learn and ranx. `place` has the phantom.
fn metrics(house: &House, place: &Path, python: &Path) -> Result<(), String> {
    let script = house.root.join("tools/interop/metrics.py");
    let data = "data=[\"phantom\"]";
    let settings =
        [data, "train.steps=40", "train.validate_every=20", "model.preset=\"tiny\"", "finetune.from_scratch=true"];
    for (recipe, run_folder, task) in RUNS {
        let recipe = house.root.join(format!("recipes/finetune/{recipe}.toml"));
        let sets = settings.into_iter().chain(task).flat_map(|set| ["--set", set]);
        let mut finetune = house.ptunifier(&["finetune"]);
        run(finetune.arg(recipe).args(["--out", run_folder]).args(sets).current_dir(place))?;
        run(house.ptunifier(&["evaluate", run_folder]).current_dir(place))?;
    }
    let runs = RUNS.map(|(_, run_folder, _)| run_folder);
    print!("{}", run(Command::new(python).arg(&script).arg("runs").args(runs).current_dir(place))?);
    let rankings = house.root.join("crates/metrics/tests/golden/ranking.json");
    print!("{}", run(Command::new(python).arg(&script).arg("golden").arg(rankings))?);
    Ok(())
}
