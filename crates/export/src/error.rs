//! Errors of exports.

use std::io;
use std::path::{Path, PathBuf};

use ptu_checkpoint::CheckpointError;
use ptu_infer::InferError;
use ptu_model::ModelError;

/// The reason why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The bundle cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its weights cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The description of its task cannot be read.
    #[error(transparent)]
    Task(#[from] InferError),
    /// The folder of the export has files.
    #[error("`{path}` is not empty; give a folder that does not exist, or an empty one", path = path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The model has a part that this format does not get.
    #[error("`{path}` {cause}", path = path.display())]
    Unsupported {
        /// The bundle.
        path: PathBuf,
        /// The part, and what can be done instead.
        cause: &'static str,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} `{path}`: {source}", path = path.display())]
    File {
        /// The operation, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl ExportError {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::File { action: "read", path: path.into(), source }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::File { action: "write", path: path.into(), source }
    }
}
