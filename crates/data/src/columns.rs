//! The purpose of each column of a table: what `prepare` used the column for.

use serde::{Deserialize, Serialize};

/// A column of a table and its purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableColumn {
    /// The name of the column in the table.
    pub name: String,
    /// Its purpose.
    pub taken_for: Purpose,
    /// The reason why the column is not used; `None` for used columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The purpose of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The image, or its path.
    Image,
    /// A text about the image.
    Text,
    /// The id of the record.
    Id,
    /// The patient: all records of one patient belong to one split.
    Patient,
    /// Whether the record is for training, validation or test.
    Split,
    /// A label that a model can learn.
    Label,
    /// A question about the image.
    Question,
    /// The answer to the question.
    Answer,
    /// Whether the question is closed: its answer is one of few possible answers.
    AnswerType,
    /// The first of two sentences.
    Premise,
    /// The second of two sentences.
    Hypothesis,
    /// A value that is stored with the record but is not a label.
    Field,
    /// The column is not used.
    Left,
}

impl Purpose {
    /// The word for this purpose that is displayed to the user and written to the data set's card.
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
            Self::Left => "not used",
        }
    }
}
