//! Predictions of a fine-tuned model.

use std::sync::Arc;

use ptu_data::{InputForm, Preparation, TextUnit};
use ptu_input::Input;
use ptu_kernels::{ComputePrecision, Pass};
use ptu_model::{Bundle, HeadKind, Model, ModelError, StandIn, TaskHead};
use serde::Serialize;

use super::description::{TaskDescription, TaskOutput};

/// Computes the predictions of a fine-tuned model.
pub struct Predictor<'a> {
    model: &'a Model,
    head: &'a TaskHead,
    /// The task of the model.
    pub task: &'a TaskDescription,
    /// Precision of the model's matrix precision.
    pub precision: ComputePrecision,
}

/// The prediction for one input.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Prediction {
    /// The classes, the most probable first.
    Classification {
        /// Each class with its probability.
        classes: Vec<Scored>,
    },
    /// The labels, in the order of the task.
    Multilabel {
        /// Each label with the probability that it applies.
        labels: Vec<Scored>,
    },
    /// The answers, the most probable first.
    Vqa {
        /// Each answer with its probability.
        answers: Vec<Scored>,
    },
}

/// A class, label or answer with its probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// Class, label or answer.
    pub name: String,
    /// Probability, calibrated if the task has a calibration.
    pub probability: f64,
}

impl<'a> Predictor<'a> {
    /// A predictor that computes in f32.
    ///
    /// # Errors
    /// If the model does not have the head of the task.
    pub fn new(model: &'a Model, task: &'a TaskDescription) -> Result<Self, ModelError> {
        let heads = &model.heads;
        let (head, name) = match task.head() {
            HeadKind::Vqa => (&heads.vqa, "question answering (vqa)"),
            HeadKind::MultiLabel => (&heads.multilabel, "multi-label"),
            _ => (&heads.classification, "classification"),
        };
        let head = head.as_ref().ok_or(ModelError::NoHead { head: name })?;
        Ok(Self { model, head, task, precision: ComputePrecision::F32 })
    }

    /// The logits of each input, computed for `batch` inputs at a time; one number for each output of the task.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    pub fn logits(&self, inputs: &[Input], batch: usize) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut rows = Vec::with_capacity(inputs.len());
        for chunk in inputs.chunks(batch.max(1)) {
            let arrays = ptu_input::Batch::collect(chunk);
            let features = self.model.features_with(StandIn::Prompts, &arrays, self.precision)?;
            let logits = self.head.forward(features, &Pass::off().with(self.precision));
            let outputs = logits.dims()[1];
            let values: Vec<f32> = logits.inner().into_data().try_into_vec().expect("the model computes in f32");
            rows.extend(values.chunks_exact(outputs).map(<[f32]>::to_vec));
        }
        Ok(rows)
    }

    /// The prediction for each input.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    pub fn predict(&self, inputs: &[Input], batch: usize) -> Result<Vec<Prediction>, ModelError> {
        Ok(self.logits(inputs, batch)?.iter().filter_map(|logits| self.task.prediction(logits)).collect())
    }
}

impl TaskDescription {
    /// How records become inputs of the task.
    pub fn preparation(&self, bundle: &Bundle) -> Preparation {
        let plain = Preparation::new(Arc::clone(&bundle.tokenizer), bundle.preprocess.clone(), bundle.max_tokens);
        Preparation { unit: TextUnit::Text, sentence_pairs: self.input == InputForm::Sentences, ..plain }
    }

    /// The probabilities of logits: a softmax if the outputs exclude each other, else a sigmoid of each.
    pub fn probabilities(&self, logits: &[f32]) -> Vec<f64> {
        let temperature = self.calibration.map_or(1.0, |calibration| calibration.temperature);
        let logits: Vec<f64> = logits.iter().map(|logit| f64::from(*logit) / temperature).collect();
        if !self.output.is_exclusive() {
            return logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
        }
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exponentials: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        exponentials.into_iter().map(|value| value / sum).collect()
    }

    /// The prediction of logits; `None` for a task whose output is no class, label or answer.
    pub fn prediction(&self, logits: &[f32]) -> Option<Prediction> {
        let probabilities = self.probabilities(logits);
        let names = self.output.names().into_iter().map(String::from);
        let mut scored: Vec<Scored> =
            names.zip(probabilities).map(|(name, probability)| Scored { name, probability }).collect();
        if !matches!(self.output, TaskOutput::Multilabel { .. }) {
            // The sort is stable: of equal probabilities the first output comes first.
            scored.sort_by(|one, other| other.probability.total_cmp(&one.probability));
        }
        match self.output {
            TaskOutput::Classification { .. } => Some(Prediction::Classification { classes: scored }),
            TaskOutput::Multilabel { .. } => Some(Prediction::Multilabel { labels: scored }),
            TaskOutput::Vqa { .. } => Some(Prediction::Vqa { answers: scored }),
            TaskOutput::Retrieval { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::description::Calibration;
    use super::*;

    fn task(output: TaskOutput) -> TaskDescription {
        TaskDescription { input: InputForm::Available, output, started_from: None, calibration: None }
    }

    #[test]
    fn classes_are_a_softmax_and_answers_are_sigmoids() {
        let names = || vec!["a".to_string(), "b".into()];
        let classes = task(TaskOutput::Classification { label: "x".into(), classes: names() });
        let Some(Prediction::Classification { classes: found }) = classes.prediction(&[0.0, 3f32.ln()]) else {
            panic!()
        };
        assert_eq!(found[0].name, "b");
        assert!((found[0].probability - 0.75).abs() < 1e-6 && (found[1].probability - 0.25).abs() < 1e-6);
        let answers = task(TaskOutput::Vqa { answers: names(), collected_from: "train".into() });
        let Some(Prediction::Vqa { answers: found }) = answers.prediction(&[0.0, 0.0]) else { panic!() };
        let ranking = task(TaskOutput::Retrieval { negatives: 15 });
        assert_eq!(ranking.prediction(&[0.0]), None);
        let error = ranking.require_classes(Path::new("runs/x")).unwrap_err().to_string();
        assert!(error.contains("fine-tuned for retrieval") && error.contains("ptunifier match runs/x"), "{error}");
        assert_eq!((found[0].name.as_str(), found[0].probability), ("a", 0.5));
        let calibration = Some(Calibration { temperature: 2.0, fitted: 3 });
        let softer = TaskDescription { calibration, ..classes };
        assert!((softer.probabilities(&[0.0, 3f32.ln()])[1] - 3f64.sqrt() / (1.0 + 3f64.sqrt())).abs() < 1e-6);
    }
}
