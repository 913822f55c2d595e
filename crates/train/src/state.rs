//! Saved states: everything that a run needs to continue exactly where it stopped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ptu_data::CacheFormat;
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
/// The folder in which a state is written before it is renamed.
const WRITING: &str = ".writing-state";
/// The largest `state.json` that is read, in bytes.
const LARGEST: u64 = 1 << 28;

/// A state that was read from its folder.
pub struct SavedState {
    /// The weights.
    pub model: Model,
    /// The optimizer with its moments.
    pub optimizer: Optimizer,
    /// Everything else, except the hashes.
    pub progress: Progress,
    /// Hashes of the images and texts used in training so far; `None` in states of earlier versions.
    pub learned: Option<Learned>,
}

impl SavedState {
    /// The state before the first step; `data` are the hashes of the manifests of the data folders, `learned` those of what the model was
    /// trained on before.
    pub fn first(model: Model, optimizer: OptimizerConfig, data: Vec<String>, learned: Option<Learned>) -> Self {
        let progress = Progress { data, ..Progress::default() };
        Self { model, optimizer: Optimizer::new(optimizer), progress, learned }
    }
}

/// Everything in a state except arrays and hashes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Length of the log when the state was saved, in bytes.
    pub log: u64,
    /// Length of the file of timings, in bytes.
    pub timing: u64,
    /// Length of the TensorBoard file, in bytes.
    pub tensorboard: u64,
    /// Best validation score so far.
    pub best: Option<f64>,
    /// Number of the last validations in a row that were not better than the best one before them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_better: u64,
    /// Number of the last steps in a row whose loss or gradient was not finite.
    pub bad_steps: u64,
    /// Hash of the manifest of each data folder, in the order of the recipe.
    pub data: Vec<String>,
    /// What the task has counted but not yet logged, in the task's own form. Earlier versions called this field `usage`.
    #[serde(default, alias = "usage", skip_serializing_if = "Value::is_null")]
    pub task: Value,
    /// In which format the outputs of a frozen image encoder are cached; `None` if they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_cache: Option<CacheFormat>,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Saves a state in `folder` (the run's `state/`). The state is written into a temporary folder, synced and renamed; then older
/// states are removed. If the process is killed at any moment, the folder contains the complete old state or the complete new
/// one.
///
/// # Errors
/// When it cannot be written. The older state is then still complete.
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
    fs::create_dir_all(&writing).map_err(error("create", &writing))?;
    model.write_weights(&writing.join(WEIGHTS))?;
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

/// Loads the last saved state; `None` when nothing was saved yet.
///
/// # Errors
/// When the state is damaged, or belongs to another model.
pub fn load(
    folder: &Path,
    config: &ModelConfig,
    optimizer: OptimizerConfig,
    device: &Device,
) -> Result<Option<SavedState>, TrainError> {
    let Some((_, path)) = states(folder)?.pop() else { return Ok(None) };
    let damaged =
        |name: &str, cause: String| TrainError::State { path: path.clone(), cause: format!("{name}: {cause}") };
    let json = files::read(&path.join(STATE), LARGEST)?;
    let progress: Progress = serde_json::from_slice(&json).map_err(|error| damaged(STATE, error.to_string()))?;
    let (model, _) = Model::load(config, &path.join(WEIGHTS), device)?;
    let optimizer = Optimizer::from_arrays(optimizer, read_arrays(&path.join(MOMENTS))?)
        .ok_or_else(|| damaged(MOMENTS, "its arrays do not fit each other".into()))?;
    let learned = Learned::read(&path.join(LEARNED))?;
    Ok(Some(SavedState { model, optimizer, progress, learned }))
}

/// The number of steps done in the last saved state; `None` when nothing was saved yet.
///
/// # Errors
/// When the folder cannot be read.
pub fn saved_step(folder: &Path) -> Result<Option<u64>, TrainError> {
    Ok(states(folder)?.pop().map(|(step, _)| step))
}

/// The saved states as (steps done, folder), sorted by steps.
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
