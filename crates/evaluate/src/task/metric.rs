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
    /// Mean AUROC of the labels that have positives and negatives. Of classes, each is compared with all others (one versus rest), by
    /// its probability.
    MeanAuroc,
    /// Mean average precision of the labels that have positives and negatives.
    MeanAveragePrecision,
    /// AUROC of the label with this number, or of this class against all others.
    Auroc(usize),
    /// BLEU of the corpus with runs of one word up to this number of words, 1 to 4.
    Bleu(usize),
    /// Sum of BLEU-1 to BLEU-4.
    BleuSum,
    /// ROUGE-1 or ROUGE-2, F, mean over texts.
    Rouge(usize),
    /// ROUGE-L, F, mean over texts.
    RougeL,
    /// Sum of ROUGE-1, ROUGE-2 and ROUGE-L.
    RougeSum,
    /// ROUGE-L as for captions and reports (`pycocoevalcap`), mean over texts.
    CaptionRougeL,
    /// METEOR of the corpus, by exact words and stems.
    Meteor,
    /// CIDEr, mean over texts; weights of words come from the references of all scored texts.
    Cider,
    /// F1 of the positive finding labels of the texts (14 observations of CheXpert), from counts summed over observations.
    FindingF1,
}

impl TaskMetric {
    /// The metrics of a kind of task, except those of single classes and labels.
    pub fn overall(output: &TaskOutput) -> impl Iterator<Item = Self> {
        Self::of(output).into_iter().filter(|metric| !matches!(metric, Self::Auroc(_)))
    }

    /// The metrics of a kind of task; the first one is the headline, which is compared with baselines.
    pub fn of(output: &TaskOutput) -> Vec<Self> {
        match output {
            TaskOutput::Classification { classes, .. } => {
                [Self::Accuracy, Self::BalancedAccuracy, Self::MacroF1, Self::MeanAuroc]
                    .into_iter()
                    .chain((0..classes.len()).map(Self::Auroc))
                    .collect()
            }
            TaskOutput::Multilabel { labels, .. } => [Self::MeanAuroc, Self::MeanAveragePrecision, Self::MacroF1]
                .into_iter()
                .chain((0..labels.len()).map(Self::Auroc))
                .collect(),
            TaskOutput::Vqa { .. } => vec![Self::Accuracy, Self::ClosedAccuracy, Self::OpenAccuracy],
            TaskOutput::Report(_) => {
                let bleu = [4, 1, 2, 3].map(Self::Bleu).into_iter();
                bleu.chain([Self::CaptionRougeL, Self::Meteor, Self::Cider, Self::FindingF1]).collect()
            }
            TaskOutput::Summary(_) => {
                vec![Self::RougeL, Self::Rouge(1), Self::Rouge(2), Self::Bleu(4), Self::Meteor, Self::FindingF1]
            }
            // Retrieval is scored by the ranks of whole galleries (`crate::evaluate`).
            TaskOutput::Retrieval { .. } => vec![],
        }
    }

    /// The metric by which the best model of a run is selected in validation (specification, section 4).
    pub fn selecting(output: &TaskOutput) -> Self {
        match output {
            TaskOutput::Report(_) => Self::BleuSum,
            TaskOutput::Summary(_) => Self::RougeSum,
            TaskOutput::Classification { .. } | TaskOutput::Vqa { .. } | TaskOutput::Retrieval { .. } => Self::Accuracy,
            TaskOutput::Multilabel { .. } => Self::MeanAuroc,
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
            Self::Bleu(words) => write!(out, "BLEU-{words}"),
            Self::BleuSum => out.write_str("sum of BLEU-1 to BLEU-4"),
            Self::Rouge(words) => write!(out, "ROUGE-{words}"),
            Self::RougeL => out.write_str("ROUGE-L"),
            Self::RougeSum => out.write_str("sum of ROUGE-1, ROUGE-2 and ROUGE-L"),
            Self::CaptionRougeL => out.write_str("ROUGE-L (captions)"),
            Self::Meteor => out.write_str("METEOR (exact + stem)"),
            Self::Cider => out.write_str("CIDEr"),
            Self::FindingF1 => out.write_str("F1 of finding labels"),
        }
    }
}
