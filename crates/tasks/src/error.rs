//! Errors of tasks.

use std::path::PathBuf;

use ptu_train::TrainError;

/// The reason why a model cannot be fine-tuned for a task.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// No training record has the label.
    #[error("no training record of {data} has the label `{label}`; {there}")]
    NoLabel {
        /// The label.
        label: String,
        /// The folders of shards.
        data: String,
        /// A sentence that lists the labels of the records.
        there: String,
    },
    /// All training records have the same class.
    #[error(
        "label `{label}` has a single value in the training records of {data}, `{class}`: there is nothing to distinguish; name \
         another label"
    )]
    OneClass {
        /// The label.
        label: String,
        /// The folders of shards.
        data: String,
        /// The value.
        class: String,
    },
    /// All training examples have the same right output, or none.
    #[error("the training records of {data} give nothing to learn: {cause}; {cure}")]
    NothingToLearn {
        /// The folders of shards.
        data: String,
        /// What all examples have in common.
        cause: String,
        /// What to do.
        cure: &'static str,
    },
    /// A value says neither yes nor no.
    #[error(
        "label `{label}` of record `{id}` is `{value}`, which says neither yes nor no (positive, negative, uncertain, unmentioned, \
         yes, no, true, false, present, absent, 1, 0, -1); a label with other values must be the only one in `task.labels`"
    )]
    NeitherYesNorNo {
        /// The label.
        label: String,
        /// The record.
        id: String,
        /// Its value.
        value: String,
    },
    /// A label is named for which no policy is needed.
    #[error("`task.uncertain` names `{label}`, which is not in `task.labels`; remove it, or add the label")]
    UnknownPolicy {
        /// The label.
        label: String,
    },
    /// The records have none of what the task reads.
    #[error("no training record of {data} has {wanted}; {cure}")]
    NothingToRead {
        /// The folders of shards.
        data: String,
        /// What the task reads.
        wanted: &'static str,
        /// What to do.
        cure: &'static str,
    },
    /// A share of the training data leaves a class without records.
    #[error(
        "`finetune.share` {share} leaves no training record of class `{class}`, which has {count}; use a larger share, at least {least}"
    )]
    EmptyClass {
        /// The share.
        share: f64,
        /// The class.
        class: String,
        /// Number of its training records.
        count: usize,
        /// The smallest share that leaves a record of each class.
        least: f64,
    },
    /// A share of the training data leaves no record at all.
    #[error("`finetune.share` {share} leaves none of {count} training examples; use a larger share (`--data`)")]
    EmptyShare {
        /// The share.
        share: f64,
        /// Number of training examples.
        count: usize,
    },
    /// There is no false text to compare the true text of an image with.
    #[error("retrieval compares the text of each image with texts of other pairs of the batch, but {cause}; {cure}")]
    NoFalseText {
        /// Why there is none.
        cause: String,
        /// What to do.
        cure: &'static str,
    },
    /// The answers of another split cannot be collected.
    #[error(
        "`task.answers` asks for the answers of split `{split}`, but `{path}` has no record of it; prepare it, or use `train`"
    )]
    NoSplit {
        /// The split.
        split: &'static str,
        /// The folder of shards.
        path: PathBuf,
    },
}

impl From<TaskError> for TrainError {
    fn from(error: TaskError) -> Self {
        Self::Task(Box::new(error))
    }
}
