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
    /// Sentences that name a class of a label where they have `{}`, for classes without probes; one, or a list.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub sentence: Vec<String>,
}

/// A list that may be written as its only element, and then is.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a sentence or a list of sentences")]
    enum Form {
        One(String),
        Many(Vec<String>),
    }

    pub fn serialize<S: Serializer>(sentences: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        match sentences {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        Ok(match Form::deserialize(deserializer)? {
            Form::One(one) => vec![one],
            Form::Many(many) => many,
        })
    }
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
        Self { gallery: 200, text: TextPick::default(), hits: None, by: None, labels: vec![], sentence: vec![] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_or_several() {
        let of = |toml: &str| toml::from_str::<EvaluateConfig>(toml).map(|config| config.sentence);
        assert_eq!(of("sentence = \"a {}\"").unwrap(), ["a {}"]);
        assert_eq!(of("sentence = [\"a {}\", \"{} b\"]").unwrap(), ["a {}", "{} b"]);
        assert!(of("sentence = 3").unwrap_err().to_string().contains("a list of sentences"));
        // What earlier versions wrote is written alike.
        let one = EvaluateConfig { sentence: vec!["a {}".into()], ..EvaluateConfig::default() };
        assert!(toml::to_string(&one).unwrap().contains("sentence = \"a {}\""));
    }
}
