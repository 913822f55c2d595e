//! What was predicted for the scored records in other ways than by the scored model with their own images.

use std::collections::BTreeMap;

use ptu_infer::task::{Predicted, TaskOutput};
use ptu_metrics::argmax;

/// What was predicted for the same records in other ways: with a replaced image (`blank`, `other`, `missing`), by the `baseline` and by
/// the linear `probe`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtherPredictions(BTreeMap<String, BTreeMap<usize, OtherPrediction>>);

/// What was predicted for a record in another way.
#[derive(Clone, Debug, PartialEq)]
struct OtherPrediction {
    /// The most probable class or answer, or the text; `None` for labels.
    shown: Option<String>,
    /// The logit of each class or label; empty for answers, of which there are too many, and for texts.
    logits: Vec<f32>,
}

impl OtherPredictions {
    /// Adds predictions under a name.
    pub fn add(&mut self, name: &str, output: &TaskOutput, predicted: &[Predicted]) {
        let has_logits = matches!(output, TaskOutput::Classification { .. } | TaskOutput::Multilabel { .. });
        let each = predicted.iter().map(|one| {
            let logits = if has_logits { one.logits.clone() } else { vec![] };
            (one.position, OtherPrediction { shown: shown(output, one).map(String::from), logits })
        });
        self.0.insert(name.into(), each.collect());
    }

    /// The classes, answers or texts that were predicted for the record at a position of the source, by name.
    pub fn of(&self, position: usize) -> BTreeMap<&str, &str> {
        self.at(position).filter_map(|(name, one)| Some((name, one.shown.as_deref()?))).collect()
    }

    /// The logits of classes or labels for the record at a position of the source, by name.
    pub fn logits(&self, position: usize) -> BTreeMap<&str, &[f32]> {
        let logits = self.at(position).map(|(name, one)| (name, one.logits.as_slice()));
        logits.filter(|(_, logits)| !logits.is_empty()).collect()
    }

    fn at(&self, position: usize) -> impl Iterator<Item = (&str, &OtherPrediction)> {
        self.0.iter().filter_map(move |(name, each)| Some((name.as_str(), each.get(&position)?)))
    }
}

/// The most probable class or answer, or the text; `None` for labels.
fn shown<'a>(output: &'a TaskOutput, one: &'a Predicted) -> Option<&'a str> {
    match output {
        TaskOutput::Report(_) | TaskOutput::Summary(_) => one.text.as_ref().map(|text| text.text.as_str()),
        TaskOutput::Classification { .. } | TaskOutput::Vqa { .. } => output.names().get(argmax(&one.logits)).copied(),
        TaskOutput::Multilabel { .. } | TaskOutput::Retrieval { .. } => None,
    }
}
