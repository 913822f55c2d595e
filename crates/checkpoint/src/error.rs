//! Errors of opening a checkpoint and of reading its tensors.

use std::path::{Path, PathBuf};

use crate::Dtype;

/// An error of this crate. Its message says what went wrong, where, and how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file or folder that cannot be read.
    #[error("cannot {action} `{path}`: {source}")]
    File {
        /// What failed: open, read and so on.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file of another kind.
    #[error("`{path}` is {found}; weights are read from safetensors, PyTorch and ONNX files")]
    Unrecognised {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A TorchScript archive, as OpenAI published CLIP.
    #[error(
        "`{path}` is a TorchScript archive, which contains code; convert it with `python -c \"import torch; m = \
         torch.jit.load('{path}', map_location='cpu'); torch.save(m.state_dict(), 'clip.pt')\"`"
    )]
    TorchScript {
        /// The file.
        path: PathBuf,
    },
    /// A tar archive of the first versions of PyTorch.
    #[error(
        "`{path}` is a tar archive, the legacy format of PyTorch before 0.1.10, which is not read; if you trust its \
         source, load it with an old PyTorch and save it as safetensors"
    )]
    LegacyTar {
        /// The file.
        path: PathBuf,
    },
    /// A pickle that names a function or class that weights do not need.
    #[error(
        "`{path}` contains a reference to `{global}`, which weights do not need: with Python the file would run code; if \
         you trust its source, convert it to safetensors"
    )]
    RunsCode {
        /// The file.
        path: PathBuf,
        /// Module and name of the function or class.
        global: String,
    },
    /// A file that contradicts itself or its format.
    #[error("`{path}` is damaged: {place}: {cause}; get the file again from its source")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The record, tensor or byte.
        place: String,
        /// What is wrong there.
        cause: String,
    },
    /// A file that uses a part of its format that this crate does not read, or that is over a limit.
    #[error("`{path}` cannot be read: {place}: {cause}; convert it to safetensors")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The record, tensor or byte.
        place: String,
        /// What is not supported.
        cause: String,
    },
    /// A folder without weights.
    #[error("no weights in folder `{path}` (it contains {}); give a file of weights", list(found))]
    NoWeights {
        /// The folder.
        path: PathBuf,
        /// The files in it.
        found: Vec<String>,
    },
    /// A folder with several files of weights.
    #[error("folder `{path}` contains several files of weights ({}); give one of them", list(found))]
    Ambiguous {
        /// The folder.
        path: PathBuf,
        /// The files of weights.
        found: Vec<String>,
    },
    /// An index whose shard is not usable.
    #[error("`{path}` names the shard `{shard}`, which {cause}; download all files of the model into one folder")]
    Shard {
        /// The index file.
        path: PathBuf,
        /// The shard as the index names it.
        shard: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A name that the checkpoint does not contain.
    #[error("`{path}` contains no tensor `{name}`; its names are listed by `names`")]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
    },
    /// A tensor that does not hold floating-point numbers.
    #[error("tensor `{name}` of `{path}` has the type {dtype}; only floating-point weights can be read, leave it out")]
    NotFloat {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        dtype: Dtype,
    },
}

/// The first names of a list, in backticks.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "no file".to_owned();
    }
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// An error inside of a file, before its path is added.
#[derive(Debug)]
pub(crate) enum Problem {
    RunsCode(String),
    TorchScript,
    Damaged { place: String, cause: String },
    Unsupported { place: String, cause: String },
}

impl Problem {
    /// The error of the file at this path.
    pub(crate) fn at(self, path: &Path) -> CheckpointError {
        let path = path.to_path_buf();
        match self {
            Self::RunsCode(global) => CheckpointError::RunsCode { path, global },
            Self::TorchScript => CheckpointError::TorchScript { path },
            Self::Damaged { place, cause } => CheckpointError::Damaged { path, place, cause },
            Self::Unsupported { place, cause } => CheckpointError::Unsupported { path, place, cause },
        }
    }
}

/// The file contradicts itself or its format at this place.
pub(crate) fn damaged(place: impl Into<String>, cause: impl Into<String>) -> Problem {
    Problem::Damaged { place: place.into(), cause: cause.into() }
}

/// The file uses what this crate does not read, or is over a limit.
pub(crate) fn unsupported(place: impl Into<String>, cause: impl Into<String>) -> Problem {
    Problem::Unsupported { place: place.into(), cause: cause.into() }
}
