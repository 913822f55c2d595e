//! Why several steps in one could not be done.

use std::path::PathBuf;

use ptu_data::DataError;
use ptu_evaluate::EvaluateError;
use ptu_infer::InferError;
use ptu_model::ModelError;
use ptu_train::{RecipeError, TrainError};

/// What stops a quickstart, a page, a look at the machine or a comparison with the reference.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// The run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The evaluation.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Model files.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Embedding.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// A file of the run.
    #[error("cannot {action} `{path}`: {source}")]
    File {
        /// Read, write, lock.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A case of the reference.
    #[error("case `{path}` cannot be used: {cause}")]
    Case {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A folder that must be empty.
    #[error("folder `{path}` is not empty and holds no quickstart that could go on; choose a new or empty one")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A quickstart that was begun by another command.
    #[error(
        "the quickstart in `{path}` cannot go on: {cause}; give the command that it was begun with, or choose another --out"
    )]
    Quickstarted {
        /// The folder.
        path: PathBuf,
        /// What differs.
        cause: String,
    },
    /// Two options that decide the same.
    #[error("`--minutes` chooses the steps, and `--set train.steps` does too; leave one of them out")]
    StepsTwice,
    /// A quickstart without pairs to be asked about.
    #[error("{table} cannot be learned from and asked about: it has {cause}; {cure}")]
    NothingAsked {
        /// The table.
        table: String,
        /// Why.
        cause: String,
        /// What to change.
        cure: String,
    },
}

impl WorkflowError {
    /// Whether what was asked is wrong in itself; commands end with the exit code of wrong arguments then.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::StepsTwice => true,
            Self::Train(error) => error.is_usage(),
            Self::Evaluate(error) => error.is_usage(),
            Self::Data(error) => error.is_usage(),
            Self::Infer(error) => error.is_usage(),
            _ => false,
        }
    }
}

/// What plans a run may say why there is no plan.
impl From<WorkflowError> for TrainError {
    fn from(error: WorkflowError) -> Self {
        match error {
            WorkflowError::Train(error) => error,
            WorkflowError::Evaluate(error) => error.into(),
            other => Self::Task(Box::new(other)),
        }
    }
}
