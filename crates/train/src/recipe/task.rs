//! `[task]` and `[finetune]`: what a model is trained for, and how fine-tuning starts from a pre-trained model.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ptu_data::record::Section;
use ptu_data::{InputForm, MissingShares, RecordView};
use ptu_model::generate::GenerationConfig;
use ptu_model::names;
use serde::{Deserialize, Serialize};

/// What a model is trained for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TaskRecipe {
    /// Pre-training with the `objectives` of the recipe.
    #[default]
    Pretraining,
    /// Exactly one class for each input.
    Classification(ClassificationRecipe),
    /// Any number of labels for each input, each of which applies or not.
    Multilabel(MultilabelRecipe),
    /// Questions about images, answered by one of a fixed set of answers (visual question answering).
    Vqa(VqaRecipe),
    /// A report, written from an image.
    Report(ReportRecipe),
    /// A summary of a text, written from the text, with or without its image.
    Summary(SummaryRecipe),
    /// Ranking texts for an image, and images for a text, by a score of the fused pair (image-text retrieval).
    Retrieval(RetrievalRecipe),
}

/// Settings of single-label classification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassificationRecipe {
    /// The label whose values are the classes. Records without it, or with several values of it, are not used.
    pub label: String,
    /// What the model reads of a record.
    #[serde(default)]
    pub input: InputForm,
    /// The section whose texts are read; all texts if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<Section>,
    /// Whether the loss of each class is weighted by the inverse of its frequency, so that all classes count the same.
    #[serde(default)]
    pub balanced: bool,
}

/// Settings of multi-label classification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultilabelRecipe {
    /// The labels, each with values such as `positive` and `negative`. A single label with other values, of which a record may
    /// have several, stands for all its values: each becomes a label of its own.
    pub labels: Vec<String>,
    /// What the model reads of a record.
    #[serde(default)]
    pub input: InputForm,
    /// What the value `uncertain` means, for each label; `ignore` for labels that are not listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uncertain: BTreeMap<String, LabelPolicy>,
    /// What it means if a record has no value of a label, or the value `unmentioned`.
    #[serde(default = "negative")]
    pub unmentioned: LabelPolicy,
}

fn negative() -> LabelPolicy {
    LabelPolicy::Negative
}

/// What a value means that says neither yes nor no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelPolicy {
    /// The label applies.
    Positive,
    /// The label does not apply.
    Negative,
    /// The label of this record is neither trained nor scored.
    #[default]
    Ignore,
}

/// Settings of visual question answering.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VqaRecipe {
    /// The splits whose answers form the set of answers.
    pub answers: AnswerSplits,
}

/// The splits whose answers form the answer set of visual question answering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerSplits {
    /// Training.
    Train,
    /// Training and validation.
    #[default]
    Validate,
    /// Training, validation and test: the published way, by which scores of other papers were computed. The answer set then
    /// depends on the test split.
    Published,
}

/// Settings of report generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportRecipe {
    /// The section that is written.
    pub target: Section,
    /// What the model reads of a record. Texts of the section `target` are never read.
    pub input: InputForm,
    /// Whether texts are lower-cased, as published.
    pub lower_case: bool,
    /// How reports are generated. Longer targets are cut to `max_length` tokens in training.
    pub generation: GenerationConfig,
}

/// Settings of summarisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SummaryRecipe {
    /// The section that is read.
    pub source: Section,
    /// The section that is written.
    pub target: Section,
    /// What the model reads of a record beside the text: `text` for nothing, `pair` or `available` for the image.
    pub input: InputForm,
    /// Whether texts are lower-cased, as published.
    pub lower_case: bool,
    /// How summaries are generated. Longer targets are cut to `max_length` tokens in training.
    pub generation: GenerationConfig,
}

impl Default for ReportRecipe {
    /// Findings from an image, in at most 256 tokens, with five beams.
    fn default() -> Self {
        let (input, generation) = (InputForm::Image, GenerationConfig::default());
        Self { target: Section::Findings, input, lower_case: true, generation }
    }
}

impl Default for SummaryRecipe {
    /// The impression from the findings alone, in at most 128 tokens, with five beams.
    fn default() -> Self {
        let generation = GenerationConfig { max_length: 128, ..GenerationConfig::default() };
        let (source, target) = (Section::Findings, Section::Impression);
        Self { source, target, input: InputForm::Text, lower_case: true, generation }
    }
}

/// Settings of image-text retrieval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrievalRecipe {
    /// Number of false texts that the true text of each image is compared with: texts of other pairs of the batch (of the part of it,
    /// with `train.accumulate`). If there are fewer, all are used.
    pub negatives: usize,
    /// Maximal number of validation pairs that are ranked in training. Each image is ranked with each text, so the time of a validation
    /// grows with the square of this number.
    pub validation_pairs: usize,
}

impl Default for RetrievalRecipe {
    fn default() -> Self {
        Self { negatives: 15, validation_pairs: 100 }
    }
}

/// How fine-tuning starts from a model, and what of it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FinetuneRecipe {
    /// The bundle, or the folder of a run, from which training starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Whether a model with random weights is trained, and none is given in `model`. The command refuses a recipe that has neither of both.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub from_scratch: bool,
    /// Whether the prompt pools are trained.
    pub prompts: PromptTraining,
    /// Share of the training data that is used. A smaller share is a part of each larger one with the same seed; each class keeps
    /// its share.
    pub share: f64,
    /// Shares of the records for training and validation whose image or texts are removed, drawn with the seed. The task must read both.
    #[serde(skip_serializing_if = "MissingShares::is_none")]
    pub missing: MissingShares,
}

/// Whether the prompt pools are trained in fine-tuning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptTraining {
    /// They stay as they are.
    #[default]
    Frozen,
    /// They are trained as all other weights are.
    Trained,
}

impl Default for FinetuneRecipe {
    fn default() -> Self {
        Self {
            model: None,
            from_scratch: false,
            prompts: PromptTraining::default(),
            share: 1.0,
            missing: MissingShares::default(),
        }
    }
}

impl FinetuneRecipe {
    /// Whether all values are the defaults.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether these settings freeze the weight with this published name.
    pub fn freezes(&self, published: &str) -> bool {
        self.prompts == PromptTraining::Frozen && names::is_prompt(published)
    }
}

impl TaskRecipe {
    /// Whether the task is pre-training.
    pub fn is_pretraining(&self) -> bool {
        *self == Self::Pretraining
    }

    /// The name in recipes.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pretraining => "pretraining",
            Self::Classification(_) => "classification",
            Self::Multilabel(_) => "multilabel",
            Self::Vqa(_) => "vqa",
            Self::Report(_) => "report",
            Self::Summary(_) => "summary",
            Self::Retrieval(_) => "retrieval",
        }
    }

    /// How the task sees a record.
    pub fn view(&self) -> RecordView {
        match self {
            Self::Pretraining | Self::Retrieval(_) => InputForm::Available.into(),
            Self::Classification(classification) => {
                RecordView { section: classification.section, ..classification.input.into() }
            }
            Self::Multilabel(multilabel) => multilabel.input.into(),
            Self::Vqa(_) => InputForm::Question.into(),
            Self::Report(ReportRecipe { target, input, lower_case, .. }) => {
                RecordView { form: *input, section: None, target: Some(*target), lower_case: *lower_case }
            }
            Self::Summary(SummaryRecipe { source, target, input, lower_case, .. }) => {
                RecordView { form: *input, section: Some(*source), target: Some(*target), lower_case: *lower_case }
            }
        }
    }

    /// How texts are generated; `None` if the task writes no text.
    pub fn generation(&self) -> Option<&GenerationConfig> {
        match self {
            Self::Report(report) => Some(&report.generation),
            Self::Summary(summary) => Some(&summary.generation),
            Self::Pretraining | Self::Classification(_) | Self::Multilabel(_) | Self::Vqa(_) | Self::Retrieval(_) => {
                None
            }
        }
    }
}
