//! What each column of a table was taken for.

use serde::{Deserialize, Serialize};

/// A column of a table and what it is taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableColumn {
    /// Its name as the table has it.
    pub name: String,
    /// What it is taken for.
    pub taken_for: Purpose,
    /// Why it is left, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a column is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The image, or its path.
    Image,
    /// A text about it.
    Text,
    /// The name of the record.
    Id,
    /// The unit of the splits.
    Patient,
    /// Whether the record is for training, validation or test.
    Split,
    /// A label to be learned.
    Label,
    /// A question about the image.
    Question,
    /// Its answer.
    Answer,
    /// Whether the answer is one of few.
    AnswerType,
    /// The first of two sentences.
    Premise,
    /// The second of them.
    Hypothesis,
    /// A value that is kept beside the record.
    Field,
    /// Nothing.
    Left,
}

impl Purpose {
    /// The word that a person reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Text => "text",
            Self::Id => "id",
            Self::Patient => "patient",
            Self::Split => "split",
            Self::Label => "labels",
            Self::Question => "question",
            Self::Answer => "answer",
            Self::AnswerType => "answer type",
            Self::Premise => "premise",
            Self::Hypothesis => "hypothesis",
            Self::Field => "fields",
            Self::Left => "left out",
        }
    }
}
