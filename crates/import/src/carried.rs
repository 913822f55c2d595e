//! The settings that a checkpoint carries which this project exported (`ptunifier export --to ptunifier`).

use ptu_checkpoint::Value;
use ptu_input::Preprocess;
use ptu_model::{BundleConfig, CARRIED_CONFIG, CARRIED_PREPROCESSING, CARRIED_TASK, preprocessing};

use crate::error::ImportError;
use crate::source::Source;

/// Settings of the bundle that was exported.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    /// Sizes and options, data and weights that it learned from.
    pub config: BundleConfig,
    /// Its image transforms.
    pub preprocess: Preprocess,
    /// What a fine-tuned model predicts.
    pub task: Option<serde_json::Value>,
}

impl Carried {
    /// Reads the settings of a checkpoint; `None` if it has none.
    ///
    /// # Errors
    /// When they are not those of a bundle.
    pub(crate) fn read(source: &Source) -> Result<Option<Self>, ImportError> {
        let all = source.values().get("hyper_parameters");
        let text = |key| match all.and_then(|all| all.get(key)) {
            Some(Value::Text(text)) => Some(text.as_bytes()),
            _ => None,
        };
        let (Some(config), Some(steps)) = (text(CARRIED_CONFIG), text(CARRIED_PREPROCESSING)) else { return Ok(None) };
        let wrong = |key: &str, cause: String| ImportError::Settings {
            path: source.path().into(),
            cause: format!("its hyper-parameter `{key}`: {cause}"),
        };
        let config = BundleConfig::from_json(config).map_err(|cause| wrong(CARRIED_CONFIG, cause))?;
        config.model.check()?;
        let preprocess = preprocessing(steps).map_err(|cause| wrong(CARRIED_PREPROCESSING, cause))?;
        let side = preprocess.side().map_err(|error| wrong(CARRIED_PREPROCESSING, error.to_string()))?;
        if side != config.model.image.size {
            let cause = format!("it gives images of {side} pixels, and the model takes {}", config.model.image.size);
            return Err(wrong(CARRIED_PREPROCESSING, cause));
        }
        let task = text(CARRIED_TASK).map(serde_json::from_slice).transpose();
        let task = task.map_err(|error| wrong(CARRIED_TASK, error.to_string()))?;
        Ok(Some(Self { config, preprocess, task }))
    }
}
