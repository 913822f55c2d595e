//! What training starts from: random weights, a model, or published encoders. What a run needs of it is stored in the run folder, so that
//! the run can be resumed without it.

mod encoders;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
pub use encoders::StartEncoders;
use ptu_input::{Preprocess, Tokenizer};
use ptu_model::{Bundle, Learned, Model, ModelConfig, TrainedOn, WeightSource};
use ptu_random::Key;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::folder::{self, RunFolder};
use crate::{Recipe, TrainError, files, state};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 24;

/// What training starts from.
#[derive(Clone, Debug)]
pub enum Start {
    /// Random weights.
    Random,
    /// A bundle.
    Model(Box<StartModel>),
    /// Published encoders; all else is random.
    Encoders(Box<StartEncoders>),
}

/// What is known of the model from which training starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartModel {
    /// Its configuration.
    pub config: ModelConfig,
    /// Its image transforms.
    pub preprocess: Preprocess,
    /// The data sets that it was trained on.
    pub trained_on: Vec<TrainedOn>,
    /// The published weights from which its training started.
    #[serde(default)]
    pub weights_from: Vec<WeightSource>,
    /// Its fingerprint ([`Bundle::fingerprint`]).
    pub fingerprint: String,
    /// Its files, which are needed only before the first step.
    #[serde(skip)]
    files: Option<StartFiles>,
}

/// The parts of the starting model that a new run copies.
#[derive(Clone, Debug)]
struct StartFiles {
    /// The bundle.
    folder: PathBuf,
    /// Its tokenizer.
    tokenizer: Arc<Tokenizer>,
    /// Hashes of the images and texts that it was trained on.
    learned: Option<Learned>,
}

/// The model before the first step.
pub struct FirstModel {
    /// The model.
    pub model: Model,
    /// Hashes of the images and texts that it was trained on; `None` if they are not known.
    pub learned: Option<Learned>,
    /// What the user should know about its weights.
    pub note: Option<String>,
}

impl Start {
    /// Checks before long work that the published encoders which a recipe names can be read.
    ///
    /// # Errors
    /// When they cannot, or when something is not known that belongs to them.
    pub fn check_encoders(recipe: &Recipe) -> Result<(), TrainError> {
        StartEncoders::read(recipe).map(drop)
    }

    /// What a run starts from: read from the run folder if the run has a saved state, else from what the recipe names.
    ///
    /// # Errors
    /// When the model, the weights or the file in the run folder cannot be read.
    pub fn open(recipe: &Recipe, run: &RunFolder) -> Result<Self, TrainError> {
        let init = &recipe.model.init;
        if let Some(model) = recipe.finetune.model.as_ref().or(init.model.as_ref()) {
            return stored(run, || StartModel::read(model)).map(|start| Self::Model(Box::new(start)));
        }
        if init.image.is_some() || init.text.is_some() {
            return stored(run, || StartEncoders::read(recipe)).map(|start| Self::Encoders(Box::new(start)));
        }
        Ok(Self::Random)
    }

    /// The fingerprint of the model from which training starts.
    pub fn fingerprint(&self) -> Option<&str> {
        match self {
            Self::Model(start) => Some(&start.fingerprint),
            Self::Random | Self::Encoders(_) => None,
        }
    }

    /// The data sets that the model was trained on before.
    pub fn trained_on(&self) -> &[TrainedOn] {
        match self {
            Self::Model(start) => &start.trained_on,
            Self::Random | Self::Encoders(_) => &[],
        }
    }

    /// The published weights from which the training of the model started, now or earlier.
    pub fn weights_from(&self) -> &[WeightSource] {
        match self {
            Self::Random => &[],
            Self::Model(start) => &start.weights_from,
            Self::Encoders(start) => &start.sources,
        }
    }

    /// The tokenizer that belongs to the weights. It is there only before the first step.
    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        match self {
            Self::Random => None,
            Self::Model(start) => Some(&start.files.as_ref()?.tokenizer),
            Self::Encoders(start) => start.tokenizer(),
        }
    }

    /// The image transforms of a recipe, for images of `size` pixels.
    pub fn preprocess(&self, recipe: &Recipe, size: usize) -> Preprocess {
        let of_recipe = || Preprocess::new(size, recipe.fit, recipe.augment);
        match self {
            Self::Random => of_recipe(),
            Self::Model(start) => start.preprocess.resized(size, recipe.augment),
            Self::Encoders(start) => match &start.image {
                Some(image) => of_recipe().normalised_as(&image.preprocess),
                None => of_recipe(),
            },
        }
    }

    /// The model before the first step. It can be asked for once.
    ///
    /// # Errors
    /// When the weights cannot be read, or do not fit the configuration.
    pub fn first_model(&mut self, config: &ModelConfig, key: Key, device: &Device) -> Result<FirstModel, TrainError> {
        match self {
            Self::Random => {
                let model = Model::new(config, key, device)?;
                Ok(FirstModel { model, learned: Some(Learned::default()), note: None })
            }
            Self::Model(start) => start.first_model(config, key, device),
            Self::Encoders(start) => start.first_model(config, key, device),
        }
    }
}

impl StartModel {
    fn read(model: &Path) -> Result<Self, TrainError> {
        let folder = folder::bundle_of(model)?;
        let bundle = Bundle::load(&folder, &Device::flex())?;
        bundle.model.check_finite(&folder.join(ptu_model::WEIGHTS))?;
        Ok(Self {
            config: bundle.model.config().clone(),
            preprocess: bundle.preprocess,
            trained_on: bundle.trained_on,
            weights_from: bundle.weights_from,
            fingerprint: Bundle::fingerprint(&folder)?,
            files: Some(StartFiles { folder, tokenizer: bundle.tokenizer, learned: bundle.learned }),
        })
    }

    fn first_model(&mut self, config: &ModelConfig, key: Key, device: &Device) -> Result<FirstModel, TrainError> {
        let StartFiles { folder, learned, .. } = self.files.take().expect("a run without a saved state has read them");
        let (model, started) = Model::start(config, &folder.join(ptu_model::WEIGHTS), key, device)?;
        let note = note(&format!("`{}`", folder.display()), &started.initialised, &started.copied);
        Ok(FirstModel { model, learned, note: Some(note) })
    }
}

/// Reads what a run starts from: from the run folder if the run has a saved state, else by `read`; then it is stored in the run folder.
fn stored<T: Serialize + DeserializeOwned>(
    run: &RunFolder,
    read: impl FnOnce() -> Result<T, TrainError>,
) -> Result<T, TrainError> {
    let saved = run.join(folder::START);
    if saved.exists() && state::saved_step(&run.join(folder::STATE))?.is_some() {
        let bytes = files::read(&saved, LARGEST)?;
        let wrong = |error: serde_json::Error| TrainError::Damaged { path: saved.clone(), cause: error.to_string() };
        return serde_json::from_slice(&bytes).map_err(wrong);
    }
    let start = read()?;
    let json = serde_json::to_vec_pretty(&start).expect("a configuration can be written as JSON");
    files::write_bytes(&saved, &json)?;
    Ok(start)
}

/// The note about what training starts from, with the parts whose weights are new.
fn note(from: &str, initialised: &[String], copied: &[String]) -> String {
    let part = |name: &String| name.split('.').next().map(String::from);
    let mut new: Vec<String> = initialised.iter().filter_map(part).collect();
    new.dedup();
    let copied: BTreeSet<String> = copied.iter().filter_map(part).collect();
    for part in new.iter_mut().filter(|part| copied.contains(*part)) {
        *part += " (partly copied)";
    }
    match new.as_slice() {
        [] => format!("training starts from {from}"),
        new => format!("training starts from {from}; new and random: {}", new.join(", ")),
    }
}
