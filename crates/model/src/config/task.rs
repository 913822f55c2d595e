//! Sizes and options of the parts that only fine-tuned models have: task heads and the decoder (specification, sections 1.5
//! and 1.7). A configuration without them is written without these keys, as before they existed.

use serde::{Deserialize, Serialize};

use super::{HeadKind, ModelConfig, ensure};
use crate::ModelError;

/// The largest number of outputs of a task head.
const LARGEST_OUTPUTS: usize = 1_000_000;

/// Number of outputs of each task head. A head of `heads` needs its number here, and a number needs its head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outputs {
    /// Answers of visual question answering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vqa: Option<usize>,
    /// Classes of classification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classification: Option<usize>,
    /// Labels of multi-label classification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multilabel: Option<usize>,
}

/// The decoder for reports and summaries. Its layers have the sizes of the text encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecoderConfig {
    /// Which tokens of the fusion the decoder attends to.
    pub memory_mask: MemoryMask,
}

/// Which tokens of the fused text the decoder attends to (`decoder_memory_mask` of the specification).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryMask {
    /// Only the tokens of the text itself, so that a result does not depend on the other texts of a batch.
    #[default]
    Valid,
    /// Also padding tokens, up to a common length, as in the published program: for comparison with it.
    Published,
}

impl Outputs {
    /// Whether no task head has outputs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The number of outputs of a task head; `None` for all other heads, whose number is fixed.
    pub fn of(&self, head: HeadKind) -> Option<usize> {
        match head {
            HeadKind::Vqa => self.vqa,
            HeadKind::Classification => self.classification,
            HeadKind::MultiLabel => self.multilabel,
            HeadKind::Mlm | HeadKind::Itm | HeadKind::Itc | HeadKind::Mim | HeadKind::Retrieval => None,
        }
    }
}

impl ModelConfig {
    /// Checks that each task head has a number of outputs, and that no other head has one.
    pub(super) fn check_outputs(&self) -> Result<(), ModelError> {
        let each = [
            ("outputs.vqa", HeadKind::Vqa),
            ("outputs.classification", HeadKind::Classification),
            ("outputs.multilabel", HeadKind::MultiLabel),
        ];
        for (key, head) in each {
            match (self.heads.contains(&head), self.outputs.of(head)) {
                (true, Some(count)) => {
                    let rule = format!("is {count}; it must be between 1 and {LARGEST_OUTPUTS}");
                    ensure((1..=LARGEST_OUTPUTS).contains(&count), key, rule)?;
                }
                (true, None) => ensure(false, key, "is missing, but the model has this head".into())?,
                (false, Some(count)) => {
                    ensure(false, key, format!("is {count}, but `heads` does not contain this head"))?;
                }
                (false, None) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Preset, TextStyle};

    fn tiny() -> ModelConfig {
        Preset::Tiny.config(TextStyle::Roberta, 4096, [0, 2, 1])
    }

    #[test]
    fn a_configuration_without_task_heads_is_written_as_before() {
        let json = serde_json::to_value(tiny()).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        let before = "contrast deviation dropout fusion heads image image_prompts text text_prompts";
        let mut keys: Vec<&str> = keys.into_iter().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys.join(" "), before);
        assert_eq!(json["heads"], serde_json::json!(["mlm", "itm", "itc"]));
        assert_eq!(serde_json::from_value::<ModelConfig>(json).unwrap(), tiny());
    }

    #[test]
    fn task_heads_are_written_and_read() {
        let mut config = tiny();
        config.heads = vec![HeadKind::Vqa, HeadKind::Classification, HeadKind::MultiLabel];
        config.outputs = Outputs { vqa: Some(498), classification: Some(3), multilabel: Some(5) };
        config.check().unwrap();
        let json = serde_json::to_value(&config).unwrap();
        assert_eq!(json["heads"], serde_json::json!(["vqa", "classification", "multilabel"]));
        assert_eq!(json["outputs"], serde_json::json!({ "vqa": 498, "classification": 3, "multilabel": 5 }));
        assert_eq!(serde_json::from_value::<ModelConfig>(json).unwrap(), config);
    }

    #[test]
    fn heads_and_outputs_belong_together() {
        let check = |heads: Vec<HeadKind>, vqa: Option<usize>| {
            let outputs = Outputs { vqa, ..Outputs::default() };
            ModelConfig { heads, outputs, ..tiny() }.check().map_err(|error| error.to_string())
        };
        assert_eq!(check(vec![HeadKind::Vqa], Some(498)), Ok(()));
        for (heads, vqa) in [
            (vec![HeadKind::Vqa], None),
            (vec![HeadKind::Vqa], Some(0)),
            (vec![HeadKind::Vqa], Some(usize::MAX)),
            (vec![HeadKind::Mlm], Some(4)),
        ] {
            assert!(check(heads, vqa).unwrap_err().contains("outputs.vqa"));
        }
    }
}
