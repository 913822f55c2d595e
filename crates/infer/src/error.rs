//! Errors of inference.

use std::io;
use std::path::PathBuf;

use ptu_data::DataError;
use ptu_input::InputError;
use ptu_model::ModelError;

/// The reason why inputs cannot be embedded or vectors cannot be searched.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// Inputs or vectors cannot be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model cannot be used, or inputs do not fit it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A generated text cannot be decoded.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The operating system refused an operation on a file (also if the disk is full).
    #[error("cannot {action} `{path}`: {source}", path = path.display())]
    File {
        /// The operation, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file to write has an unknown extension.
    #[error("`{path}`: vectors are written as `.parquet`, `.npy` or `.jsonl`; give the file one of these extensions", path = .0.display())]
    Ending(PathBuf),
    /// The file to write exists already.
    #[error("`{path}` exists: name another file", path = .0.display())]
    Exists(PathBuf),
    /// The interrupted or finished work belongs to other inputs, another model or other options.
    #[error(
        "`{path}` was written from other inputs, with another model or with other options: use the same ones again, \
         or name another file",
        path = .0.display()
    )]
    OtherWork(PathBuf),
    /// Earlier work on the same file was interrupted.
    #[error("`{path}` holds interrupted work on this file: continue with `--resume`, or delete that folder to start again", path = .0.display())]
    Interrupted(PathBuf),
    /// The vectors were made with another model.
    #[error(
        "`{vectors}` holds vectors of another model ({found}) than `{model}` ({wanted}): embed the inputs again with this model, or \
         search with the other model",
        vectors = vectors.display(), model = model.display()
    )]
    OtherModel {
        /// The file of vectors.
        vectors: PathBuf,
        /// First digits of the fingerprint of the model that made them.
        found: String,
        /// The model of this search.
        model: PathBuf,
        /// First digits of its fingerprint.
        wanted: String,
    },
    /// The vectors cannot be searched.
    #[error("vectors `{path}`: {cause}", path = path.display())]
    Vectors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and how to correct it.
        cause: String,
    },
    /// The model is not fine-tuned for a task.
    #[error("`{path}` is a pre-trained model without a task: fine-tune it first (`ptunifier finetune RECIPE --model {path} --out RUN`)", path = path.display())]
    NoTask {
        /// The bundle.
        path: PathBuf,
    },
    /// The model cannot compare an image with a text.
    #[error(
        "`{path}` has neither a head for image-text matching nor one for retrieval, so it cannot say whether a text fits an image: \
         pre-train with the objective `itm` (`ptunifier pretrain`), or fine-tune a pre-trained model for retrieval (`ptunifier finetune \
         recipes/finetune/phantom-retrieval.toml --model MODEL --out RUN`)",
        path = path.display()
    )]
    NoMatching {
        /// The bundle.
        path: PathBuf,
    },
    /// The model is fine-tuned for another task.
    #[error("`{path}` is fine-tuned for {found}, not for {wanted}: {cure}", path = path.display())]
    OtherTask {
        /// The bundle.
        path: PathBuf,
        /// The task of the bundle.
        found: &'static str,
        /// The task that was requested.
        wanted: &'static str,
        /// What to do.
        cure: String,
    },
    /// The description of a task cannot be used.
    #[error("`task.json` of `{path}` cannot be used: {cause}; fine-tune the model again with this version", path = path.display())]
    TaskFile {
        /// The bundle.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A file of sentences that describe classes cannot be used.
    #[error("sentences `{path}`: {cause}", path = path.display())]
    Sentences {
        /// The file.
        path: PathBuf,
        /// What is wrong, and how to correct it.
        cause: String,
    },
    /// The model cannot compare images with sentences.
    #[error(
        "`{path}` cannot classify by sentences: it has no head that compares images with texts (objective `itc`); name a model that was \
         pre-trained with this objective",
        path = path.display()
    )]
    NoContrast {
        /// The bundle.
        path: PathBuf,
    },
    /// Vectors of an encoder alone were requested without naming the encoder.
    #[error(
        "vectors of an encoder alone are of one modality: choose images or texts (`--only images`, `--only texts`)"
    )]
    OneModality,
    /// The query cannot be used.
    #[error("{0}")]
    Query(String),
    /// The filter cannot be used.
    #[error("filter `{filter}`: {cause}")]
    Filter {
        /// The filter as written.
        filter: String,
        /// What is wrong, at which place, and how to correct it.
        cause: String,
    },
}

impl InferError {
    /// True if the request itself is wrong, whatever the named files contain: a filter that cannot be used, or an unknown file
    /// extension. Commands then end with the exit code for wrong arguments.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Filter { .. } | Self::Ending(_) => true,
            Self::Data(error) => error.is_usage(),
            _ => false,
        }
    }
}
