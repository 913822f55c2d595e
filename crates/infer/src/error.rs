//! What can go wrong when a model is at work.

use std::io;
use std::path::PathBuf;

use ptu_data::DataError;
use ptu_model::ModelError;

/// Why inputs could not be embedded, or vectors not be searched.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// Inputs or vectors.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The operating system refused (also a full disk).
    #[error("cannot {action} `{path}`: {source}", path = path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The ending of the file to be written says nothing that is known.
    #[error("`{path}`: vectors are written as `.parquet`, `.npy` or `.jsonl`; give the file one of these endings", path = .0.display())]
    Ending(PathBuf),
    /// The file to be written is there.
    #[error("`{path}` exists: name another file", path = .0.display())]
    Exists(PathBuf),
    /// What was begun was begun otherwise.
    #[error(
        "`{path}` was made of other inputs, by another model or with other options: give those again, or name another file",
        path = .0.display()
    )]
    OtherWork(PathBuf),
    /// Work on the same file was interrupted.
    #[error("`{path}` holds interrupted work on this file: go on with `--resume`, or remove that folder to begin anew", path = .0.display())]
    Interrupted(PathBuf),
    /// Vectors of another model.
    #[error(
        "`{vectors}` holds vectors of another model ({found}) than `{model}` ({wanted}): embed again with this model, or search \
         with that one",
        vectors = vectors.display(), model = model.display()
    )]
    OtherModel {
        /// The file of vectors.
        vectors: PathBuf,
        /// Start of the hash of the model that made them.
        found: String,
        /// The model at hand.
        model: PathBuf,
        /// Start of its hash.
        wanted: String,
    },
    /// Vectors that cannot be searched.
    #[error("vectors `{path}`: {cause}", path = path.display())]
    Vectors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what would be right.
        cause: String,
    },
    /// A query that cannot be asked.
    #[error("{0}")]
    Query(String),
    /// A filter that cannot be used.
    #[error("filter `{filter}`: {cause}")]
    Filter {
        /// The filter as written.
        filter: String,
        /// What is wrong, where, and what would be right.
        cause: String,
    },
}

impl InferError {
    /// Whether what was asked is wrong in itself, whatever the files hold that it names: a filter that cannot be used, an ending
    /// that is not written. Commands end with the exit code of wrong arguments then.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Filter { .. } | Self::Ending(_) => true,
            Self::Data(error) => error.is_usage(),
            _ => false,
        }
    }
}
