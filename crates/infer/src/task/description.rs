//! The description of a fine-tuned model's task.

use std::path::Path;

use ptu_data::InputForm;
use ptu_model::{Bundle, HeadKind, Outputs};
use serde::{Deserialize, Serialize};

use super::label_state::LabelState;
use crate::InferError;

/// What a fine-tuned model reads, and what its outputs mean. It is stored in a bundle as `task.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDescription {
    /// What the model reads of a record.
    pub input: InputForm,
    /// What the outputs mean.
    pub output: TaskOutput,
    /// Fingerprint of the bundle from which fine-tuning started; `None` if the model was trained from random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_from: Option<String>,
    /// How logits become calibrated probabilities, if this was fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// What the outputs of the head mean. The order of classes, labels and answers is that of the head's outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum TaskOutput {
    /// Exactly one class.
    Classification {
        /// The label whose values are the classes.
        label: String,
        /// The values.
        classes: Vec<String>,
    },
    /// Each label applies or not.
    Multilabel {
        /// The labels.
        labels: Vec<BinaryLabel>,
        /// Whether a record without any statement about a label counts as a record to which it does not apply.
        unmentioned: LabelState,
    },
    /// One of a fixed set of answers to a question about an image.
    Vqa {
        /// The answers in their normal form ([`ptu_input::text::normal_answer`]).
        answers: Vec<String>,
        /// The splits that the answers were collected from, for example `train and validate`.
        collected_from: String,
    },
    /// One score for an image and a text, larger for a better fit, by which texts are ranked for an image, and images for a text.
    Retrieval {
        /// Largest number of false texts that the true text of an image was compared with in training.
        negatives: usize,
    },
}

/// A label of multi-label classification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryLabel {
    /// Name of the label in the records.
    pub label: String,
    /// The value that means that it applies; `None` if the values are words such as `positive` and `negative`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What the value `uncertain` means.
    pub uncertain: LabelState,
}

impl BinaryLabel {
    /// The name under which the label is displayed: its value if it has one, else its name.
    pub fn name(&self) -> &str {
        self.value.as_deref().unwrap_or(&self.label)
    }
}

/// A temperature that makes probabilities calibrated: logits are divided by it (Guo et al., 2017).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The temperature.
    pub temperature: f64,
    /// Number of validation records that it was fitted to.
    pub fitted: usize,
}

impl TaskDescription {
    /// The task of a bundle. `folder` is the folder of the bundle, for messages.
    ///
    /// # Errors
    /// If the bundle is not fine-tuned, its description cannot be read, or the description does not fit its head.
    pub fn of(bundle: &Bundle, folder: &Path) -> Result<Self, InferError> {
        let path = || folder.to_path_buf();
        let value = bundle.task.clone().ok_or_else(|| InferError::NoTask { path: path() })?;
        let task: Self = serde_json::from_value(value)
            .map_err(|error| InferError::TaskFile { path: path(), cause: error.to_string() })?;
        let (head, outputs) = (task.head(), task.output.names().len());
        if let TaskOutput::Retrieval { .. } = task.output {
            let cause = "the model has no retrieval head".to_string();
            let has_head = bundle.model.heads.retrieval.is_some();
            return if has_head { Ok(task) } else { Err(InferError::TaskFile { path: path(), cause }) };
        }
        if bundle.model.config().outputs.of(head) != Some(outputs) {
            let cause = format!("it lists {outputs} outputs, but the model's head has another number of them");
            return Err(InferError::TaskFile { path: path(), cause });
        }
        Ok(task)
    }

    /// The head that the task uses.
    pub fn head(&self) -> HeadKind {
        match self.output {
            TaskOutput::Classification { .. } => HeadKind::Classification,
            TaskOutput::Multilabel { .. } => HeadKind::MultiLabel,
            TaskOutput::Vqa { .. } => HeadKind::Vqa,
            TaskOutput::Retrieval { .. } => HeadKind::Retrieval,
        }
    }

    /// Refuses a task whose output is no class, label or answer. `folder` is the folder of the bundle, for the message.
    ///
    /// # Errors
    /// [`InferError::OtherTask`], which names the command for the task.
    pub fn require_classes(&self, folder: &Path) -> Result<(), InferError> {
        let TaskOutput::Retrieval { .. } = self.output else { return Ok(()) };
        let cure = format!("use `ptunifier match {} IMAGE \"TEXT\"`", folder.display());
        let (found, wanted) = (self.output.kind(), "classes, labels or answers");
        Err(InferError::OtherTask { path: folder.into(), found, wanted, cure })
    }

    /// The number of outputs of the head, as a configuration of a model holds it.
    pub fn outputs(&self) -> Outputs {
        let count = Some(self.output.names().len());
        match self.output {
            TaskOutput::Classification { .. } => Outputs { classification: count, ..Outputs::default() },
            TaskOutput::Multilabel { .. } => Outputs { multilabel: count, ..Outputs::default() },
            TaskOutput::Vqa { .. } => Outputs { vqa: count, ..Outputs::default() },
            TaskOutput::Retrieval { .. } => Outputs::default(),
        }
    }
}

impl TaskOutput {
    /// Names of the outputs, in order: classes, labels or answers; none for a score.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Classification { classes, .. } => classes.iter().map(String::as_str).collect(),
            Self::Multilabel { labels, .. } => labels.iter().map(BinaryLabel::name).collect(),
            Self::Vqa { answers, .. } => answers.iter().map(String::as_str).collect(),
            Self::Retrieval { .. } => vec![],
        }
    }

    /// The name of the kind, as in a recipe.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Classification { .. } => "classification",
            Self::Multilabel { .. } => "multilabel",
            Self::Vqa { .. } => "vqa",
            Self::Retrieval { .. } => "retrieval",
        }
    }

    /// Whether the outputs exclude each other, so that their probabilities are a softmax. Otherwise each is a sigmoid.
    pub fn is_exclusive(&self) -> bool {
        matches!(self, Self::Classification { .. })
    }
}
