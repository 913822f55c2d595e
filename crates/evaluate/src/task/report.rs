//! The result of an evaluation of a fine-tuned model: scores, what they cost without the image, and a receipt.

use std::collections::BTreeMap;

use ptu_data::{CacheFormat, InputForm, Split};
use ptu_infer::task::ClassSentence;
use ptu_model::generate::GenerationConfig;
use serde::{Deserialize, Serialize};

use super::reliance::Reliance;
use super::survey::listed;
use crate::leak::TrainingOverlap;
use crate::probe_space::ProbeSpace;
use crate::scores::{Curve, Score};

/// The scores of a fine-tuned model on one folder of shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// What was scored, and how. Scores with different receipts cannot be compared.
    pub receipt: Receipt,
    /// Number of scored records.
    pub records: usize,
    /// Number of patients of these records.
    pub patients: usize,
    /// Number of records whose right answer is not in the answer set, or whose class is not a class of the model; they count as wrong.
    /// 0 for labels.
    pub unanswerable: usize,
    /// Number of texts that were longer than the model reads.
    pub cut: usize,
    /// The scores, by name, in the order in which they are displayed.
    pub scores: Vec<NamedScore>,
    /// The strongest simple baseline that needs no model: the most frequent class or answer of the training split, for questions by
    /// type of question; for texts the most frequent text, or the first sentence of the text that is read. `None` if the training
    /// split is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// The linear probe of the model from which fine-tuning started; `None` if it was not requested or cannot be fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeReport>,
    /// What the scores lose without the right image; empty if the task has no image.
    pub reliance: Vec<Reliance>,
    /// The scores with missing images or texts; empty if they were not requested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Curve>,
    /// Scores of groups of records, by the field or label that `--by` names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<GroupScore>>,
    /// Calibration of the probabilities; `None` if it is not defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationReport>,
    /// Number of records with and without each class, label or answer, in the order of the task's outputs.
    pub counts: Vec<OutputCount>,
    /// Messages for the user.
    pub notes: Vec<String>,
}

/// A score and its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedScore {
    /// Name.
    pub name: String,
    /// The score with interval and chance level.
    #[serde(flatten)]
    pub score: Score,
}

/// A baseline, and how much better the model is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// What the baseline answers.
    pub name: String,
    /// Its score: the first one of the task.
    pub score: Score,
    /// The score of the model minus that of the baseline, with the paired interval.
    pub difference: Score,
}

/// The scores of a linear probe on the frozen features of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Fingerprint of the model's bundle.
    pub model: String,
    /// Which of its features the probe reads.
    #[serde(default)]
    pub space: ProbeSpace,
    /// Whether it is known to be another model than the one from which fine-tuning started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_other_model: bool,
    /// Number of training records that it was fitted to.
    pub fitted: usize,
    /// Factor of the L2 penalty (the inverse of scikit-learn's C), chosen on the validation split.
    pub penalty: f64,
    /// The scores of the task, except those of single classes and labels.
    pub scores: Vec<ProbeScore>,
}

impl ProbeReport {
    /// What the probe is: `linear probe of the starting model, fitted to 120 records`.
    pub fn title(&self) -> String {
        let model = if self.is_other_model { "another model than the starting one" } else { "the starting model" };
        let part = if self.space == ProbeSpace::Encoder { "the encoders of " } else { "" };
        format!("linear probe of {part}{model}, fitted to {} records", self.fitted)
    }
}

/// A score of a linear probe, and how much better the model is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeScore {
    /// Name of the score.
    pub metric: String,
    /// The score of the probe.
    pub score: Score,
    /// The score of the model minus that of the probe, with the paired interval by patient.
    pub difference: Score,
}

/// The score of one group of records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupScore {
    /// Value of the field or label.
    pub value: String,
    /// Number of records.
    pub records: usize,
    /// The first score of the task.
    pub score: Score,
}

/// How well probabilities agree with frequencies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationReport {
    /// Expected calibration error (15 bins of equal width) of the probabilities before the temperature was applied.
    pub before: Option<f64>,
    /// The same after it was applied; `None` if no temperature was fitted.
    pub after: Option<f64>,
    /// The temperature; it was fitted on the validation split.
    pub temperature: Option<f64>,
    /// The reliability curve with the same bins, before the temperature was applied; bins without records are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reliability_before: Vec<ReliabilityPoint>,
    /// The same after it was applied; empty if no temperature was fitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reliability_after: Vec<ReliabilityPoint>,
}

/// The records of one bin of a reliability curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityPoint {
    /// Mean predicted probability.
    pub probability: f64,
    /// Share of records for which the prediction is right.
    pub share: f64,
    /// Number of records; of labels, number of records and labels.
    pub records: usize,
}

/// How often a class, label or answer occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputCount {
    /// Class, label or answer.
    pub name: String,
    /// Records with it.
    pub with: usize,
    /// Records without it. Records for which it is not known count in neither.
    pub without: usize,
}

/// How a model predicts the outputs of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScoredProtocol {
    /// By a head that was trained for the task.
    #[default]
    #[serde(rename = "fine-tuned")]
    FineTuned,
    /// By sentences that describe the classes, without training.
    #[serde(rename = "zero-shot")]
    ZeroShot,
}

/// The sentences of a zero-shot classification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentencesReceipt {
    /// SHA-256 of classes and sentences.
    pub hash: String,
    /// The classes with their sentences.
    pub classes: Vec<ClassSentence>,
}

/// What determines a score: the model, the records and the protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Fingerprint of the bundle.
    pub model: String,
    /// Kind of task.
    pub task: String,
    /// How the model predicts.
    #[serde(default)]
    pub protocol: ScoredProtocol,
    /// The sentences of zero-shot classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentences: Option<SentencesReceipt>,
    /// What the model reads.
    pub input: InputForm,
    /// Name of the data set.
    pub source: String,
    /// Hash of its manifest.
    pub manifest: String,
    /// The split.
    pub split: Split,
    /// SHA-256 of the ids of the scored records, in order.
    pub records: String,
    /// Number of outputs, and where answers were collected from.
    pub outputs: String,
    /// How answers or values are compared.
    pub normalisation: String,
    /// How texts were generated; `None` for a task with a fixed set of outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoding: Option<GenerationConfig>,
    /// Seed of bootstrap resamples and of the choice of other patients' images.
    pub seed: u64,
    /// Precision of matrix products.
    pub precision: String,
    /// The format of the cached outputs of the frozen image encoder that the model was trained on; `None` if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_images: Option<CacheFormat>,
    /// How many scored records have an image or text that the model has learned from.
    pub known: TrainingOverlap,
    /// Version of this program.
    pub version: String,
}

/// Why a score has no interval.
fn undefined_interval(patients: usize) -> String {
    format!(
        "an interval that is shown as [-, -] is not defined: patients are resampled, and among {patients} patients most resamples lack \
         records that the score needs; score more patients"
    )
}

impl TaskReport {
    /// What was scored, in one line: data set, split, numbers of records and patients, task. `name` is the name of the data set.
    pub fn title(&self, name: &str) -> String {
        let Receipt { split, task, outputs, protocol, .. } = &self.receipt;
        let how = if *protocol == ScoredProtocol::ZeroShot { "zero-shot " } else { "" };
        let (records, patients) = (self.records, self.patients);
        format!("{name}, split {split}: {records} records of {patients} patients, {how}{task} with {outputs}")
    }

    /// Everything that the user should know before reading the scores.
    pub fn remarks(&self) -> Vec<String> {
        let (receipt, all) = (&self.receipt, self.records);
        let mut remarks = self.notes.clone();
        if let Some(format) = receipt.cached_images {
            remarks.push(format!("trained on {}-cached outputs of the frozen image encoder", format.name()));
        }
        if self.unanswerable > 0 && receipt.task == "vqa" {
            let count = self.unanswerable;
            remarks.push(format!(
                "the right answer of {count} of {all} questions is not in the answer set; they count as wrong"
            ));
        }
        if self.cut > 0 {
            remarks.push(format!("{} texts are longer than the model reads; only the beginning was read", self.cut));
        }
        let is_undefined = |count: &&OutputCount| count.with == 0 || count.without == 0;
        let undefined: Vec<&String> = self.counts.iter().filter(is_undefined).map(|count| &count.name).collect();
        if !undefined.is_empty() && receipt.task == "multilabel" {
            let names = listed(undefined.into_iter());
            remarks.push(format!("labels without positives or without negatives are not in the means: {names}"));
        }
        if self.scores.iter().any(|one| one.score.value.is_some() && one.score.low.is_none()) {
            remarks.push(undefined_interval(self.patients));
        }
        remarks
    }

    /// The name of a score; that of an AUROC says how many records have the class or label, such as `AUROC mass (12 of 200)`.
    pub fn score_name(&self, score: &NamedScore) -> String {
        let output = score.name.strip_prefix("AUROC ");
        let count = output.and_then(|output| self.counts.iter().find(|count| count.name == output));
        match count {
            Some(count) => format!("{} ({} of {})", score.name, count.with, count.with + count.without),
            None => score.name.clone(),
        }
    }
}

impl Receipt {
    /// The fields in which two receipts differ, apart from the model.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        [
            ("task", self.task == other.task && self.input == other.input),
            ("data", self.manifest == other.manifest && self.split == other.split),
            ("records", self.records == other.records),
            ("protocol", self.protocol == other.protocol && self.sentences == other.sentences),
            ("outputs", self.outputs == other.outputs),
            ("normalisation", self.normalisation == other.normalisation),
            ("decoding", self.decoding == other.decoding),
            ("precision", self.precision == other.precision),
        ]
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| name)
        .collect()
    }
}
