//! Why something could not be evaluated.

use std::path::PathBuf;

use ptu_data::DataError;
use ptu_infer::InferError;
use ptu_input::InputError;
use ptu_model::ModelError;
use ptu_train::{ObjectiveKind, TrainError};

/// What stops an evaluation.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The run or its recipe.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Model files.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A text or an image.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Embedding.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// A bundle that says nothing about data.
    #[error("`{path}` is no run folder, so it does not say on what to evaluate; name shard folders with --data")]
    NoData {
        /// The path.
        path: PathBuf,
    },
    /// A label that no record has.
    #[error("no record of {paths} has the label `{label}`; {there}")]
    NoLabel {
        /// The folders of shards.
        paths: String,
        /// The label.
        label: String,
        /// Which labels there are.
        there: String,
    },
    /// A label that cannot be asked about.
    #[error(
        "label `{label}`: fewer than two of its values stand in the pairs of split `train` of `{path}`, to which probes are fitted; \
         name another label, or a folder whose records have it"
    )]
    Label {
        /// The folder of shards.
        path: PathBuf,
        /// The label.
        label: String,
    },
    /// A score on request that needs what the model has not learned.
    #[error(
        "{asked} needs the objective `{objective}`, which this model was not trained with; leave it out, or train a model with it"
    )]
    NotLearned {
        /// What was asked for.
        asked: &'static str,
        /// What is missing.
        objective: ObjectiveKind,
    },
    /// Saved scores or examples that cannot be read.
    #[error("`{path}` cannot be read: {cause}; run `evaluate` again")]
    Saved {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A sentence for a class that cannot be read.
    #[error("sentence `{sentence}` cannot be used: {cause}")]
    Sentence {
        /// The sentence.
        sentence: String,
        /// Why.
        cause: String,
    },
    /// Records that the model has learned from.
    #[error(
        "`{path}` holds what this model has learned from ({cause}), so its scores would say nothing; evaluate on other records, or say \
         --force"
    )]
    Learned {
        /// The folder of shards that was to be evaluated.
        path: PathBuf,
        /// Which.
        cause: String,
    },
    /// A split without a pair.
    #[error("no record of split `{split}` can be used: {cause}")]
    Nothing {
        /// The split.
        split: String,
        /// Why.
        cause: String,
    },
}

impl EvaluateError {
    /// Whether what was asked is wrong in itself; commands end with the exit code of wrong arguments then.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NoLabel { .. } | Self::Sentence { .. } => true,
            Self::Train(error) => error.is_usage(),
            Self::Data(error) => error.is_usage(),
            Self::Infer(error) => error.is_usage(),
            _ => false,
        }
    }
}

/// A validation that fails ends the run.
impl From<EvaluateError> for TrainError {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::Train(error) => error,
            EvaluateError::Data(error) => error.into(),
            EvaluateError::Model(error) => error.into(),
            EvaluateError::Input(error) => error.into(),
            other => Self::Task(Box::new(other)),
        }
    }
}
