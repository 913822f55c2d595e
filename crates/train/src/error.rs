//! Errors of recipes and of training runs.

use std::path::PathBuf;

use ptu_data::DataError;
use ptu_import::ImportError;
use ptu_input::InputError;
use ptu_model::ModelError;

use crate::objective::ObjectiveKind;

/// An error in a recipe. The messages name the file, the key, the cause and what to change.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("{cause}")]
    File {
        /// The message of the reader, which includes the path.
        cause: String,
    },
    /// The file is not valid TOML, or does not have the form of a recipe.
    #[error("recipe `{path}` cannot be parsed: {cause}")]
    Syntax {
        /// The recipe.
        path: PathBuf,
        /// The message of the parser, with line and column.
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
    /// A `--set` argument that is not a valid `key=value`.
    #[error("cannot apply `--set {assignment}`: {cause}")]
    Override {
        /// The argument as the user wrote it.
        assignment: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A key that the section of the model does not have.
    #[error("the recipe has an unknown key `{key}`{}", suggestion(nearest.as_ref()))]
    UnknownModelKey {
        /// The key, with dots.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// A wrong value in a section of the model.
    #[error("the recipe's `{key}` is wrong: {cause}")]
    ModelValue {
        /// The key, with dots.
        key: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A path that cannot be written in a recipe.
    #[error("path `{}` is not valid Unicode, so it cannot be written in a recipe; rename it", path.display())]
    NotUnicode {
        /// The path.
        path: PathBuf,
    },
    /// Sizes that do not fit each other.
    #[error("the recipe does not describe a valid model: {cause}")]
    Model {
        /// The message of the model's check.
        cause: String,
    },
}

fn suggestion(nearest: Option<&String>) -> String {
    nearest.map_or(String::new(), |nearest| format!("; did you mean `{nearest}`?"))
}

/// An error that prevents a run from starting, or ends it.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// An error in the recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// An error in the published weights from which a run starts.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// An error in the data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An error in the files or the sizes of a model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An error in a text, an image or a tokenizer.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file of the run that cannot be read or written.
    #[error("cannot {action} `{path}`: {source}")]
    File {
        /// The action that failed, as a verb: read, write, lock.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Another process uses the folder.
    #[error("folder `{path}` is in use by another process; wait until it ends, or choose another --out")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that already contains a run.
    #[error("run folder `{path}` already contains a run; add --resume to continue it, or choose another --out")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The best model of a fine-tuned run, of which a file is missing.
    #[error(
        "`{file}` is missing, so the model with the best validation score cannot be used; put the file back, fine-tune again, or name \
         `{last}` to use the last model of the run instead"
    )]
    Incomplete {
        /// The missing file.
        file: PathBuf,
        /// The folder of the last model.
        last: PathBuf,
    },
    /// A folder without a run.
    #[error(
        "`{path}` contains no run: it has no `recipe.toml`; name the folder of a run, or start one with \
         `ptunifier pretrain RECIPE --out {path}` or `ptunifier finetune RECIPE --model MODEL --out {path}`"
    )]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that contains other files, but no run.
    #[error("folder `{path}` is not empty and contains no run; choose a new or empty folder")]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// A run that was started with another recipe or other data.
    #[error(
        "run folder `{path}` cannot be resumed: {cause}; resume it with the same recipe and data, or choose another --out"
    )]
    Differs {
        /// The folder.
        path: PathBuf,
        /// What differs.
        cause: String,
    },
    /// A saved state that is damaged.
    #[error("saved state `{path}` is damaged: {cause}; delete this folder to start from step 0")]
    State {
        /// The folder of the state.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A file of a run, without which it cannot go on, is damaged.
    #[error("`{path}` is damaged: {cause}; start the run again in a new folder, or delete its folder")]
    Damaged {
        /// The file in the run folder.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Data that no objective of the recipe can use.
    #[error("no record of split `{split}` can be used: {cause}")]
    Nothing {
        /// The split.
        split: String,
        /// The reason.
        cause: String,
    },
    /// An objective that would find nothing to learn from in the whole run.
    #[error("objective `{objective}` has nothing to learn from: {cause}; {cure}")]
    LearnsNothing {
        /// The objective.
        objective: ObjectiveKind,
        /// The reason.
        cause: String,
        /// What to change.
        cure: String,
    },
    /// A source from which the whole run would draw no record.
    #[error(
        "no record of `{path}` would be used in training: {cause}; raise its weight in `data`, train for more steps, or \
         remove it from `data`"
    )]
    NeverDrawn {
        /// The folder of shards.
        path: PathBuf,
        /// The reason.
        cause: String,
    },
    /// A validation without data.
    #[error(
        "`train.validate_every` is {every}, but split `validate` of {data} contains no image-text pair to validate on; set it \
         to 0, or prepare the data with a share of pairs for this split"
    )]
    NoValidation {
        /// Steps between two validations.
        every: u64,
        /// The folders of shards.
        data: String,
    },
    /// A validation of a task without records.
    #[error(
        "`train.validate_every` is {every}, but split `validate` of {data} contains no record to validate on; set it to 0, or prepare the \
         data with a share of records for this split"
    )]
    NoValidationRecord {
        /// Steps between two validations.
        every: u64,
        /// The folders of shards.
        data: String,
    },
    /// A tokenizer whose vocabulary contains no word of the data.
    #[error(
        "tokenizer `{path}` does not know any word of the texts (for example of `{example}`), so the model cannot learn from \
         them; name another tokenizer with `text.tokenizer`, or remove this key to train a tokenizer on the texts"
    )]
    Unknown {
        /// The folder of the tokenizer.
        path: PathBuf,
        /// The beginning of a text whose words are all unknown.
        example: String,
    },
    /// A step that does not fit into memory.
    #[error("a step of {batch} records at a time needs about {needed} of memory, but only {free} are free; {cure}")]
    Memory {
        /// Records that are computed at a time: `train.batch` divided by `train.accumulate`.
        batch: usize,
        /// The memory that the step needs.
        needed: String,
        /// The memory that is free.
        free: String,
        /// Which keys to change.
        cure: String,
    },
    /// The outputs of a frozen image encoder could not be stored.
    #[error(
        "cannot store the outputs of the frozen image encoder in `{path}` ({size}): {source}; free some space, or set \
         train.cache = false"
    )]
    ImageCache {
        /// The file.
        path: PathBuf,
        /// Its size when it is complete.
        size: String,
        /// The error of the operating system, or of a value that cannot be stored.
        source: std::io::Error,
    },
    /// The loss or a gradient was not finite in too many steps in a row.
    #[error(
        "the loss or a gradient was not finite in {steps} steps in a row, up to step {step}; the state of the last good step is \
         saved in `{path}`: lower optimizer.learning_rate or set optimizer.clip"
    )]
    NotFinite {
        /// Number of steps in a row.
        steps: u64,
        /// The last of these steps.
        step: u64,
        /// The run folder.
        path: PathBuf,
    },
    /// Every step of a run was skipped, because its loss or gradient was not finite.
    #[error(
        "the loss or a gradient was not finite in all {steps} steps, so nothing was learned; no model is saved in `{path}`: start again \
         in a new folder with a lower optimizer.learning_rate, or from another model"
    )]
    NeverFinite {
        /// Number of steps.
        steps: u64,
        /// The run folder.
        path: PathBuf,
    },
    /// An error of the task, for example of its validation.
    #[error(transparent)]
    Task(Box<dyn std::error::Error + Send + Sync>),
}

impl TrainError {
    /// Whether the arguments of the command are wrong. Commands then end with the exit code of wrong arguments.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Recipe(RecipeError::Override { .. }) => true,
            Self::Data(error) => error.is_usage(),
            _ => false,
        }
    }
}
