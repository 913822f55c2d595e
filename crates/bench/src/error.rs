//! Errors of benchmarks.

use std::path::PathBuf;

use ptu_data::DataError;
use ptu_evaluate::EvaluateError;
use ptu_explain::ExplainError;
use ptu_input::InputError;
use ptu_model::ModelError;
use ptu_train::TrainError;
use ptu_workflow::WorkflowError;

/// An error of a benchmark.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// An error of the model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An error in the data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An error of the tokenizer or an image.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An error of training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An error of the evaluation.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// An error of an explanation.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// An error in a case of the reference.
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    /// A Python interpreter that cannot be started.
    #[error("cannot start `{path}`: {source}; --against needs a Python interpreter with torch")]
    Interpreter {
        /// The interpreter.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A Python interpreter without the packages that the reference needs.
    #[error(
        "`{path}` cannot be used for the comparison: {cause}; install the packages of tools/reference/requirements.txt (torch 2.11) for it"
    )]
    Unfit {
        /// The interpreter.
        path: PathBuf,
        /// What is missing.
        cause: String,
    },
    /// A process that ended without a result.
    #[error("{what} ended without a result: {cause}")]
    Process {
        /// Which process.
        what: String,
        /// Its last message.
        cause: String,
    },
    /// Losses that differ, so that a ratio of times would have no meaning.
    #[error(
        "the two sides do not compute the same loss: {name} is {ours} here and {theirs} in PyTorch, so no ratio is given"
    )]
    Disagree {
        /// The name of the loss.
        name: String,
        /// Our value.
        ours: f64,
        /// The value of PyTorch.
        theirs: f64,
    },
    /// A batch that does not fit into memory.
    #[error(
        "a step of {batch} records needs about {needed} of memory, and {free} are free; lower --batch, or add --checkpointing blocks"
    )]
    Memory {
        /// Records per step.
        batch: usize,
        /// The memory that is needed.
        needed: String,
        /// The free memory.
        free: String,
    },
    /// A file that could not be used.
    #[error("cannot {action} `{path}`: {source}")]
    File {
        /// The action: read, write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

impl BenchError {
    /// Converts the error of a failed file operation.
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }
}
