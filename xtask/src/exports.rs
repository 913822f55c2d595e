//! `cargo xtask exports PYTHON OUT MODEL...`: checks that other programs compute what this one does with exported models.
//!
//! PYTHON has `tools/interop/requirements-exports.txt`. Each model (a run or a bundle) is exported in every format, and
//! `tools/interop/exports.py` compares `transformers` and ONNX Runtime with `embed` on phantom records: images alone, texts alone, pairs. The
//! checkpoint with published names is imported again, and has to give equal vectors; a model with one stream has no such checkpoint.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::house::House;
use crate::process::{json_lines, run};

/// Number of phantom records; some have no image or no text.
const RECORDS: &str = "150";
/// The largest difference of vectors after an export as checkpoint and an import.
const EQUAL: f64 = 1e-6;

/// Checks models one by one.
///
/// # Errors
/// If a step fails or a difference is too large.
pub fn exports(house: &House, python: &Path, out: &Path, models: &[PathBuf]) -> Result<(), String> {
    fs::create_dir_all(out).map_err(|error| format!("`{}`: {error}", out.display()))?;
    run(&mut house.cargo(&["build", "--release", "--quiet", "--package", "ptunifier-cli"]))?;
    let out = out.canonicalize().map_err(|error| format!("`{}`: {error}", out.display()))?;
    let shards = out.join("shards");
    if !shards.join("manifest.json").exists() {
        run(house.ptunifier(&["prepare", "phantom"]).arg(&shards).args(["--pairs", RECORDS]))?;
    }
    for (number, model) in models.iter().enumerate() {
        let folder = out.join(format!("model-{number}"));
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
        }
        println!("{}", model.display());
        one(house, python, (&folder, &shards), model)?;
    }
    Ok(())
}

fn one(house: &House, python: &Path, (folder, shards): (&Path, &Path), model: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    let export = |format: &str| run(house.ptunifier(&["export", "--to", format]).arg(model).arg(folder.join(format)));
    export("hf")?;
    export("onnx")?;
    let config = config(&folder.join("hf"))?;
    let has_contrast = config["heads"].as_array().into_iter().flatten().any(|head| head == "itc");
    let has_one_stream = config["fusion"].get("kind").is_some();
    if !has_one_stream {
        export("ptunifier")?;
    }
    let embed = |model: &Path, modality: &str, space: &str, file: &str| {
        let mut embed = house.ptunifier(&["embed", "--only", modality, "--space", space, "--out"]);
        run(embed.arg(folder.join(file)).arg(model).arg(shards))
    };
    for modality in ["images", "texts", "pairs"] {
        embed(model, modality, "features", &format!("{modality}.jsonl"))?;
    }
    for modality in ["images", "texts"].into_iter().filter(|_| has_contrast) {
        embed(model, modality, "contrast", &format!("{modality}-contrast.jsonl"))?;
    }
    let link = folder.join("shards");
    std::os::unix::fs::symlink(shards, &link).map_err(|error| format!("`{}`: {error}", link.display()))?;
    let script = house.root.join("tools/interop/exports.py");
    print!("{}", run(Command::new(python).arg(script).arg(folder))?);
    if has_one_stream {
        println!("a model with one stream: no checkpoint with published names");
        return Ok(());
    }
    // Out and in again.
    let again = folder.join("imported");
    let mut import = house.ptunifier(&["import"]);
    run(import.arg(folder.join("ptunifier/ptunifier.ckpt")).arg("--out").arg(&again).stdout(Stdio::null()))?;
    let mut largest = 0.0f64;
    for modality in ["images", "texts", "pairs"] {
        let file = format!("{modality}-imported.jsonl");
        embed(&again, modality, "features", &file)?;
        let [before, after] = [format!("{modality}.jsonl"), file].map(|file| json_lines(&folder.join(file)));
        largest = largest.max(difference(&before?, &after?)?);
    }
    println!("import of the checkpoint: largest difference {largest:.1e}");
    if largest > EQUAL { Err(format!("vectors differ by more than {EQUAL}")) } else { Ok(()) }
}

/// The configuration of a bundle.
fn config(bundle: &Path) -> Result<Value, String> {
    let path = bundle.join("config.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))
}

/// The largest difference between vectors of the same records.
fn difference(before: &[Value], after: &[Value]) -> Result<f64, String> {
    if before.len() != after.len() {
        return Err(format!("{} and {} vectors", before.len(), after.len()));
    }
    let numbers = |line: &Value| -> Vec<f64> {
        line["vector"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let each = before.iter().zip(after).skip(1).flat_map(|(one, other)| {
        let (one, other) = (numbers(one), numbers(other));
        if one.len() == other.len() {
            one.into_iter().zip(other).map(|(x, y)| (x - y).abs()).collect()
        } else {
            vec![f64::NAN]
        }
    });
    let largest = each.fold(0.0, |largest: f64, next| if next.is_nan() { next } else { largest.max(next) });
    if largest.is_finite() { Ok(largest) } else { Err("vectors of other widths".into()) }
}
