//! Errors of studies.

use std::path::PathBuf;

use ptu_evaluate::EvaluateError;
use ptu_model::ModelError;
use ptu_train::TrainError;

use crate::WorkflowError;

/// The reason why a study, or one of its cells, cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The file of the study.
    #[error("study `{path}`: {cause}", path = path.display())]
    Recipe {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to change.
        cause: String,
    },
    /// Recipes of a cell that are not valid.
    #[error("cell `{cell}`: {cause}")]
    Cell {
        /// The cell.
        cell: String,
        /// What is wrong.
        cause: String,
    },
    /// Two axes that change the same key.
    #[error(
        "cell `{cell}`: two axes change `{key}`; let one axis change it, or write the cells one by one (`[[cell]]`)"
    )]
    Contradiction {
        /// The cell.
        cell: String,
        /// The key.
        key: String,
    },
    /// Two cells that are one.
    #[error("cells `{}` and `{}` are the same; remove one, or change what distinguishes them", cells[0], cells[1])]
    SameCell {
        /// Their names.
        cells: [String; 2],
    },
    /// The folder of another study.
    #[error("`{path}` holds study `{found}`, not `{asked}`; name another folder", path = path.display())]
    OtherStudy {
        /// The folder.
        path: PathBuf,
        /// The study that it holds.
        found: String,
        /// The study that was asked for.
        asked: String,
    },
    /// A folder with other files.
    #[error("`{path}` is not empty and holds no study; name a new or an empty folder", path = path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A result that cannot be read.
    #[error("result `{path}` cannot be read: {cause}; delete it, and its cell is measured again", path = path.display())]
    Result {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A score that no cell has.
    #[error("measure `{measure}`: no cell has {scores} of `{of}`; there are {known}")]
    NoScore {
        /// The measure.
        measure: String,
        /// The scores that it names.
        scores: String,
        /// What it is read from.
        of: String,
        /// The scores that there are.
        known: String,
    },
    /// Several data sets where one number is asked for.
    #[error(
        "the data of `{of}` are scored as {count} sets; a study needs one (`evaluate.by` divides them, or there are several folders)"
    )]
    SeveralSets {
        /// What is scored.
        of: String,
        /// Number of sets.
        count: usize,
    },
    /// An error of training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An error of an evaluation.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// An error of a file or a model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An error of a page or of a corpus.
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    /// A cell whose program failed.
    #[error("the program failed: {0}; this is a fault of ptunifier, please report it")]
    Panic(String),
}

impl StudyError {
    /// Whether the arguments are wrong.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Recipe { .. }
                | Self::Cell { .. }
                | Self::Contradiction { .. }
                | Self::SameCell { .. }
                | Self::OtherStudy { .. }
                | Self::NotEmpty { .. }
        )
    }
}
