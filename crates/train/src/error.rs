//! Why a run could not start or go on.

use std::path::PathBuf;

use ptu_data::DataError;
use ptu_input::InputError;
use ptu_model::ModelError;

use crate::objective::ObjectiveKind;

/// What is wrong with a recipe: file, key, cause, cure.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("{cause}")]
    File {
        /// What the reader says, the path included.
        cause: String,
    },
    /// No TOML.
    #[error("recipe `{path}` cannot be understood: {cause}")]
    Syntax {
        /// The recipe.
        path: PathBuf,
        /// The parser's complaint, with line and column.
        cause: String,
    },
    /// A key that does not exist.
    #[error("recipe `{path}` has an unknown key `{key}`{}", suggestion(nearest.as_ref()))]
    UnknownKey {
        /// The recipe.
        path: PathBuf,
        /// The key, with dots.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// A value of the wrong type or out of range.
    #[error("recipe `{path}`: `{key}` {cause}")]
    Value {
        /// The recipe.
        path: PathBuf,
        /// The key, with dots.
        key: String,
        /// What is wrong with it.
        cause: String,
    },
    /// An override that is none.
    #[error("cannot apply `--set {assignment}`: {cause}")]
    Override {
        /// What the user wrote.
        assignment: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A key that sections of the model do not have.
    #[error("the recipe has an unknown key `{key}`{}", suggestion(nearest.as_ref()))]
    UnknownModelKey {
        /// The key, with dots.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// A section of the model with a wrong value.
    #[error("section `{section}` of the recipe is wrong: {cause}")]
    ModelValue {
        /// The section.
        section: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A path that a recipe cannot hold.
    #[error("path `{}` is not Unicode, which a recipe cannot hold; rename it", path.display())]
    NotUnicode {
        /// The path.
        path: PathBuf,
    },
    /// Sizes that do not fit each other.
    #[error("the recipe makes no model: {cause}")]
    Model {
        /// What the model says.
        cause: String,
    },
}

fn suggestion(nearest: Option<&String>) -> String {
    nearest.map_or(String::new(), |nearest| format!("; did you mean `{nearest}`?"))
}

/// What stops a run.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Model files.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A text or an image.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file of the run.
    #[error("cannot {action} `{path}`: {source}")]
    File {
        /// Read, write, lock.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process works in the folder.
    #[error("folder `{path}` is in use by another process; wait for it, or choose another --out")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that holds a run already.
    #[error("run folder `{path}` holds a run already; add --resume to go on with it, or choose another --out")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A folder without a run.
    #[error("`{path}` holds no run: it has no `recipe.toml`; start one with `ptunifier pretrain RECIPE --out {path}`")]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that holds something else.
    #[error("folder `{path}` is not empty and holds no run; choose a new or empty folder")]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// A run that was started differently.
    #[error(
        "run folder `{path}` cannot be resumed: {cause}; resume it with what it was started with, or choose another --out"
    )]
    Differs {
        /// The folder.
        path: PathBuf,
        /// What differs.
        cause: String,
    },
    /// A state that is damaged.
    #[error("saved state `{path}` is damaged: {cause}; delete it to start from step 0")]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Data that no objective of the recipe can use.
    #[error("no record of split `{split}` can be used: {cause}")]
    Nothing {
        /// The split.
        split: String,
        /// Why.
        cause: String,
    },
    /// An objective that finds nothing to learn from in a whole run.
    #[error("objective `{objective}` can learn nothing: {cause}; {cure}")]
    LearnsNothing {
        /// The objective.
        objective: ObjectiveKind,
        /// Why.
        cause: String,
        /// What to change.
        cure: String,
    },
    /// A source of which a whole run draws no record.
    #[error(
        "nothing can be learned from `{path}`: {cause}; raise its weight in `data`, take more steps, or leave it out"
    )]
    NeverDrawn {
        /// The folder of shards.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A validation that can say nothing.
    #[error(
        "`train.validate_every` is {every}, but split `validate` of {data} has no pair to judge by; set it to 0, or prepare the \
             data with a share of pairs for this split"
    )]
    NoValidation {
        /// Steps between two validations.
        every: u64,
        /// Folders of shards.
        data: String,
    },
    /// A tokenizer that knows no word of the data.
    #[error(
        "tokenizer `{path}` knows no word of the texts, so nothing can be learned from them (`{example}`); name another with \
             `text.tokenizer`, or leave it out for one that is trained on them"
    )]
    Unknown {
        /// Its folder.
        path: PathBuf,
        /// A text.
        example: String,
    },
    /// A step that does not fit into memory.
    #[error("a step of {batch} records at a time needs about {needed} of memory and {free} are free; {cure}")]
    Memory {
        /// Records that are computed at a time.
        batch: usize,
        /// What it needs.
        needed: String,
        /// What there is.
        free: String,
        /// Which keys to change.
        cure: String,
    },
    /// The loss or gradient was not finite too often in a row.
    #[error(
        "loss or gradient was not finite in {steps} steps in a row, up to step {step}; the state of the last good step is saved in `{path}`: lower optimizer.learning_rate or set optimizer.clip"
    )]
    NotFinite {
        /// Bad steps in a row.
        steps: u64,
        /// The last of them.
        step: u64,
        /// The run folder.
        path: PathBuf,
    },
    /// What a task says.
    #[error(transparent)]
    Task(Box<dyn std::error::Error + Send + Sync>),
}

impl TrainError {
    /// Whether what was asked is wrong in itself; commands end with the exit code of wrong arguments then.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Recipe(RecipeError::Override { .. }) => true,
            Self::Data(error) => error.is_usage(),
            _ => false,
        }
    }
}
