//! `[evaluate]`: what validation and `evaluate` do.

use ptu_data::TextChoice;
use serde::{Deserialize, Serialize};

/// Validation and evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluateConfig {
    /// Records of the validation split that are scored, at most.
    pub gallery: usize,
    /// Which text of a record is scored.
    pub text: TextPick,
    /// Label whose equality makes a found record a hit besides equal texts and equal images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hits: Option<String>,
    /// Label whose values are galleries of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Labels that `evaluate` asks probes about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Sentence that names a class of a label where it has `{}`, for classes without probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
}

/// Which text of a record is scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextPick {
    /// The first.
    First,
    /// The last: a report's impression, where texts are findings and impression.
    #[default]
    Last,
    /// All, joined.
    All,
    /// One drawn by the seed.
    Drawn,
}

impl TextPick {
    /// The choice as the data crate knows it.
    pub fn choice(self, seed: u64) -> TextChoice {
        match self {
            Self::First => TextChoice::First,
            Self::Last => TextChoice::Last,
            Self::All => TextChoice::All,
            Self::Drawn => TextChoice::Drawn { seed },
        }
    }
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self { gallery: 200, text: TextPick::default(), hits: None, by: None, labels: vec![], sentence: None }
    }
}
