//! Errors of creating, reading and writing a model.

use std::path::PathBuf;

/// An error of this crate. Its message says what went wrong, where, and how to fix it.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A size or option in the configuration that is not valid.
    #[error("model configuration: `{key}` {rule}")]
    Config {
        /// The key; levels are separated by dots.
        key: String,
        /// Its value and the rule for it.
        rule: String,
    },
    /// A file that cannot be read or written.
    #[error("cannot {action} `{path}`: {source}")]
    File {
        /// What failed: read, write, sync, rename and so on.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file whose content is not what its name says.
    #[error("`{path}` is not {expected}: {cause}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// The error of the reader.
        cause: String,
    },
    /// Weights that the model needs but the file does not contain.
    #[error(
        "`{path}` does not contain {} weights that the model needs, for example `{}`; the file may be of another \
         model configuration",
        names.len(),
        names.first().map_or("", String::as_str)
    )]
    MissingWeights {
        /// The file.
        path: PathBuf,
        /// Their published names.
        names: Vec<String>,
    },
    /// A weight whose shape is not the one that the model needs.
    #[error("weight `{name}` of `{path}` has shape {found:?}, but the model configuration requires {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its published name.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that the model needs.
        expected: Vec<usize>,
    },
    /// A weight in the file that is not in the model's table of names.
    #[error("weight `{name}` of `{path}` is unknown; remove or rename it (names: `docs/specification.md`, section 8)")]
    UnknownWeight {
        /// The file.
        path: PathBuf,
        /// The unknown name.
        name: String,
    },
    /// A text with more tokens than the model has position embeddings.
    #[error("a text has {tokens} tokens, but the model takes at most {longest}; truncate the text to {longest} tokens")]
    TextTooLong {
        /// Number of tokens, including special tokens.
        tokens: usize,
        /// The largest number of tokens that the model takes.
        longest: usize,
    },
    /// A token id that is not in the vocabulary.
    #[error("token id {id} is outside the vocabulary of {vocabulary} entries; the tokenizer belongs to another model")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Number of entries of the vocabulary.
        vocabulary: usize,
    },
    /// Images that do not have the model's input size.
    #[error("images are {found} x {found} pixels, but the model takes {expected} x {expected} pixels")]
    ImageSize {
        /// Height and width of the images in pixels.
        found: usize,
        /// Height and width that the model takes in pixels.
        expected: usize,
    },
    /// A weight that is NaN or infinite.
    #[error(
        "weight `{name}` of `{path}` has values that are not finite: the file is damaged, or the training of the model diverged; use an \
         earlier model, or train it again with a lower learning rate"
    )]
    WeightNotFinite {
        /// The file.
        path: PathBuf,
        /// Its published name.
        name: String,
    },
    /// Outputs that are NaN or infinite.
    #[error(
        "the model gives values that are not finite: its weights are damaged, or its training diverged; use an earlier model, or train \
         again with a lower learning rate"
    )]
    NotFinite,
    /// A head that this model does not have.
    #[error("the model has no {head} head; train or load a model that has one")]
    NoHead {
        /// Name of the head.
        head: &'static str,
    },
}
