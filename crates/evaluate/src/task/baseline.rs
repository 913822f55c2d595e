//! The strongest simple baseline of a task: it looks neither at the image nor, except for the first sentence of a text that is
//! summarised, at the text.

use std::collections::BTreeMap;
use std::sync::Arc;

use ptu_data::{Record, Source, ViewedSource};
use ptu_infer::task::{GeneratedText, Predicted, Target, TaskDescription, TaskOutput};
use ptu_metrics::Resampling;

use super::TaskMetric;
use super::report::Baseline;
use super::scorer::TaskScorer;
use crate::EvaluateError;

/// The most frequent class, the most frequent answer of each type of question, or the most frequent text among the training
/// records; for summaries also the first sentence of the text that is read. The baseline with the best score is returned, with its
/// predictions. `None` for
/// multi-label tasks, whose AUROC without a model is 0.5, and if no training record has a target.
///
/// # Errors
/// If training records cannot be read.
pub fn baseline(
    scorer: &TaskScorer<'_>,
    task: &TaskDescription,
    train: Arc<dyn Source>,
    resampling: &Resampling,
) -> Result<Option<(Baseline, Vec<Predicted>)>, EvaluateError> {
    let (mut outputs, mut texts) = (OutputCounts::default(), BTreeMap::<String, usize>::new());
    // Only the targets are read, so no input is kept.
    ViewedSource::new(train, task.view(), &mut |record| {
        match scorer.output.target(record) {
            Some(Target::Class(output) | Target::Answer(Some(output))) => outputs.add(record, output),
            Some(Target::Text(text)) => *texts.entry(text).or_insert(0) += 1,
            Some(Target::Labels(_) | Target::Answer(None) | Target::OtherClass) | None => {}
        }
        false
    })?;
    let frequent_text = || most_frequent(&texts).map(|text| written(scorer, |_| text.clone()));
    let candidates: Vec<(&str, Option<Vec<Predicted>>)> = match scorer.output {
        TaskOutput::Classification { .. } => vec![("most frequent class", outputs.answers(scorer))],
        TaskOutput::Vqa { .. } => vec![("most frequent answer by type of question", outputs.answers(scorer))],
        TaskOutput::Report(_) => vec![("most frequent report", frequent_text())],
        TaskOutput::Summary(_) => vec![
            ("most frequent summary", frequent_text()),
            ("first sentence", Some(written(scorer, |record| first_sentence(record).to_string()))),
        ],
        TaskOutput::Multilabel { .. } | TaskOutput::Retrieval { .. } => return Ok(None),
    };
    let metric = TaskMetric::of(scorer.output)[0];
    let scored = candidates.iter().filter_map(|(name, predicted)| {
        let simple = TaskScorer { output: scorer.output, predicted: predicted.as_ref()? };
        Some((*name, simple, simple.value(metric).value?))
    });
    let best = scored.reduce(|best, other| if other.2 > best.2 { other } else { best });
    Ok(best.and_then(|(name, simple, _)| {
        let difference = scorer.difference(&simple, metric, resampling)?;
        let baseline = Baseline { name: name.into(), score: simple.score(metric, resampling), difference };
        Some((baseline, simple.predicted.to_vec()))
    }))
}

/// How often each class or answer occurs, by type of question.
#[derive(Default)]
struct OutputCounts(BTreeMap<bool, BTreeMap<usize, usize>>);

impl OutputCounts {
    fn add(&mut self, record: &Record, output: usize) {
        *self.0.entry(is_closed(record)).or_default().entry(output).or_insert(0) += 1;
    }

    /// The most frequent output as the prediction for each record; `None` if nothing was counted.
    fn answers(&self, scorer: &TaskScorer<'_>) -> Option<Vec<Predicted>> {
        let by_type: BTreeMap<bool, usize> =
            self.0.iter().filter_map(|(closed, counts)| Some((*closed, *most_frequent(counts)?))).collect();
        let any = *by_type.values().next()?;
        let outputs = scorer.output.names().len();
        let answers = scorer.predicted.iter().map(|one| {
            let mut logits = vec![0.0; outputs];
            logits[by_type.get(&is_closed(&one.record)).copied().unwrap_or(any)] = 1.0;
            Predicted { logits, ..one.clone() }
        });
        Some(answers.collect())
    }
}

/// The key with the largest count; of equal counts the first one.
fn most_frequent<K: Ord>(counts: &BTreeMap<K, usize>) -> Option<&K> {
    let best = counts.iter().max_by(|one, other| one.1.cmp(other.1).then(other.0.cmp(one.0)));
    best.map(|(key, _)| key)
}

/// A text for each record as its prediction.
fn written(scorer: &TaskScorer<'_>, text: impl Fn(&Record) -> String) -> Vec<Predicted> {
    let predicted = scorer.predicted.iter().map(|one| {
        let text = GeneratedText { text: text(&one.record), tokens: 0, finished: true, score: None };
        Predicted { text: Some(text), ..one.clone() }
    });
    predicted.collect()
}

/// The first sentence of the text that is read.
fn first_sentence(record: &Record) -> &str {
    let text = record.texts.first().map_or("", String::as_str);
    ptu_input::text::sentences(text).first().copied().unwrap_or(text)
}

fn is_closed(record: &Record) -> bool {
    record.questions.first().is_some_and(|question| question.closed)
}
