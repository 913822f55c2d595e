//! The typed row that everything before the model passes around.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One row of a data set: an image, texts about it, or one of the two, and what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Unique within its data set.
    pub id: String,
    /// The unit of splits and of intervals. Where the patient is unknown: the image's path, so that rows about one image
    /// stay together, else the `id`.
    pub patient: String,
    /// The image, `None` where the record has only texts.
    pub image: Option<RecordImage>,
    /// Texts about the image (captions, findings, impression); empty where the record has only an image.
    pub texts: Vec<String>,
    /// What each of `texts` is; shorter where the rest is plain [`Section::Text`].
    pub sections: Vec<Section>,
    /// Named answers or findings, in the order of the table. A name may come more than once.
    pub labels: Vec<Label>,
    /// Questions about the image with their answers.
    pub questions: Vec<Question>,
    /// Two sentences whose relation is a label.
    pub sentences: Option<SentencePair>,
    /// Parts of the first text that name something.
    pub marks: Vec<Mark>,
    /// Named values that nothing is to be learned from as they are: age, view, modality, columns without a use.
    pub fields: Vec<Label>,
    /// What the record may be used for.
    pub split: Split,
    /// Name of the data set it comes from.
    pub source: String,
}

/// An image as its file was: encoded bytes, never pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordImage {
    /// The encoded file (PNG, JPEG, ...).
    pub bytes: Vec<u8>,
    /// Where it came from, as the table named it; only told to people.
    pub path: Option<String>,
}

/// One named value of a record, for example `finding` = `effusion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Name of the label, for example the table's column.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

impl Label {
    /// A named value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// What a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Section {
    /// Nobody said.
    #[default]
    Text,
    /// What stands below a figure.
    Caption,
    /// A paragraph of an article that refers to a figure.
    Reference,
    /// What a report says is seen.
    Findings,
    /// What a report concludes.
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

    /// The section of a word of [`Section::name`].
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.name() == word)
    }
}

/// A finding that a reader of images judged, as labels of several findings at once have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is there.
    Positive,
    /// It is said not to be there.
    Negative,
    /// It may be there.
    Uncertain,
    /// Nothing is said of it.
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

    /// The word used as a label's value.
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
    /// Its name within the data set.
    pub id: String,
    /// The question as it was asked.
    pub question: String,
    /// The answer as it was given.
    pub answer: String,
    /// Whether the answers to choose from are few, most often yes and no.
    pub closed: bool,
    /// What it is about, in the words of the data set, for example `organ`; empty where nobody says.
    pub category: String,
}

/// Two sentences, of which the first may entail the second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentencePair {
    /// What is taken for true.
    pub premise: String,
    /// What may follow from it.
    pub hypothesis: String,
}

/// A part of a text that names something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// What it names, for example `CHEMICAL`.
    pub kind: String,
    /// Where it starts, in characters of the text.
    pub start: u32,
    /// The character after its last.
    pub end: u32,
}

/// What a record may be used for; written as `train`, `validate` and `test`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Weights are fitted to it.
    #[default]
    Train,
    /// Settings are chosen by it.
    Validate,
    /// Numbers are published of it.
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

/// A word that names no split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no split: write `train`, `validate` or `test`")]
pub struct UnknownSplit(pub String);

impl FromStr for Split {
    type Err = UnknownSplit;

    /// Reads the word of [`Split::name`], and the other usual words for validation.
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
    fn every_split_reads_its_own_name() {
        for split in Split::ALL {
            assert_eq!(split.to_string().parse(), Ok(split));
            assert_eq!(serde_json::to_string(&split).unwrap(), format!("\"{split}\""));
        }
        assert_eq!(" VAL ".parse(), Ok(Split::Validate));
        let error = "holdout".parse::<Split>().unwrap_err();
        assert_eq!(error.to_string(), "`holdout` is no split: write `train`, `validate` or `test`");
    }
}
