//! Why a model could not be made, read or written.

use std::path::PathBuf;

/// What went wrong, where, and what cures it.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A size or choice that makes no network.
    #[error("model key `{key}` {rule}")]
    Config {
        /// The key, with dots.
        key: String,
        /// Its value and what it must be.
        rule: String,
    },
    /// A file that cannot be read or written.
    #[error("cannot {action} `{path}`: {source}")]
    File {
        /// Read, write, sync or rename.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file that is not what its name says.
    #[error("`{path}` is not {expected}: {cause}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// The reader's complaint.
        cause: String,
    },
    /// Weights that the model needs and the file lacks.
    #[error("`{path}` lacks {} weights that the model needs, among them `{}`; is it of another configuration?", names.len(), names.first().map_or("", String::as_str))]
    MissingWeights {
        /// The file.
        path: PathBuf,
        /// Published names.
        names: Vec<String>,
    },
    /// A weight of another size.
    #[error("weight `{name}` of `{path}` has shape {found:?}; the configuration asks for {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Published name.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that the model has.
        expected: Vec<usize>,
    },
    /// A weight that no row of the table knows.
    #[error(
        "weight `{name}` of `{path}` is unknown; leave it out, or give it a name of `docs/specification.md`, section 8"
    )]
    UnknownWeight {
        /// The file.
        path: PathBuf,
        /// The name found.
        name: String,
    },
    /// A text longer than the position table.
    #[error("a text of {tokens} tokens does not fit the {longest} positions of the model; truncate it to that length")]
    TextTooLong {
        /// Tokens, the special ones included.
        tokens: usize,
        /// The most the model can take.
        longest: usize,
    },
    /// A token that the vocabulary does not have.
    #[error("token id {id} lies outside the vocabulary of {vocabulary}; the tokenizer is of another model")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Entries of the vocabulary.
        vocabulary: usize,
    },
    /// An image of another size.
    #[error("images are {found} px on a side; the model takes {expected} px")]
    ImageSize {
        /// Pixels found.
        found: usize,
        /// Pixels the model takes.
        expected: usize,
    },
    /// A head that this bundle does not have.
    #[error("the model has no {head} head; train or load one that has")]
    NoHead {
        /// Its name.
        head: &'static str,
    },
}
