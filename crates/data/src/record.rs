//! The typed row that everything before the model passes around.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One row of a data set: an image, texts about it, or one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Named answers or findings, in the order of the table.
    pub labels: Vec<Label>,
    /// What the record may be used for.
    pub split: Split,
    /// Name of the data set it comes from.
    pub source: String,
}

/// An image as its file was: encoded bytes, never pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What a record may be used for; written as `train`, `validate` and `test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Weights are fitted to it.
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
