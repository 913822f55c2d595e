//! What a run needs to go on exactly where it was.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ptu_input::files::sync_folder;
use ptu_model::weights::{read_arrays, write_arrays};
use ptu_model::{LEARNED, Learned, Model, ModelConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::optimizer::{Optimizer, OptimizerConfig};
use crate::{TrainError, files};

const WEIGHTS: &str = "model.safetensors";
const MOMENTS: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
const PREFIX: &str = "step-";
/// Where a state is written before it gets its name.
const WRITING: &str = ".writing-state";
/// The largest `state.json` that is read, in bytes.
const LARGEST: u64 = 1 << 28;

/// A state as it is read.
pub struct Saved {
    /// The weights.
    pub model: Model,
    /// Moments of the optimizer.
    pub optimizer: Optimizer,
    /// Everything else of a state but hashes.
    pub progress: Progress,
    /// What was learned from so far; `None` in states of earlier versions.
    pub learned: Option<Learned>,
}

/// Everything of a state but arrays and hashes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Length of the log then, in bytes.
    pub log: u64,
    /// Length of the timings.
    pub timing: u64,
    /// Length of the TensorBoard file.
    pub tensorboard: u64,
    /// Best validation score so far.
    pub best: Option<f64>,
    /// Steps in a row whose loss or gradient was not finite.
    pub bad_steps: u64,
    /// Identity of each data folder, in the recipe's order.
    pub data: Vec<String>,
    /// What the task counted and has not told yet, as it wrote it. Earlier versions called it `usage`.
    #[serde(default, alias = "usage", skip_serializing_if = "Value::is_null")]
    pub task: Value,
}

/// Saves a state under `folder` (the run's `state/`): written aside, synced, renamed; then older ones are removed. Killed
/// at any moment, the folder holds the old state or the new one, whole.
///
/// # Errors
/// When it cannot be written; the older state is still there then.
pub fn save(
    folder: &Path,
    model: &Model,
    optimizer: &Optimizer,
    progress: &Progress,
    learned: Option<&Learned>,
) -> Result<(), TrainError> {
    let error = |action, path: &Path| {
        let path = path.to_path_buf();
        move |source: io::Error| TrainError::File { action, path, source }
    };
    let writing = folder.join(WRITING);
    if writing.exists() {
        fs::remove_dir_all(&writing).map_err(error("remove", &writing))?;
    }
    fs::create_dir_all(&writing).map_err(error("make", &writing))?;
    write_arrays(&writing.join(WEIGHTS), &model.to_arrays())?;
    write_arrays(&writing.join(MOMENTS), &optimizer.to_arrays())?;
    if let Some(learned) = learned {
        learned.write(&writing.join(LEARNED))?;
    }
    let json = serde_json::to_vec_pretty(progress).expect("progress is plain data");
    files::write_bytes(&writing.join(STATE), &json)?;
    let path = folder.join(format!("{PREFIX}{:012}", progress.step));
    if path.exists() {
        fs::remove_dir_all(&path).map_err(error("remove", &path))?;
    }
    fs::rename(&writing, &path).map_err(error("rename", &path))?;
    sync_folder(folder).map_err(error("sync", folder))?;
    for (step, old) in states(folder)? {
        if step != progress.step {
            fs::remove_dir_all(&old).map_err(error("remove", &old))?;
        }
    }
    Ok(())
}

/// The last saved state; `None` where nothing was saved yet.
///
/// # Errors
/// A state that is damaged or of another model.
pub fn load(
    folder: &Path,
    config: &ModelConfig,
    optimizer: OptimizerConfig,
    device: &Device,
) -> Result<Option<Saved>, TrainError> {
    let Some((_, path)) = states(folder)?.pop() else { return Ok(None) };
    let damaged = |name: &str, cause: String| TrainError::State { path: path.join(name), cause };
    let json = files::read(&path.join(STATE), LARGEST)?;
    let progress: Progress = serde_json::from_slice(&json).map_err(|error| damaged(STATE, error.to_string()))?;
    let (model, _) = Model::load(config, &path.join(WEIGHTS), device)?;
    let optimizer = Optimizer::from_arrays(optimizer, read_arrays(&path.join(MOMENTS))?)
        .ok_or_else(|| damaged(MOMENTS, "its arrays do not fit each other".into()))?;
    let learned = Learned::read(&path.join(LEARNED))?;
    Ok(Some(Saved { model, optimizer, progress, learned }))
}

/// Steps done of the last saved state; `None` where nothing was saved yet.
///
/// # Errors
/// A folder that cannot be read.
pub fn saved_step(folder: &Path) -> Result<Option<u64>, TrainError> {
    Ok(states(folder)?.pop().map(|(step, _)| step))
}

/// Whole states by step, the last one last.
fn states(folder: &Path) -> Result<Vec<(u64, PathBuf)>, TrainError> {
    if !folder.exists() {
        return Ok(vec![]);
    }
    let entries =
        fs::read_dir(folder).map_err(|source| TrainError::File { action: "read", path: folder.into(), source })?;
    let mut found: Vec<(u64, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let step = entry.file_name().to_str()?.strip_prefix(PREFIX)?.parse().ok()?;
            Some((step, entry.path()))
        })
        .collect();
    found.sort();
    Ok(found)
}
