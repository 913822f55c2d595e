//! What was predicted for the scored records in other ways than by the scored model with their own images.

use std::collections::BTreeMap;

use ptu_infer::task::{Predicted, TaskOutput};
use ptu_metrics::argmax;

/// What was predicted for the same records in other ways: with a replaced image (`blank`, `other`, `missing`), by the `baseline` and by
/// the linear `probe`. A prediction is the most probable class or answer, or the text; predictions of labels are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherPredictions(BTreeMap<String, BTreeMap<usize, String>>);

impl OtherPredictions {
    /// Adds predictions under a name.
    pub fn add(&mut self, name: &str, output: &TaskOutput, predicted: &[Predicted]) {
        let each = predicted.iter().filter_map(|one| Some((one.position, shown(output, one)?.to_string())));
        self.0.insert(name.into(), each.collect());
    }

    /// The predictions for the record at a position of the source, by name.
    pub fn of(&self, position: usize) -> BTreeMap<&str, &str> {
        let each = self.0.iter().filter_map(|(name, each)| Some((name.as_str(), each.get(&position)?.as_str())));
        each.collect()
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
