//! The strongest simple baseline of a task: it looks neither at the image nor at the text.

use std::collections::BTreeMap;
use std::sync::Arc;

use ptu_data::{InputForm, Record, Source, ViewedSource};
use ptu_infer::task::{Predicted, Target, TaskOutput};
use ptu_metrics::Resampling;

use super::TaskMetric;
use super::report::Baseline;
use super::scorer::TaskScorer;
use crate::EvaluateError;

/// The most frequent class, or the most frequent answer of each type of question, among the training records. `None` for multi-label
/// tasks, whose AUROC without a model is 0.5, and if no training record has a target.
///
/// # Errors
/// If training records cannot be read.
pub fn baseline(
    scorer: &TaskScorer<'_>,
    input: InputForm,
    train: Arc<dyn Source>,
    resampling: &Resampling,
) -> Result<Option<Baseline>, EvaluateError> {
    let name = match scorer.output {
        TaskOutput::Classification { .. } => "most frequent class",
        TaskOutput::Vqa { .. } => "most frequent answer by type of question",
        TaskOutput::Multilabel { .. } | TaskOutput::Retrieval { .. } => return Ok(None),
    };
    let mut counts: BTreeMap<bool, BTreeMap<usize, usize>> = BTreeMap::new();
    // Only the targets are read, so no input is kept.
    ViewedSource::new(train, input, &mut |record| {
        if let Some(Target::Class(output) | Target::Answer(Some(output))) = scorer.output.target(record) {
            *counts.entry(is_closed(record)).or_default().entry(output).or_insert(0) += 1;
        }
        false
    })?;
    // Of equally frequent outputs the first one is taken.
    let most_frequent = |counts: &BTreeMap<usize, usize>| {
        let best = counts.iter().max_by(|one, other| one.1.cmp(other.1).then(other.0.cmp(one.0)));
        best.map(|(output, _)| *output)
    };
    let by_type: BTreeMap<bool, usize> =
        counts.iter().filter_map(|(closed, counts)| Some((*closed, most_frequent(counts)?))).collect();
    let Some(&any) = by_type.values().next() else { return Ok(None) };
    let outputs = scorer.output.names().len();
    let answers = scorer.predicted.iter().map(|one| {
        let mut logits = vec![0.0; outputs];
        logits[by_type.get(&is_closed(&one.record)).copied().unwrap_or(any)] = 1.0;
        Predicted { logits, ..one.clone() }
    });
    let answers: Vec<Predicted> = answers.collect();
    let simple = TaskScorer { output: scorer.output, predicted: &answers };
    let difference = scorer.difference(&simple, TaskMetric::Accuracy, resampling);
    Ok(difference.map(|difference| Baseline {
        name: name.into(),
        score: simple.score(TaskMetric::Accuracy, resampling),
        difference,
    }))
}

fn is_closed(record: &Record) -> bool {
    record.questions.first().is_some_and(|question| question.closed)
}
