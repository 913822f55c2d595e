//! The scores of each kind of task.

use std::fmt;

use ptu_infer::task::TaskOutput;

/// A score of a task. All are larger for a better model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskMetric {
    /// Share of records whose most probable class or answer is right. For questions, an answer outside of the answer set counts
    /// as wrong.
    Accuracy,
    /// Mean recall of the classes.
    BalancedAccuracy,
    /// Mean F1 of the classes, or of the labels with a threshold of one half.
    MacroF1,
    /// Accuracy on closed questions.
    ClosedAccuracy,
    /// Accuracy on open questions.
    OpenAccuracy,
    /// Mean AUROC of the labels that have positives and negatives.
    MeanAuroc,
    /// Mean average precision of the labels that have positives and negatives.
    MeanAveragePrecision,
    /// AUROC of the label with this number.
    Auroc(usize),
}

impl TaskMetric {
    /// The metrics of a kind of task; the first one selects the best model in validation.
    pub fn of(output: &TaskOutput) -> Vec<Self> {
        match output {
            TaskOutput::Classification { .. } => vec![Self::Accuracy, Self::BalancedAccuracy, Self::MacroF1],
            TaskOutput::Multilabel { labels, .. } => [Self::MeanAuroc, Self::MeanAveragePrecision, Self::MacroF1]
                .into_iter()
                .chain((0..labels.len()).map(Self::Auroc))
                .collect(),
            TaskOutput::Vqa { .. } => vec![Self::Accuracy, Self::ClosedAccuracy, Self::OpenAccuracy],
            // Retrieval is scored by the ranks of whole galleries (`crate::evaluate`).
            TaskOutput::Retrieval { .. } => vec![],
        }
    }

    /// The name in files and messages; labels are named as in `output`.
    pub fn name(self, output: &TaskOutput) -> String {
        match self {
            Self::Auroc(label) => format!("AUROC {}", output.names().get(label).copied().unwrap_or_default()),
            metric => metric.to_string(),
        }
    }
}

impl fmt::Display for TaskMetric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accuracy => out.write_str("accuracy"),
            Self::BalancedAccuracy => out.write_str("balanced accuracy"),
            Self::ClosedAccuracy => out.write_str("accuracy on closed questions"),
            Self::OpenAccuracy => out.write_str("accuracy on open questions"),
            Self::MacroF1 => out.write_str("macro F1"),
            Self::MeanAuroc => out.write_str("mean AUROC"),
            Self::MeanAveragePrecision => out.write_str("mean average precision"),
            Self::Auroc(label) => write!(out, "AUROC {label}"),
        }
    }
}
