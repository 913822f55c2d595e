//! The settings of a bundle: `config.json` and `preprocessor_config.json`.

use ptu_input::Preprocess;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ModelConfig;

/// The hyper-parameter under which a published checkpoint carries a bundle's `config.json`.
pub const CARRIED_CONFIG: &str = "ptunifier_config";
/// The hyper-parameter under which it carries `preprocessor_config.json`.
pub const CARRIED_PREPROCESSING: &str = "ptunifier_preprocessing";
/// The hyper-parameter under which it carries the description of a fine-tuned model's task.
pub const CARRIED_TASK: &str = "ptunifier_task";
/// The `model_type` in the `config.json` of a bundle.
pub const MODEL_TYPE: &str = "ptunifier";
/// Keys that only `transformers` reads: an export for it stays a bundle.
const OF_TRANSFORMERS: [&str; 11] = [
    "architectures",
    "auto_map",
    "dtype",
    "id2label",
    "image_processor_type",
    "label2id",
    "pad_token_id",
    "processor_class",
    "task",
    "torch_dtype",
    "transformers_version",
];

/// The content of `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct BundleConfig {
    /// Sizes and options of the network.
    pub model: ModelConfig,
    /// The largest number of tokens of a text in training, including special tokens.
    pub max_tokens: usize,
    /// The data sets that the model was trained on.
    pub trained_on: Vec<TrainedOn>,
    /// The published weights from which its training started.
    pub weights_from: Vec<WeightSource>,
}

/// A data set that a model was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainedOn {
    /// Name of the data set.
    pub source: String,
    /// Hash of its manifest.
    pub manifest: String,
}

/// Published weights from which the training of a model started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightSource {
    /// Name of the file, with the folder in which it was.
    pub name: String,
    /// The layout that was recognised, such as `transformers, BERT`.
    pub layout: String,
    /// Their licence, as the files beside them state it; `None` if none does.
    pub licence: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct File {
    model_type: String,
    max_tokens: usize,
    #[serde(default)]
    trained_on: Vec<TrainedOn>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    weights_from: Vec<WeightSource>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl WeightSource {
    /// The licence in words for a card.
    pub fn stated_licence(&self) -> &str {
        self.licence.as_deref().unwrap_or("not stated beside the weights")
    }
}

impl BundleConfig {
    /// Reads the file's content.
    ///
    /// # Errors
    /// When it is not such a file; what is wrong with it. Sizes are not checked ([`ModelConfig::check`]).
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let File { max_tokens, trained_on, weights_from, mut rest, .. } =
            serde_json::from_slice(json).map_err(|error| error.to_string())?;
        OF_TRANSFORMERS.iter().for_each(|key| drop(rest.remove(*key)));
        let model = serde_json::from_value(Value::Object(rest)).map_err(|error| error.to_string())?;
        Ok(Self { model, max_tokens, trained_on, weights_from })
    }

    /// The file's content.
    pub fn to_json(&self) -> String {
        let Self { model, max_tokens, trained_on, weights_from } = self.clone();
        let rest = match serde_json::to_value(model) {
            Ok(Value::Object(map)) => map,
            _ => unreachable!("a configuration is a map"),
        };
        let file = File { model_type: MODEL_TYPE.into(), max_tokens, trained_on, weights_from, rest };
        serde_json::to_string_pretty(&file).expect("a configuration can be written as JSON")
    }
}

/// The image transforms of `preprocessor_config.json`.
///
/// # Errors
/// When it is not such a file; what is wrong with it.
pub fn preprocessing(json: &[u8]) -> Result<Preprocess, String> {
    let mut all: Map<String, Value> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    OF_TRANSFORMERS.iter().for_each(|key| drop(all.remove(*key)));
    serde_json::from_value(Value::Object(all)).map_err(|error| error.to_string())
}
