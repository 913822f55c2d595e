//! A fine-tuned model, ready to be used: records or bytes in, predictions out.

use std::path::Path;

use burn::tensor::Device;
use ptu_data::collate::Origin;
use ptu_data::{DataError, Example, InputForm, Preparation, Question, Record, RecordImage, TextChoice};
use ptu_input::Input;
use ptu_kernels::ComputePrecision;
use ptu_model::Bundle;
use ptu_model::generate::GenerationConfig;
use rayon::prelude::*;

use super::description::TaskDescription;
use super::predictor::{Prediction, Predictor};
use super::sentences::ClassSentences;
use crate::{InferError, Vectors};

/// A fine-tuned model, or a pre-trained one that classifies by sentences, with everything that it needs.
pub struct TaskModel {
    bundle: Bundle,
    task: TaskDescription,
    /// The vectors of the classes, if the model classifies by sentences.
    classes: Option<Vectors>,
    preparation: Preparation,
    /// Precision of the model's matrix products.
    pub precision: ComputePrecision,
    /// Seed of texts that are sampled.
    pub seed: u64,
}

/// The prediction for one input of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Id of the record.
    pub id: String,
    /// The question; `None` for tasks without questions.
    pub question: Option<String>,
    /// Whether the text was longer than the model reads, so that it saw only the beginning.
    pub cut: bool,
    /// Whether the model saw an image; otherwise prompts took its place.
    pub has_image: bool,
    /// The prediction.
    pub prediction: Prediction,
}

/// The reason why an input has no prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Id of the record.
    pub id: String,
    /// The cause.
    pub cause: String,
}

impl TaskModel {
    /// Reads a fine-tuned bundle.
    ///
    /// # Errors
    /// If a file cannot be read, or the bundle is not fine-tuned for classes, labels or answers.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, InferError> {
        let bundle = Bundle::load(folder, device)?;
        let task = TaskDescription::of(&bundle, folder)?;
        task.require_outputs(folder)?;
        let preparation = task.preparation(&bundle);
        Ok(Self { bundle, task, classes: None, preparation, precision: ComputePrecision::F32, seed: 0 })
    }

    /// Reads a pre-trained bundle that assigns images to classes by sentences, without fine-tuning (zero-shot classification).
    ///
    /// # Errors
    /// If a file cannot be read, the model did not learn to compare images with texts, or a sentence cannot be used.
    pub fn by_sentences(folder: &Path, sentences: &ClassSentences, device: &Device) -> Result<Self, InferError> {
        let bundle = Bundle::load(folder, device)?;
        let classes = Some(sentences.vectors_of(&bundle, folder)?);
        let task = sentences.task("class");
        let preparation = task.preparation(&bundle);
        Ok(Self { bundle, task, classes, preparation, precision: ComputePrecision::F32, seed: 0 })
    }

    fn predictor(&self) -> Result<Predictor<'_>, InferError> {
        let (model, task) = (&self.bundle.model, &self.task);
        let mut predictor = match &self.classes {
            Some(classes) => Predictor::by_sentences(model, task, classes)?,
            None => Predictor::new(model, task)?,
        };
        (predictor.precision, predictor.seed) = (self.precision, self.seed);
        Ok(predictor)
    }

    /// Generates texts in another way than the recipe of the model says. Changes nothing for a model that writes no texts.
    ///
    /// # Errors
    /// Those of [`GenerationConfig::check_for`].
    pub fn set_generation(&mut self, generation: GenerationConfig) -> Result<(), InferError> {
        generation.check_for(self.bundle.model.config())?;
        if let Some(written) = self.task.output.written_mut() {
            written.generation = generation;
        }
        Ok(())
    }

    /// What the model reads, and what its outputs mean.
    pub fn task(&self) -> &TaskDescription {
        &self.task
    }

    /// The prediction for an image and, for a task about questions, a question. `name` is used in messages.
    ///
    /// # Errors
    /// If the image cannot be decoded, or the model needs a text instead.
    pub fn image(&self, bytes: Vec<u8>, name: &str, question: Option<&str>) -> Result<Answer, InferError> {
        let record = Record { id: name.into(), image: Some(RecordImage { bytes, path: None }), ..Record::default() };
        self.one(with_question(record, question))
    }

    /// The prediction for a text; prompts take the place of the image. For a task about questions the text is the question.
    ///
    /// # Errors
    /// If the text cannot be tokenised, or the model needs an image instead.
    pub fn text(&self, text: &str) -> Result<Answer, InferError> {
        let record = Record { id: "text".into(), texts: vec![text.into()], ..Record::default() };
        self.one(if self.task.input == InputForm::Question { with_question(record, Some(text)) } else { record })
    }

    fn one(&self, record: Record) -> Result<Answer, InferError> {
        match self.predict(vec![record])?.pop() {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(refused)) => Err(InferError::Query(format!("`{}`: {}", refused.id, refused.cause))),
            None => Err(InferError::Query("there is no input".into())),
        }
    }

    /// The predictions for records, in their order; a record with several questions gives several. Records that give no input are
    /// refused one by one.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    pub fn predict(&self, records: Vec<Record>) -> Result<Vec<Result<Answer, Refused>>, InferError> {
        let (form, view) = (self.task.input, self.task.view());
        let views = records.into_iter().flat_map(|record| {
            // A record without a question, or without a text, gives one view all the same, so that it is refused by its id.
            let count = view.count(&record).max(1);
            (0..count).map(move |number| view.of(record.clone(), number))
        });
        let views: Vec<Record> = views.collect();
        let examples: Vec<Result<Example, Refused>> = views.into_par_iter().map(|view| self.example(view)).collect();
        let inputs: Vec<_> = examples.iter().flatten().map(|example| example.input.clone()).collect();
        // The random numbers of an input depend on what it is, so that it gets the same text in another call.
        let number = |example: &Example| example.image_hash.unwrap_or(0) ^ example.text_hash.unwrap_or(0);
        let numbers: Vec<u64> = examples.iter().flatten().map(number).collect();
        let mut raw = self.predictor()?.raw(&inputs, &numbers, &self.bundle.tokenizer)?.into_iter();
        let answer = |example: Result<Example, Refused>| {
            let Example { record, cut, input, .. } = example?;
            let has_image = matches!(input, Input::Pair { .. } | Input::Image(_));
            let question = record.questions.into_iter().next().filter(|_| form == InputForm::Question);
            let raw = raw.next().expect("each input has a prediction");
            let prediction = self.task.prediction(raw);
            Ok(Answer { id: record.id, question: question.map(|one| one.question), cut, has_image, prediction })
        };
        Ok(examples.into_iter().map(answer).collect())
    }

    /// A view of a record as an example.
    fn example(&self, view: Record) -> Result<Example, Refused> {
        let id = view.id.clone();
        let refused = |cause: String| Refused { id: id.clone(), cause };
        let origin = Origin { source: 0, name: "input", position: 0 };
        if self.task.input == InputForm::Question
            && view.questions.first().is_none_or(|one| one.question.trim().is_empty())
        {
            return Err(refused(
                "it has no question; write one behind the input: `ask MODEL INPUT \"QUESTION\"`, or name the column of a table \
                 that holds them `question`"
                    .into(),
            ));
        }
        let example = self.preparation.evaluate(view, origin, TextChoice::All, None).map_err(|error| match error {
            DataError::Record { source, .. } => refused(source.to_string()),
            other => refused(other.to_string()),
        })?;
        example.ok_or_else(|| {
            refused(match self.task.input {
                InputForm::Image => "it has no image".into(),
                InputForm::Text => "it has no text".into(),
                InputForm::Pair => "it is not an image with a text".into(),
                InputForm::Sentences => "it has no pair of sentences".into(),
                InputForm::Available | InputForm::Question => "it has neither an image nor a text".into(),
            })
        })
    }
}

fn with_question(record: Record, question: Option<&str>) -> Record {
    let question = question.map(|question| Question { question: question.into(), ..Question::default() });
    Record { questions: question.into_iter().collect(), ..record }
}
