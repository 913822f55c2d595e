//! Errors of workflows.

use std::path::PathBuf;

use ptu_data::DataError;
use ptu_evaluate::EvaluateError;
use ptu_explain::ExplainError;
use ptu_infer::InferError;
use ptu_model::ModelError;
use ptu_train::{RecipeError, TrainError};

/// An error of a quickstart, a page, a check of the machine or a comparison with the reference.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// An error of training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An error of the evaluation.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// An error of an explanation.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// An error of embedding.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// A file that could not be used.
    #[error("cannot {action} `{path}`: {source}")]
    File {
        /// The action: read, write, lock.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A test case of the reference that cannot be used.
    #[error("case `{path}` cannot be used: {cause}")]
    Case {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// An output folder that is not empty.
    #[error(
        "folder `{path}` is not empty and has no quickstart that can be continued; choose a new or an empty folder"
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// An output folder with a quickstart that was started by a different command.
    #[error(
        "the quickstart in `{path}` cannot be continued: {cause}; use the command that it was started with, or choose another --out"
    )]
    OtherCommand {
        /// The folder.
        path: PathBuf,
        /// The differences.
        cause: String,
    },
    /// Published weights from which a quickstart cannot start.
    #[error("`--init`: {cause}")]
    Init {
        /// What is wrong, and what to change.
        cause: String,
    },
    /// Two options that both set the number of steps.
    #[error("`--minutes` and `--set train.steps` both set the number of steps; use only one of them")]
    ConflictingSteps,
    /// A table without enough training pairs or test pairs.
    #[error(
        "{table} cannot be used: a quickstart needs at least 2 training pairs and 1 test pair, and the table has {cause}; {cure}"
    )]
    NotEnoughPairs {
        /// The table.
        table: String,
        /// The pairs that it has.
        cause: String,
        /// What to change.
        cure: String,
    },
}

impl WorkflowError {
    /// Whether the arguments are wrong. Commands then end with the exit code for wrong arguments.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::ConflictingSteps | Self::Init { .. } => true,
            Self::Train(error) => error.is_usage(),
            Self::Evaluate(error) => error.is_usage(),
            Self::Infer(error) => error.is_usage(),
            _ => false,
        }
    }
}

// These errors are part of `TrainError`, so each has one place whichever way it comes.
impl From<RecipeError> for WorkflowError {
    fn from(error: RecipeError) -> Self {
        Self::Train(error.into())
    }
}

impl From<DataError> for WorkflowError {
    fn from(error: DataError) -> Self {
        Self::Train(error.into())
    }
}

impl From<ModelError> for WorkflowError {
    fn from(error: ModelError) -> Self {
        Self::Train(error.into())
    }
}

/// The function that plans a run returns a [`TrainError`].
impl From<WorkflowError> for TrainError {
    fn from(error: WorkflowError) -> Self {
        match error {
            WorkflowError::Train(error) => error,
            WorkflowError::Evaluate(error) => error.into(),
            other => Self::Task(Box::new(other)),
        }
    }
}
