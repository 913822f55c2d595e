//! A fine-tuned model, ready to be used: records or bytes in, predictions out.

use std::path::Path;

use burn::tensor::Device;
use ptu_data::collate::Origin;
use ptu_data::{DataError, Example, InputForm, Preparation, Question, Record, RecordImage, TextChoice};
use ptu_kernels::ComputePrecision;
use ptu_model::Bundle;
use rayon::prelude::*;

use super::description::TaskDescription;
use super::predictor::{Prediction, Predictor};
use crate::InferError;

/// Batch size of the model.
const BATCH: usize = 16;

/// A fine-tuned model with everything that it needs.
pub struct TaskModel {
    bundle: Bundle,
    task: TaskDescription,
    preparation: Preparation,
    /// Precision of the model's matrix products.
    pub precision: ComputePrecision,
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
        task.require_classes(folder)?;
        let preparation = task.preparation(&bundle);
        Ok(Self { bundle, task, preparation, precision: ComputePrecision::F32 })
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
        let form = self.task.input;
        let views = records.into_iter().flat_map(|record| {
            // A record without a question, or without a text, gives one view all the same, so that it is refused by its id.
            let count = form.count(&record).max(1);
            (0..count).map(move |number| form.view(record.clone(), number))
        });
        let views: Vec<Record> = views.collect();
        let examples: Vec<Result<Example, Refused>> = views.into_par_iter().map(|view| self.example(view)).collect();
        let inputs: Vec<_> = examples.iter().flatten().map(|example| example.input.clone()).collect();
        let mut predictor = Predictor::new(&self.bundle.model, &self.task)?;
        predictor.precision = self.precision;
        let mut predictions = predictor.predict(&inputs, BATCH)?.into_iter();
        let answer = |example: Result<Example, Refused>| {
            let Example { record, cut, .. } = example?;
            let question = record.questions.into_iter().next().filter(|_| form == InputForm::Question);
            let prediction =
                predictions.next().ok_or_else(|| Refused { id: record.id.clone(), cause: String::new() })?;
            Ok(Answer { id: record.id, question: question.map(|one| one.question), cut, prediction })
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
            return Err(refused("it has no question".into()));
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
