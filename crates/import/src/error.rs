//! Errors of importing published weights.

use std::path::PathBuf;

use ptu_checkpoint::CheckpointError;
use ptu_input::InputError;
use ptu_model::ModelError;

use crate::unsupported::Unsupported;

/// An error of this crate. Its message says what went wrong, where, and how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file of weights cannot be opened or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tokenizer beside the weights cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] InputError),
    /// The weights do not make a valid model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file of settings that is not what its name says.
    #[error(
        "`{path}` cannot be used: {cause}; get the file again from its source, or remove it and give the values as options"
    )]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// No layout is recognised.
    #[error(
        "`{path}` is not recognised as {wanted} (its tensors are, for example, {}); the layouts are listed in the help of \
         `ptunifier import`",
        list(names)
    )]
    UnknownLayout {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: Part,
        /// Names of its tensors.
        names: Vec<String>,
    },
    /// A text encoder where an image encoder is asked for, or the reverse.
    #[error("`{path}` holds {found}, but {wanted} is asked for; give the file of {wanted}")]
    OtherPart {
        /// The file.
        path: PathBuf,
        /// What is in it.
        found: Part,
        /// What was asked for.
        wanted: Part,
    },
    /// A file with several encoders of the same kind.
    #[error("`{path}` holds several encoders ({}); store one of them in a file of its own", list(names))]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The beginnings of their names.
        names: Vec<String>,
    },
    /// An encoder that a model of this project cannot describe.
    #[error("`{path}` cannot be imported: `{name}` shows that {what}; choose another encoder")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The tensor or setting that shows it.
        name: String,
        /// What is not supported.
        what: Unsupported,
    },
    /// Weights that the model needs but the file does not contain.
    #[error(
        "`{path}` does not contain {} weights of the encoder: {}; if they may be initialised anew, allow it with \
         `--allow-missing`",
        names.len(), list(names)
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// Their names in the layout of the file.
        names: Vec<String>,
    },
    /// Weights of the file that no rule explains.
    #[error(
        "`{path}` contains {} weights whose use is unknown: {}; the result would differ from its own program; if they may be \
         left out, allow it with `--allow-missing`",
        names.len(), list(names)
    )]
    Unexplained {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// A weight that contains NaN or an infinite value.
    #[error("tensor `{name}` of `{path}` contains {value} at index {index}; get the file again from its source")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The value.
        value: f32,
        /// Index of the value in row-major order.
        index: usize,
    },
    /// A tensor whose shape is not the one that the other tensors and `config.json` require.
    #[error(
        "tensor `{name}` of `{path}` has shape {found:?}, but {expected:?} is expected; do the weights and the `config.json` \
         beside them belong together?"
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that is expected.
        expected: Vec<usize>,
    },
    /// A value that the files do not give and that has no safe default.
    #[error("no file beside `{path}` gives {what}; {cure}")]
    NotGiven {
        /// The file of weights.
        path: PathBuf,
        /// What is not given.
        what: &'static str,
        /// How to give it.
        cure: &'static str,
    },
}

/// A part of a model that is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A vision transformer.
    Image,
    /// A BERT or RoBERTa encoder.
    Text,
    /// A whole model: a PTUnifier or METER checkpoint.
    Whole,
    /// A bundle of this program, which needs no import.
    Bundle,
}

impl std::fmt::Display for Part {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Image => "an image encoder",
            Self::Text => "a text encoder",
            Self::Whole => "a PTUnifier or METER checkpoint",
            Self::Bundle => "a bundle of this program",
        })
    }
}

/// The first names of a list, in backticks.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
