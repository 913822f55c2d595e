//! The model from which fine-tuning starts. What a run needs of it is stored in the run folder, so that the run can be resumed
//! without it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use ptu_input::{Preprocess, Tokenizer};
use ptu_model::{Bundle, Learned, ModelConfig, TrainedOn};
use serde::{Deserialize, Serialize};

use crate::folder::{self, RunFolder};
use crate::{TrainError, files, state};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 24;

/// What is known of the model from which fine-tuning starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartModel {
    /// Its configuration.
    pub config: ModelConfig,
    /// Its image transforms.
    pub preprocess: Preprocess,
    /// The data sets that it was trained on.
    pub trained_on: Vec<TrainedOn>,
    /// Its fingerprint ([`Bundle::fingerprint`]).
    pub fingerprint: String,
    /// Its files, which are needed only before the first step.
    #[serde(skip)]
    pub files: Option<StartFiles>,
}

/// The parts of the starting model that a new run copies.
#[derive(Clone, Debug)]
pub struct StartFiles {
    /// The bundle.
    pub folder: PathBuf,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// Hashes of the images and texts that it was trained on.
    pub learned: Option<Learned>,
}

impl StartModel {
    /// The starting model of a run: from the run folder if the run has a saved state, else from the bundle.
    ///
    /// # Errors
    /// When the bundle or the file in the run folder cannot be read, or a weight is not finite.
    pub fn open(model: &Path, run: &RunFolder) -> Result<Self, TrainError> {
        let saved = run.join(folder::START);
        if saved.exists() && state::saved_step(&run.join(folder::STATE))?.is_some() {
            let bytes = files::read(&saved, LARGEST)?;
            let wrong = |error: serde_json::Error| TrainError::Start { path: saved.clone(), cause: error.to_string() };
            return serde_json::from_slice(&bytes).map_err(wrong);
        }
        let folder = folder::bundle_of(model)?;
        let bundle = Bundle::load(&folder, &Device::flex())?;
        bundle.model.check_finite(&folder.join(ptu_model::WEIGHTS))?;
        let start = Self {
            config: bundle.model.config().clone(),
            preprocess: bundle.preprocess,
            trained_on: bundle.trained_on,
            fingerprint: Bundle::fingerprint(&folder)?,
            files: Some(StartFiles { folder, tokenizer: bundle.tokenizer, learned: bundle.learned }),
        };
        let json = serde_json::to_vec_pretty(&start).expect("a configuration can be written as JSON");
        files::write_bytes(&saved, &json)?;
        Ok(start)
    }
}
