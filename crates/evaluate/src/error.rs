//! Errors of an evaluation.

use std::path::PathBuf;

use ptu_data::{DataError, InputForm};
use ptu_infer::InferError;
use ptu_input::InputError;
use ptu_model::ModelError;
use ptu_train::{ObjectiveKind, TrainError};

/// The reason why an evaluation cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The run or its recipe cannot be used.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Inputs cannot be embedded.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// A probe reads the encoders' features of records of different modalities.
    #[error(
        "a linear probe of the encoders needs records of the same modalities, and here some have an image and a text, others only one of \
         them; probe the features after the fusion (`--probe-space features`), or set `task.input` to \"image\", \"text\" or \"pair\""
    )]
    ProbeModalities,
    /// A fine-tuned model reads one modality, so that none can be missing.
    #[error(
        "the model reads `{input}` of each record, so nothing can be missing; scores with missing images or texts need a task with \
         `task.input = \"available\"` or `\"pair\"`, or one that answers questions"
    )]
    ReadsOne {
        /// What the task reads.
        input: InputForm,
    },
    /// A bundle does not name any data, and the user named none.
    #[error(
        "`{path}` is not a run folder, so it does not name any data to evaluate on; name shard folders with `--data`"
    )]
    NoData {
        /// The path that was given.
        path: PathBuf,
    },
    /// No record has a requested label.
    #[error("no record of {paths} has the label `{label}`; {there}")]
    NoLabel {
        /// The folders of shards.
        paths: String,
        /// The label.
        label: String,
        /// The sentence that lists the labels of the records.
        there: String,
    },
    /// No record has the field or label by which the scores are to be grouped.
    #[error("no record of `{path}` has the field or label `{field}`; {there}", path = path.display())]
    NoField {
        /// The folder of shards.
        path: PathBuf,
        /// The field or label.
        field: String,
        /// The sentence that lists the fields and labels of the records.
        there: String,
    },
    /// The training records have too few values of a label to fit a probe.
    #[error(
        "label `{label}`: the pairs of split `train` of `{path}`, to which probes are fitted, have fewer than two values of it; \
         name another label, or a folder whose records have it"
    )]
    Label {
        /// The folder of shards.
        path: PathBuf,
        /// The label.
        label: String,
    },
    /// A file with the memory of a training split that cannot be used.
    #[error("memory `{path}` cannot be used: {cause}; name another file, which is then written anew", path = path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A folder has no pairs to learn a completion from.
    #[error("`{path}` has no pairs in its split `train`, from which means and neighbours come; prepare it with training records", path = path.display())]
    NoTraining {
        /// The folder of shards.
        path: PathBuf,
    },
    /// A record has no image any more, although it had one when the gallery was read.
    #[error(
        "record `{id}` of `{source_name}` changed during the evaluation; evaluate again when nothing writes to its data"
    )]
    Changed {
        /// Id of the record.
        id: String,
        /// Name of its source.
        source_name: String,
    },
    /// A requested score needs an objective that the model was not trained with.
    #[error(
        "{request} needs the objective `{objective}`, which this model was not trained with; remove this request, or train a model \
         with the objective"
    )]
    NotLearned {
        /// The requested score.
        request: &'static str,
        /// The objective that is missing.
        objective: ObjectiveKind,
    },
    /// A folder for rankings holds something else.
    #[error("`{path}` holds other files than rankings; name a new or empty folder", path = path.display())]
    NotRankings {
        /// The folder.
        path: PathBuf,
    },
    /// Saved scores or examples cannot be read.
    #[error("`{path}` cannot be read: {cause}; delete it, and run `evaluate` again")]
    Saved {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A sentence for a class cannot be used.
    #[error("sentence `{sentence}` cannot be used: {cause}")]
    Sentence {
        /// The sentence.
        sentence: String,
        /// The reason.
        cause: String,
    },
    /// The model has learned from the records that were to be evaluated.
    #[error(
        "`{path}` contains records that this model has learned from ({cause}), so its scores would say nothing about new records; \
         evaluate on other records, or add `--force`"
    )]
    Learned {
        /// The folder of shards that was to be evaluated.
        path: PathBuf,
        /// Which of its records.
        cause: String,
    },
    /// The data of a run were replaced after its training.
    #[error(
        "the data in `{path}` are not those that the model was trained on: they were prepared again since, so their splits may hold \
         records that it has learned from; name them with `--data {path}` to score them all the same",
        path = path.display()
    )]
    Replaced {
        /// The folder of shards.
        path: PathBuf,
    },
    /// No record of the split has an input and a target of the task.
    #[error("no record of split `{split}` can be scored: {cause}; name another split or other data")]
    NoTarget {
        /// The split.
        split: String,
        /// What the records lack.
        cause: String,
    },
    /// The requested split of a source has no image-text pair.
    #[error(
        "the requested split of `{source_name}` has no record with both an image and a text; name another split or other data"
    )]
    NoPairs {
        /// Name of the source.
        source_name: String,
    },
}

impl EvaluateError {
    /// True if the request itself is wrong. Commands then end with the exit code for wrong arguments.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::NoLabel { .. } | Self::NoField { .. } | Self::Sentence { .. } => true,
            Self::Train(error) => error.is_usage(),
            Self::Infer(error) => error.is_usage(),
            _ => false,
        }
    }
}

// These errors are part of `TrainError`, so each has one place whichever way it comes.
impl From<DataError> for EvaluateError {
    fn from(error: DataError) -> Self {
        Self::Train(error.into())
    }
}

impl From<ModelError> for EvaluateError {
    fn from(error: ModelError) -> Self {
        Self::Train(error.into())
    }
}

impl From<InputError> for EvaluateError {
    fn from(error: InputError) -> Self {
        Self::Train(error.into())
    }
}

/// A validation that fails stops the run.
impl From<EvaluateError> for TrainError {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::Train(error) => error,
            other => Self::Task(Box::new(other)),
        }
    }
}
