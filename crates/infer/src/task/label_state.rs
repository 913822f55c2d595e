//! Whether a label applies.

use ptu_data::Finding;
use serde::{Deserialize, Serialize};

/// Whether a label applies to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelState {
    /// It applies.
    Positive,
    /// It does not apply.
    Negative,
    /// This is not known: the label of this record is neither trained nor scored.
    Ignore,
}

impl LabelState {
    /// Reads a value of a label: the words of [`Finding`], or usual words for yes and no. `None` for other words.
    pub fn of(value: &str, uncertain: Self, unmentioned: Self) -> Option<Self> {
        let word = value.trim().to_lowercase();
        Some(match word.as_str() {
            "positive" | "yes" | "true" | "present" | "1" | "1.0" => Self::Positive,
            "negative" | "no" | "false" | "absent" | "0" | "0.0" => Self::Negative,
            "uncertain" | "-1" | "-1.0" => uncertain,
            word if word == Finding::Unmentioned.name() => unmentioned,
            _ => return None,
        })
    }

    /// 1 if the label applies, 0 if it does not, `None` if this is not known.
    pub fn truth(self) -> Option<bool> {
        match self {
            Self::Positive => Some(true),
            Self::Negative => Some(false),
            Self::Ignore => None,
        }
    }
}
