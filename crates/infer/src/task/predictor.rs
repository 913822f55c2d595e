//! Predictions of a fine-tuned model.

use burn::tensor::{Tensor, TensorData};
use ptu_data::{InputForm, Preparation, TextUnit};
use ptu_input::{Input, Tokenizer};
use ptu_kernels::{ComputePrecision, Pass};
use ptu_model::{Bundle, HeadKind, ItcHead, Model, ModelError, StandIn, TaskHead};
use serde::Serialize;

use super::description::{TaskDescription, TaskOutput};
use super::generator::{GeneratedText, Generator};
use crate::{EncodedImages, InferError, Vectors};

/// Batch size of the model.
pub(super) const BATCH: usize = 16;

/// Computes the predictions of a fine-tuned model, or of a pre-trained one that classifies by sentences.
pub struct Predictor<'a> {
    pub(super) model: &'a Model,
    head: Head<'a>,
    /// Images that were encoded before, if the same ones may be asked for again.
    pub(super) encoded: Option<&'a EncodedImages>,
    /// The task of the model.
    pub task: &'a TaskDescription,
    /// Precision of the model's matrix products.
    pub precision: ComputePrecision,
    /// Seed of texts that are sampled.
    pub seed: u64,
    /// What takes the place of a missing image or text. Texts are always written with prompts.
    pub stand_in: StandIn,
}

/// What the model computes for one input.
#[derive(Clone, Debug, PartialEq)]
pub enum RawPrediction {
    /// A number for each output of the task.
    Logits(Vec<f32>),
    /// The text that was written.
    Text(GeneratedText),
}

/// What computes the logits of pooled features.
enum Head<'a> {
    /// The head of a fine-tuned model.
    Task(&'a TaskHead),
    /// The ITC head, and the unit vector of each class, `[classes, width]`.
    Sentences(&'a ItcHead, Box<Tensor<2>>),
    /// The decoder, which writes texts and has no logits of outputs.
    Decoder,
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
    /// A report.
    Report(GeneratedText),
    /// A summary.
    Summary(GeneratedText),
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
    /// If the model does not have the head, or the decoder, of the task.
    pub fn new(model: &'a Model, task: &'a TaskDescription) -> Result<Self, ModelError> {
        let heads = &model.heads;
        let found = match task.head() {
            Some(HeadKind::Vqa) => Some((&heads.vqa, "question answering (vqa)")),
            Some(HeadKind::MultiLabel) => Some((&heads.multilabel, "multi-label")),
            Some(_) => Some((&heads.classification, "classification")),
            None => None,
        };
        let head = match found {
            Some((head, name)) => Head::Task(head.as_ref().ok_or(ModelError::NoHead { head: name })?),
            None => model.decoder().map(|_| Head::Decoder)?,
        };
        Ok(Self::with(model, head, task))
    }

    /// A predictor that computes in f32 and classifies images by the vectors of the classes
    /// ([`ClassSentences::vectors`](super::ClassSentences::vectors)). A logit is the cosine similarity of image and class, divided by the
    /// temperature of the model's contrast.
    ///
    /// # Errors
    /// If the model has no ITC head.
    pub fn by_sentences(model: &'a Model, task: &'a TaskDescription, classes: &Vectors) -> Result<Self, ModelError> {
        let head = model.heads.itc.as_ref().ok_or(ModelError::NoHead { head: "contrast (itc)" })?;
        let data = TensorData::new(classes.values.clone(), [classes.len(), classes.width]);
        let classes = Box::new(Tensor::from_data(data, &model.device()));
        Ok(Self::with(model, Head::Sentences(head, classes), task))
    }

    fn with(model: &'a Model, head: Head<'a>, task: &'a TaskDescription) -> Self {
        Self { model, head, encoded: None, task, precision: ComputePrecision::F32, seed: 0, stand_in: StandIn::Prompts }
    }

    /// The predictor with this precision, which takes the outputs of the image encoder for images that it has seen from `encoded`. Other
    /// predictors of the same model and precision may share it.
    #[must_use]
    pub fn with_encoded(self, encoded: &'a EncodedImages, precision: ComputePrecision) -> Self {
        encoded.start(self.model, precision);
        Self { encoded: Some(encoded), precision, ..self }
    }

    /// What the model computes for each input, in their order. `numbers` name the random numbers of each input, so that a sampled
    /// text does not depend on the other inputs.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    pub fn raw(
        &self,
        inputs: &[Input],
        numbers: &[u64],
        tokenizer: &Tokenizer,
    ) -> Result<Vec<RawPrediction>, InferError> {
        let Some(written) = self.task.output.written() else {
            return Ok(self.logits(inputs, BATCH)?.into_iter().map(RawPrediction::Logits).collect());
        };
        let mut generator = Generator::new(self.model, tokenizer, written.generation)?;
        (generator.precision, generator.seed) = (self.precision, self.seed);
        Ok(generator.generate(inputs, numbers, BATCH)?.into_iter().map(RawPrediction::Text).collect())
    }

    /// The logits of each input, computed for `batch` inputs at a time; one number for each output of the task.
    ///
    /// # Errors
    /// If the task writes texts, inputs do not fit the model, or a logit is not finite.
    pub fn logits(&self, inputs: &[Input], batch: usize) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut rows = Vec::with_capacity(inputs.len());
        for chunk in inputs.chunks(batch.max(1)) {
            let arrays = ptu_input::Batch::collect(chunk);
            let features = self.model.features_with(self.stand_in, &arrays, self.precision)?;
            let logits = match &self.head {
                Head::Task(head) => head.forward(features, &Pass::off().with(self.precision)),
                Head::Sentences(head, classes) => head.similarity(head.image(features), classes.as_ref().clone()),
                Head::Decoder => return Err(ModelError::NoHead { head: self.task.output.kind() }),
            };
            let outputs = logits.dims()[1];
            let values: Vec<f32> = logits.inner().into_data().try_into_vec().expect("the model computes in f32");
            if !values.iter().all(|value| value.is_finite()) {
                return Err(ModelError::NotFinite);
            }
            rows.extend(values.chunks_exact(outputs).map(<[f32]>::to_vec));
        }
        Ok(rows)
    }
}

impl TaskDescription {
    /// How records become inputs of the task.
    pub fn preparation(&self, bundle: &Bundle) -> Preparation {
        let plain = crate::preparation(bundle);
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

    /// The prediction for what the model computed.
    pub fn prediction(&self, raw: RawPrediction) -> Prediction {
        match (raw, &self.output) {
            (RawPrediction::Logits(logits), _) => self.scored(&logits),
            (RawPrediction::Text(text), TaskOutput::Summary(_)) => Prediction::Summary(text),
            (RawPrediction::Text(text), _) => Prediction::Report(text),
        }
    }

    fn scored(&self, logits: &[f32]) -> Prediction {
        let probabilities = self.probabilities(logits);
        let names = self.output.names().into_iter().map(String::from);
        let mut scored: Vec<Scored> =
            names.zip(probabilities).map(|(name, probability)| Scored { name, probability }).collect();
        if !matches!(self.output, TaskOutput::Multilabel { .. }) {
            // The sort is stable: of equal probabilities the first output comes first.
            scored.sort_by(|one, other| other.probability.total_cmp(&one.probability));
        }
        match self.output {
            TaskOutput::Multilabel { .. } => Prediction::Multilabel { labels: scored },
            TaskOutput::Vqa { .. } => Prediction::Vqa { answers: scored },
            _ => Prediction::Classification { classes: scored },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::description::Calibration;
    use super::*;

    fn task(output: TaskOutput) -> TaskDescription {
        TaskDescription::new(InputForm::Available, output)
    }

    #[test]
    fn classes_are_a_softmax_and_answers_are_sigmoids() {
        let names = || vec!["a".to_string(), "b".into()];
        let classes = task(TaskOutput::Classification { label: "x".into(), classes: names() });
        let Prediction::Classification { classes: found } = classes.scored(&[0.0, 3f32.ln()]) else { panic!() };
        assert_eq!(found[0].name, "b");
        assert!((found[0].probability - 0.75).abs() < 1e-6 && (found[1].probability - 0.25).abs() < 1e-6);
        let answers = task(TaskOutput::Vqa { answers: names(), collected_from: "train".into() });
        let Prediction::Vqa { answers: found } = answers.scored(&[0.0, 0.0]) else { panic!() };
        let ranking = task(TaskOutput::Retrieval { negatives: 15 });
        let error = ranking.require_outputs(Path::new("runs/x")).unwrap_err().to_string();
        assert!(error.contains("fine-tuned for retrieval") && error.contains("ptunifier match runs/x"), "{error}");
        assert_eq!((found[0].name.as_str(), found[0].probability), ("a", 0.5));
        let calibration = Some(Calibration { temperature: 2.0, fitted: 3 });
        let softer = TaskDescription { calibration, ..classes };
        assert!((softer.probabilities(&[0.0, 3f32.ln()])[1] - 3f64.sqrt() / (1.0 + 3f64.sqrt())).abs() < 1e-6);
    }
}
