//! Predictions as JSON lines, from which every score can be computed again.

use std::collections::BTreeMap;
use std::io::{self, Write};

use ptu_infer::task::{GeneratedText, Target, TaskDescription};
use ptu_metrics::argmax;
use serde::Serialize;

use super::evaluate::TaskEvaluated;

/// One prediction.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    patient: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<QuestionLine<'a>>,
    /// The class or answer with the highest probability; absent for labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    predicted: Option<&'a str>,
    /// The right class or answer; null if it is not among the outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<Option<&'a str>>,
    /// For each label whether it applies; null where this is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<Option<bool>>>,
    /// The probability of each output, in the order of the task's outputs; absent for texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    probabilities: Vec<f64>,
    /// The logit of each output; absent for texts.
    #[serde(skip_serializing_if = "<[f32]>::is_empty")]
    logits: &'a [f32],
    /// The text that was written, with its number of tokens.
    #[serde(flatten)]
    text: Option<&'a GeneratedText>,
    /// The text that should have been written.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    /// The text that was read, for summaries.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    /// What was predicted in other ways: see [`OtherPredictions`](super::OtherPredictions).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    others: BTreeMap<&'a str, &'a str>,
    /// The logits of classes or labels in these other ways.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    other_logits: BTreeMap<&'a str, &'a [f32]>,
}

#[derive(Serialize)]
struct QuestionLine<'a> {
    id: &'a str,
    question: &'a str,
    answer: &'a str,
    closed: bool,
}

impl TaskEvaluated {
    /// Writes one line for each prediction.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn write_predictions(&self, out: &mut dyn Write) -> io::Result<()> {
        let names = self.task.output.names();
        for one in &self.predicted {
            let question = one.record.questions.first();
            let question = question.map(|question| QuestionLine {
                id: &question.id,
                question: &question.question,
                answer: &question.answer,
                closed: question.closed,
            });
            let name = |output: usize| names.get(output).copied();
            let (predicted, right, labels) = match &one.target {
                Target::Class(class) => (name(argmax(&one.logits)), Some(name(*class)), None),
                Target::OtherClass => (name(argmax(&one.logits)), Some(None), None),
                Target::Answer(answer) => (name(argmax(&one.logits)), Some(answer.and_then(name)), None),
                Target::Labels(states) => (None, None, Some(states.iter().map(|state| state.truth()).collect())),
                Target::Text(_) => (None, None, None),
            };
            let reference = if let Target::Text(reference) = &one.target { Some(reference.as_str()) } else { None };
            let line = Line {
                id: &one.record.id,
                patient: &one.record.patient,
                question: question.filter(|_| self.is_about_questions()),
                predicted,
                right,
                labels,
                probabilities: probabilities(&self.task, &one.logits),
                logits: &one.logits,
                text: one.text.as_ref(),
                reference,
                others: self.others.of(one.position),
                other_logits: self.others.logits(one.position),
                source: one.record.texts.first().filter(|_| reference.is_some()).map(String::as_str),
            };
            writeln!(out, "{}", serde_json::to_string(&line).map_err(io::Error::other)?)?;
        }
        Ok(())
    }

    fn is_about_questions(&self) -> bool {
        self.task.input == ptu_data::InputForm::Question
    }
}

/// Probabilities with six digits after the point; more digits would only be noise.
fn probabilities(task: &TaskDescription, logits: &[f32]) -> Vec<f64> {
    task.probabilities(logits).into_iter().map(|probability| (probability * 1e6).round() / 1e6).collect()
}
