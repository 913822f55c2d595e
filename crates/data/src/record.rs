//! [`Record`]: the typed row of a data set. Preparation, storage and loading all use it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use ptu_input::text::name_key;
use serde::{Deserialize, Serialize};

/// One row of a data set: an image, texts about it, or only one of the two, with labels and other metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Unique within its data set.
    pub id: String,
    /// The patient: all records of a patient belong to one split, and confidence intervals are computed over patients. If the
    /// patient is unknown, it is the path of the image, so that rows about one image stay together, or else the `id`.
    pub patient: String,
    /// The image, `None` where the record has only texts.
    pub image: Option<RecordImage>,
    /// Texts about the image (captions, findings, impression); empty where the record has only an image.
    pub texts: Vec<String>,
    /// The section of each of `texts`. It may be shorter than `texts`: the remaining texts are [`Section::Text`].
    pub sections: Vec<Section>,
    /// The text that a model should write for this record. Only a view of a record has it (see [`crate::RecordView`]); it is not stored
    /// in shards.
    pub target: Option<String>,
    /// Named answers or findings, in the order of the table. A name may occur more than once.
    pub labels: Vec<Label>,
    /// Questions about the image with their answers.
    pub questions: Vec<Question>,
    /// Two sentences for natural language inference; their relation is a label.
    pub sentences: Option<SentencePair>,
    /// Annotated spans of the first text (named entities).
    pub marks: Vec<Mark>,
    /// Named values that are not labels: age, view, modality, columns without another purpose.
    pub fields: Vec<Label>,
    /// The split, which decides what the record may be used for.
    pub split: Split,
    /// The name of the data set that the record comes from.
    pub source: String,
}

/// An image as its original file: encoded bytes, never pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordImage {
    /// The encoded file (PNG, JPEG, ...).
    pub bytes: Vec<u8>,
    /// The path of the original file, as the table named it. It is only used for display and messages.
    pub path: Option<String>,
}

/// One named value of a record, for example `finding` = `effusion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Name of the label, for example the table's column.
    pub name: String,
    /// The value as text.
    pub value: String,
}

impl Label {
    /// Creates a named value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// All values of a label, sorted and without repetition, in the form in which names are compared ([`name_key`]).
pub fn label_values(labels: &[Label], name: &str) -> Vec<String> {
    let name = name_key(name);
    let values = labels.iter().filter(|label| name_key(&label.name) == name);
    let values: BTreeSet<String> = values.map(|label| name_key(&label.value).into_owned()).collect();
    values.into_iter().collect()
}

/// The section of a report or article that a text comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// Not known.
    #[default]
    Text,
    /// The caption of a figure.
    Caption,
    /// A paragraph of an article that refers to a figure.
    Reference,
    /// The findings of a report: what the image shows.
    Findings,
    /// The impression of a report: its conclusion.
    Impression,
}

impl Section {
    /// All sections.
    pub const ALL: [Self; 5] = [Self::Text, Self::Caption, Self::Reference, Self::Findings, Self::Impression];

    /// The word used in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Caption => "caption",
            Self::Reference => "reference",
            Self::Findings => "findings",
            Self::Impression => "impression",
        }
    }

    /// The section with this [`Section::name`].
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.name() == word)
    }
}

/// The state of one finding in a report, as in data sets that label several findings per image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The finding is present.
    Positive,
    /// The report says that the finding is absent.
    Negative,
    /// The finding may be present.
    Uncertain,
    /// The report does not mention the finding.
    Unmentioned,
}

impl Finding {
    /// Reads `1.0`, `0.0`, `-1.0` or a blank, as CheXpert and MIMIC-CXR write them. `None` for anything else.
    pub fn of(cell: &str) -> Option<Self> {
        match cell.trim() {
            "1" | "1.0" => Some(Self::Positive),
            "0" | "0.0" => Some(Self::Negative),
            "-1" | "-1.0" => Some(Self::Uncertain),
            "" => Some(Self::Unmentioned),
            _ => None,
        }
    }

    /// The word that is used as the value of a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Uncertain => "uncertain",
            Self::Unmentioned => "unmentioned",
        }
    }
}

/// A question about an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Its id within the data set.
    pub id: String,
    /// The text of the question.
    pub question: String,
    /// The text of the answer; empty if it is not known, so that the question can only be asked.
    pub answer: String,
    /// Whether the question is closed: it has few possible answers, usually yes and no.
    pub closed: bool,
    /// The category that the data set gives the question, for example `organ`; empty if there is none.
    pub category: String,
}

impl Question {
    /// Whether the answer is known.
    pub fn has_answer(&self) -> bool {
        !self.answer.trim().is_empty()
    }
}

/// Two sentences for natural language inference: the first may entail the second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentencePair {
    /// The sentence that is assumed to be true.
    pub premise: String,
    /// The sentence that may follow from the premise.
    pub hypothesis: String,
}

/// An annotated span of a text (a named entity).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The kind of the entity, for example `CHEMICAL`.
    pub kind: String,
    /// The position of its first character in the text, counted in characters from 0.
    pub start: u32,
    /// The position after its last character.
    pub end: u32,
}

/// The split of a record, which decides what it may be used for; written as `train`, `validate` and `test`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training: the weights of a model are fitted to these records.
    #[default]
    Train,
    /// For validation: settings are chosen by the scores on these records.
    Validate,
    /// For testing: the scores on these records are published.
    Test,
}

impl Split {
    /// All splits, in the order in which files and tables list them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validate, Self::Test];

    /// The word used in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validate => "validate",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A word that is not the name of a split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a split: write `train`, `validate` or `test`")]
pub struct UnknownSplit(pub String);

impl FromStr for Split {
    type Err = UnknownSplit;

    /// Reads a [`Split::name`] and other usual words for the splits, such as `val` or `dev`.
    fn from_str(word: &str) -> Result<Self, UnknownSplit> {
        match word.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Ok(Self::Train),
            "validate" | "val" | "valid" | "validation" | "dev" => Ok(Self::Validate),
            "test" | "testing" => Ok(Self::Test),
            _ => Err(UnknownSplit(word.chars().take(40).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_is_read_from_its_name() {
        for split in Split::ALL {
            assert_eq!(split.to_string().parse(), Ok(split));
            assert_eq!(serde_json::to_string(&split).unwrap(), format!("\"{split}\""));
        }
        assert_eq!(" VAL ".parse(), Ok(Split::Validate));
        let error = "holdout".parse::<Split>().unwrap_err();
        assert_eq!(error.to_string(), "`holdout` is not a split: write `train`, `validate` or `test`");
    }
}
