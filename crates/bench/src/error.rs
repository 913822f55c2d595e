//! Why something could not be measured.

use std::path::PathBuf;

use ptu_data::DataError;
use ptu_evaluate::EvaluateError;
use ptu_input::InputError;
use ptu_model::ModelError;
use ptu_train::TrainError;
use ptu_workflow::WorkflowError;

/// What stops a benchmark.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Shards.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A tokenizer.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A case folder.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Evaluation.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Cases of the reference.
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    /// An interpreter that cannot be started.
    #[error("cannot start `{path}`: {source}; --against wants a Python interpreter that has torch")]
    Interpreter {
        /// The interpreter.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An interpreter without what the reference needs.
    #[error(
        "`{path}` cannot be compared with: {cause}; install what tools/reference/requirements.txt lists (torch 2.11) into it"
    )]
    Unfit {
        /// The interpreter.
        path: PathBuf,
        /// What is missing.
        cause: String,
    },
    /// A process that ended before it had measured.
    #[error("{what} ended without a result: {cause}")]
    Process {
        /// Which process.
        what: String,
        /// Its last words.
        cause: String,
    },
    /// Losses that differ: no ratio is worth printing.
    #[error("both sides do not compute the same: {name} is {ours} here and {theirs} there, so no ratio is given")]
    Disagree {
        /// The loss.
        name: String,
        /// Ours.
        ours: f64,
        /// PyTorch's.
        theirs: f64,
    },
    /// A batch that does not fit into memory.
    #[error(
        "a step of {batch} needs about {needed} of memory and {free} are free; lower --batch, or add --checkpointing blocks"
    )]
    Memory {
        /// Records a step.
        batch: usize,
        /// What it needs.
        needed: String,
        /// What there is.
        free: String,
    },
    /// A file of the comparison.
    #[error("cannot {action} `{path}`: {source}")]
    File {
        /// Read, write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl BenchError {
    /// What a failed file operation becomes.
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }
}
