//! The description of a fine-tuned model's task.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use ptu_data::record::Section;
use ptu_data::{CacheFormat, InputForm, RecordView};
use ptu_input::text::name_key;
use ptu_model::config::DecoderConfig;
use ptu_model::generate::GenerationConfig;
use ptu_model::{Bundle, HeadKind, Outputs};
use serde::{Deserialize, Serialize};

use super::label_state::LabelState;
use crate::InferError;

/// Largest size of a description, in bytes.
const LARGEST_FILE: u64 = 1 << 24;

/// The temperatures of a calibration: those that the fit searches.
const TEMPERATURES: RangeInclusive<f64> = 0.01..=100.0;

/// Smallest number of validation records that a calibration is fitted to. With fewer, the temperature says more about these records than
/// about the model.
pub const LEAST_FITTED: usize = 30;

/// What a fine-tuned model reads, and what its outputs mean. It is stored in a bundle as `task.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDescription {
    /// What the model reads of a record.
    pub input: InputForm,
    /// The section whose texts are read; `None` for all texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<Section>,
    /// What the outputs mean.
    pub output: TaskOutput,
    /// Fingerprint of the bundle from which fine-tuning started; `None` if the model was trained from random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_from: Option<String>,
    /// How logits become calibrated probabilities, if this was fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Why the probabilities are not calibrated, if that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncalibrated: Option<Uncalibrated>,
    /// The format of the cached outputs of the frozen image encoder that the model was trained on; `None` if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_images: Option<CacheFormat>,
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
    /// A report.
    Report(WrittenText),
    /// A summary of the text that is read.
    Summary(WrittenText),
}

/// A text that the decoder writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenText {
    /// The section that is written.
    pub target: Section,
    /// Whether texts are lower-cased before they are read or compared.
    pub lower_case: bool,
    /// How texts are generated.
    pub generation: GenerationConfig,
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

/// Why the probabilities of a fine-tuned model are not calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Uncalibrated {
    /// There are fewer validation records than [`LEAST_FITTED`].
    FewRecords {
        /// Number of validation records whose right output is known.
        records: usize,
    },
    /// The fit ends at the lowest temperature: all predictions are right, or the logits are very small.
    Lowest,
    /// The fit ends at the highest temperature: the predictions are not better than chance.
    Highest,
    /// All temperatures fit equally well, for example because all logits are equal.
    Flat,
}

impl fmt::Display for Uncalibrated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewRecords { records } => write!(
                out,
                "only {records} records of the validation split have a known answer, and at least {LEAST_FITTED} are needed"
            ),
            Self::Lowest => out.write_str(
                "the predictions for the validation split are all right, or its logits are very small, so no temperature fits",
            ),
            Self::Highest => out.write_str(
                "the predictions for the validation split are not better than chance, so no temperature fits",
            ),
            Self::Flat => out.write_str("all temperatures fit the validation split equally well"),
        }
    }
}

impl TaskDescription {
    /// The description of a model that reads all texts, was trained from random weights, and has no calibration.
    pub fn new(input: InputForm, output: TaskOutput) -> Self {
        Self {
            input,
            section: None,
            output,
            started_from: None,
            calibration: None,
            uncalibrated: None,
            cached_images: None,
        }
    }

    /// The task of a bundle. `folder` is the folder of the bundle, for messages.
    ///
    /// # Errors
    /// If the bundle is not fine-tuned, its description cannot be read, or the description does not fit its head.
    pub fn of(bundle: &Bundle, folder: &Path) -> Result<Self, InferError> {
        let path = || folder.to_path_buf();
        let value = bundle.task.clone().ok_or_else(|| InferError::NoTask { path: path() })?;
        let task = Self::parse(value, folder)?;
        let (config, outputs) = (bundle.model.config(), task.output.names().len());
        let wrong = |cause: String| InferError::TaskFile { path: path(), cause };
        match task.head() {
            Some(HeadKind::Retrieval) if bundle.model.heads.retrieval.is_none() => {
                Err(wrong("its task is retrieval, but the model has no retrieval head".into()))
            }
            Some(HeadKind::Retrieval) => Ok(task),
            Some(head) if config.outputs.of(head) != Some(outputs) => {
                Err(wrong(format!("it lists {outputs} outputs, but the model's head has another number of them")))
            }
            None if config.decoder.is_none() => {
                Err(wrong("its task writes texts, but the model has no decoder".into()))
            }
            _ => Ok(task),
        }
    }

    /// Reads the description in the folder of a bundle, without its weights.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(folder: &Path) -> Result<Self, InferError> {
        let wrong = |cause: String| InferError::TaskFile { path: folder.into(), cause };
        let bytes = ptu_model::files::read(&folder.join(ptu_model::TASK), LARGEST_FILE)?;
        Self::parse(serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?, folder)
    }

    /// A description whose outputs have different names.
    fn parse(value: serde_json::Value, folder: &Path) -> Result<Self, InferError> {
        let wrong = |cause: String| InferError::TaskFile { path: folder.into(), cause };
        let task: Self = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
        if let Some(Calibration { temperature, .. }) = task.calibration
            && !TEMPERATURES.contains(&temperature)
        {
            let range = format!("it must be between {} and {}", TEMPERATURES.start(), TEMPERATURES.end());
            return Err(wrong(format!("the temperature of its calibration is {temperature}; {range}")));
        }
        if matches!(task.output, TaskOutput::Vqa { .. }) != (task.input == InputForm::Question) {
            return Err(wrong(format!("its task is {} and it reads `{}`", task.output.kind(), task.input)));
        }
        let mut names = BTreeSet::new();
        match task.output.names().into_iter().find(|name| !names.insert(name_key(name))) {
            Some(name) => Err(wrong(format!("it has the output `{name}` twice, and predictions would be ambiguous"))),
            None => Ok(task),
        }
    }

    /// How the task sees a record.
    pub fn view(&self) -> RecordView {
        let written = self.output.written();
        RecordView {
            form: self.input,
            section: self.section,
            target: written.map(|written| written.target),
            lower_case: written.is_some_and(|written| written.lower_case),
        }
    }

    /// The head that the task uses; `None` if it uses the decoder.
    pub fn head(&self) -> Option<HeadKind> {
        match self.output {
            TaskOutput::Classification { .. } => Some(HeadKind::Classification),
            TaskOutput::Multilabel { .. } => Some(HeadKind::MultiLabel),
            TaskOutput::Vqa { .. } => Some(HeadKind::Vqa),
            TaskOutput::Retrieval { .. } => Some(HeadKind::Retrieval),
            TaskOutput::Report(_) | TaskOutput::Summary(_) => None,
        }
    }

    /// Refuses a task whose output is a score for ranking. `folder` is the folder of the bundle, for the message.
    ///
    /// # Errors
    /// [`InferError::OtherTask`], which names the command for the task.
    pub fn require_outputs(&self, folder: &Path) -> Result<(), InferError> {
        let TaskOutput::Retrieval { .. } = self.output else { return Ok(()) };
        let cure = format!("use `ptunifier match {} IMAGE \"TEXT\"`", folder.display());
        let (found, wanted) = (self.output.kind(), "classes, labels, answers or texts");
        Err(InferError::OtherTask { path: folder.into(), found, wanted, cure })
    }

    /// The decoder that the task uses; `None` if it writes no text.
    pub fn decoder(&self) -> Option<DecoderConfig> {
        self.output.written().map(|_| DecoderConfig::default())
    }

    /// The number of outputs of the head, as a configuration of a model holds it.
    pub fn outputs(&self) -> Outputs {
        let count = Some(self.output.names().len());
        match self.output {
            TaskOutput::Classification { .. } => Outputs { classification: count, ..Outputs::default() },
            TaskOutput::Multilabel { .. } => Outputs { multilabel: count, ..Outputs::default() },
            TaskOutput::Vqa { .. } => Outputs { vqa: count, ..Outputs::default() },
            TaskOutput::Report(_) | TaskOutput::Summary(_) | TaskOutput::Retrieval { .. } => Outputs::default(),
        }
    }
}

impl TaskOutput {
    /// What the decoder writes; `None` for a task with a fixed set of outputs.
    pub fn written(&self) -> Option<&WrittenText> {
        match self {
            Self::Report(written) | Self::Summary(written) => Some(written),
            Self::Classification { .. } | Self::Multilabel { .. } | Self::Vqa { .. } | Self::Retrieval { .. } => None,
        }
    }

    /// As [`Self::written`], to be changed.
    pub fn written_mut(&mut self) -> Option<&mut WrittenText> {
        match self {
            Self::Report(written) | Self::Summary(written) => Some(written),
            Self::Classification { .. } | Self::Multilabel { .. } | Self::Vqa { .. } | Self::Retrieval { .. } => None,
        }
    }

    /// Names of the outputs, in order: classes, labels or answers. Empty for texts and for a score.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Classification { classes, .. } => classes.iter().map(String::as_str).collect(),
            Self::Multilabel { labels, .. } => labels.iter().map(BinaryLabel::name).collect(),
            Self::Vqa { answers, .. } => answers.iter().map(String::as_str).collect(),
            Self::Report(_) | Self::Summary(_) | Self::Retrieval { .. } => vec![],
        }
    }

    /// The name of the kind, as in a recipe.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Classification { .. } => "classification",
            Self::Multilabel { .. } => "multilabel",
            Self::Vqa { .. } => "vqa",
            Self::Report(_) => "report",
            Self::Summary(_) => "summary",
            Self::Retrieval { .. } => "retrieval",
        }
    }

    /// Whether the outputs exclude each other, so that their probabilities are a softmax. Otherwise each is a sigmoid.
    pub fn is_exclusive(&self) -> bool {
        matches!(self, Self::Classification { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_one_name_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let read = |classes: &str| {
            let text =
                format!(r#"{{"input":"image","output":{{"kind":"classification","label":"x","classes":{classes}}}}}"#);
            std::fs::write(folder.path().join(ptu_model::TASK), text).unwrap();
            TaskDescription::read(folder.path()).map_err(|error| error.to_string())
        };
        assert_eq!(read(r#"["a","b"]"#).unwrap().output.names(), ["a", "b"]);
        let message = read(r#"["a","b","a"]"#).unwrap_err();
        assert!(message.contains("`a` twice") && message.contains("task.json"), "{message}");
        assert!(read("3").unwrap_err().contains("task.json"));
    }
}
