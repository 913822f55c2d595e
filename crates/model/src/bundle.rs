//! A bundle: weights, configuration, tokenizer and preprocessing in one folder, in the layout that Hugging Face expects.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use ptu_input::{Preprocess, Processor, Tokenizer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bundle_config::{BundleConfig, TrainedOn, WeightSource, preprocessing};
use crate::files::{read, write_bytes};
use crate::learned::{LEARNED, Learned};
use crate::{Model, ModelError};

/// The weights file of a bundle.
pub const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const PREPROCESS: &str = "preprocessor_config.json";
/// The description of the task of a fine-tuned bundle.
pub const TASK: &str = "task.json";
/// The files that every bundle has.
pub const FILES: [&str; 4] = [CONFIG, TOKENIZER, PREPROCESS, WEIGHTS];
const CARD: &str = "README.md";
/// The largest JSON file that is read, in bytes.
const LARGEST_JSON: u64 = 1 << 24;

/// Everything that is needed to use a model. A loaded bundle gives the same vector for the same input on every machine.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The network, with its sizes and options.
    pub model: Model,
    /// Turns a text into tokens.
    pub tokenizer: Arc<Tokenizer>,
    /// The image transforms.
    pub preprocess: Preprocess,
    /// The largest number of tokens of a text in training, including special tokens.
    pub max_tokens: usize,
    /// The data sets that the model was trained on.
    pub trained_on: Vec<TrainedOn>,
    /// The published weights from which its training started; empty if it started from random ones.
    pub weights_from: Vec<WeightSource>,
    /// Hashes of the images and texts of the training data; `None` in bundles of earlier versions, and if the file was removed.
    pub learned: Option<Learned>,
    /// What a fine-tuned model predicts (`task.json`), in the form of the crate `ptu-infer`; `None` for a pre-trained model.
    pub task: Option<serde_json::Value>,
}

impl Bundle {
    /// Writes all files into `folder`, which is created if it does not exist; `card` is the model card, in Markdown. Each file is
    /// written completely or not at all; the weights are written last.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path, card: &str) -> Result<(), ModelError> {
        fs::create_dir_all(folder).map_err(|source| ModelError::File {
            action: "create",
            path: folder.into(),
            source,
        })?;
        let config = BundleConfig {
            model: self.model.config().clone(),
            max_tokens: self.max_tokens,
            trained_on: self.trained_on.clone(),
            weights_from: self.weights_from.clone(),
        };
        write_bytes(&folder.join(CONFIG), config.to_json().as_bytes())?;
        write_json(&folder.join(PREPROCESS), &self.preprocess)?;
        let tokenizer = self.tokenizer.to_json();
        let tokenizer =
            tokenizer.map_err(|error| format_error(folder.join(TOKENIZER), "writable as JSON", error.to_string()))?;
        write_bytes(&folder.join(TOKENIZER), tokenizer.as_bytes())?;
        write_bytes(&folder.join(CARD), card.as_bytes())?;
        let path = folder.join(LEARNED);
        match &self.learned {
            Some(learned) => learned.write(&path)?,
            None => remove(path)?,
        }
        let path = folder.join(TASK);
        match &self.task {
            Some(task) => write_json(&path, task)?,
            None => remove(path)?,
        }
        self.model.write_weights(&folder.join(WEIGHTS))
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// When a file is missing, does not have the content that its name says, or does not fit the other files.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let file = BundleConfig::from_json(&read(&folder.join(CONFIG), LARGEST_JSON)?)
            .map_err(|cause| format_error(folder.join(CONFIG), "a model configuration", cause))?;
        let config = file.model;
        config.check()?;
        let tokenizer = Tokenizer::from_file(folder.join(TOKENIZER))
            .map_err(|error| format_error(folder.join(TOKENIZER), "a tokenizer", error.to_string()))?;
        if tokenizer.vocabulary_size() > config.text.vocabulary {
            let (found, expected) = (tokenizer.vocabulary_size(), config.text.vocabulary);
            let cause = format!("it has {found} entries, but the model has only {expected}");
            return Err(format_error(folder.join(TOKENIZER), "the tokenizer of these weights", cause));
        }
        let (model, _unused) = Model::load(&config, &folder.join(WEIGHTS), device)?;
        let preprocess = preprocessing(&read(&folder.join(PREPROCESS), LARGEST_JSON)?)
            .map_err(|cause| format_error(folder.join(PREPROCESS), "a list of image transforms", cause))?;
        let BundleConfig { max_tokens, trained_on, weights_from, .. } = file;
        let learned = Learned::read(&folder.join(LEARNED))?;
        let path = folder.join(TASK);
        let task = if path.exists() { Some(read_json(&path, "a description of a task")?) } else { None };
        let tokenizer = Arc::new(tokenizer);
        Ok(Self { model, tokenizer, preprocess, max_tokens, trained_on, weights_from, learned, task })
    }

    /// Replaces the description of the task in the folder of a bundle.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_task(folder: &Path, task: &serde_json::Value) -> Result<(), ModelError> {
        write_json(&folder.join(TASK), task)
    }

    /// The processor that turns images and texts into the model's input.
    pub fn processor(&self) -> Processor {
        Processor::new(Arc::clone(&self.tokenizer), &self.preprocess, self.max_tokens)
    }

    /// SHA-256, in hexadecimal, of everything that determines a vector: sizes, tokenizer, image transforms, weights, task. The
    /// model card and the hashes of the training data are not included.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn fingerprint(folder: &Path) -> Result<String, ModelError> {
        let mut hash = Sha256::new();
        let task = folder.join(TASK).exists().then_some(TASK);
        for name in FILES.into_iter().chain(task) {
            let path = folder.join(name);
            let failed = |source| ModelError::File { action: "read", path: path.clone(), source };
            let mut file = fs::File::open(&path).map_err(failed)?;
            hash.update(file.metadata().map_err(failed)?.len().to_le_bytes());
            io::copy(&mut file, &mut hash).map_err(failed)?;
        }
        Ok(format!("{:x}", hash.finalize()))
    }
}

/// Removes a file of a model that was saved here before, which does not belong to this model.
fn remove(path: PathBuf) -> Result<(), ModelError> {
    if path.exists() {
        fs::remove_file(&path).map_err(|source| ModelError::File { action: "remove", path, source })?;
    }
    Ok(())
}

fn format_error(path: PathBuf, expected: &'static str, cause: String) -> ModelError {
    ModelError::Format { path, expected, cause }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ModelError> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| format_error(path.into(), "writable as JSON", error.to_string()))?;
    write_bytes(path, json.as_bytes())
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path, expected: &'static str) -> Result<T, ModelError> {
    let bytes = read(path, LARGEST_JSON)?;
    serde_json::from_slice(&bytes).map_err(|error| format_error(path.into(), expected, error.to_string()))
}
