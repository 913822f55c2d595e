//! `[evaluate]`: settings of validation and of the command `evaluate`.

use ptu_data::TextChoice;
use serde::{Deserialize, Serialize};

/// Settings of validation and evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluateConfig {
    /// Maximal number of records of the validation split that are scored.
    pub gallery: usize,
    /// Which text of a record is used.
    pub text: TextPick,
    /// A label: a retrieved record with the same value of this label is a hit, in addition to records with the same text or
    /// image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hits: Option<String>,
    /// A label: the records with the same value of this label form their own gallery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Labels for which `evaluate` scores probes on frozen features, and zero-shot classification if `sentence` is set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Sentences for zero-shot classification, in which `{}` is replaced with the name of a class; one sentence or a list.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub sentence: Vec<String>,
}

/// Reads and writes a list. A list with a single element is written as this element, and may be read in this form.
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

/// Which text of a record is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextPick {
    /// The first text.
    First,
    /// The last text. If the texts are the findings and the impression of a report, this is the impression.
    #[default]
    Last,
    /// All texts, joined.
    All,
    /// A random text, drawn with the seed.
    Drawn,
}

impl TextPick {
    /// The same choice as a type of the data crate.
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
        // A single sentence is written in the same form as earlier versions wrote it.
        let one = EvaluateConfig { sentence: vec!["a {}".into()], ..EvaluateConfig::default() };
        assert!(toml::to_string(&one).unwrap().contains("sentence = \"a {}\""));
    }
}
