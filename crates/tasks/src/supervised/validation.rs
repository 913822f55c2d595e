//! The validation of a fine-tuned model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ptu_data::{DataError, Preparation, Record, Records, Source};
use ptu_evaluate::task::{TaskMetric, TaskScorer};
use ptu_infer::task::{Predicted, Predictor, ShownImage, TaskDescription};
use ptu_infer::{EncodedImages, InferError};
use ptu_kernels::ComputePrecision;
use ptu_model::Model;
use ptu_model::generate::Strategy;
use ptu_random::Key;
use ptu_train::TrainError;
use ptu_train::task::{Validated, Validator};

/// Largest number of records by which the time of a validation is forecast.
const FORECAST_RECORDS: usize = 16;

/// The records of the validation splits.
pub struct HeldOut {
    /// The records as the task reads them.
    pub sources: Vec<Arc<dyn Source>>,
    /// How records become inputs.
    pub preparation: Preparation,
    /// The task.
    pub task: TaskDescription,
    /// The outputs of the image encoder in the last validation. Those of a frozen one are the same in the next.
    pub encoded: EncodedImages,
}

impl HeldOut {
    /// The predictions of a model for all records.
    pub fn predict(&self, model: &Model) -> Result<Vec<Predicted>, TrainError> {
        self.predict_for(model, &self.sources)
    }

    fn predict_for(&self, model: &Model, sources: &[Arc<dyn Source>]) -> Result<Vec<Predicted>, TrainError> {
        let mut task = self.task.clone();
        if let Some(written) = task.output.written_mut() {
            written.generation.strategy = Strategy::Greedy;
        }
        let predictor = Predictor::new(model, &task)?.with_encoded(&self.encoded, ComputePrecision::F32);
        let mut all: Vec<Predicted> = vec![];
        for source in sources {
            let predicted = predictor.run(source.as_ref(), &self.preparation, ShownImage::Own, &mut |_| {});
            all.extend(predicted.map_err(train_error)?);
        }
        Ok(all)
    }
}

impl Validator for HeldOut {
    /// The metric that selects the best model: accuracy, mean AUROC, the sum of BLEU-1 to BLEU-4, or that of ROUGE-1, ROUGE-2 and
    /// ROUGE-L. Texts are generated greedily, which takes a fraction of the time of beam search.
    fn validate(&self, model: &Model, _key: Key) -> Result<Validated, TrainError> {
        let all = self.predict(model)?;
        let metric = TaskMetric::selecting(&self.task.output);
        let score = TaskScorer { output: &self.task.output, predicted: &all }.value(metric);
        Ok(Validated::new(&metric.to_string(), score.value, score.chance))
    }

    fn forecast(&self, model: &Model, _key: Key) -> Result<Duration, TrainError> {
        let all: usize = self.sources.iter().map(|source| source.len()).sum();
        let Some(source) = self.sources.iter().find(|source| !source.is_empty()) else { return Ok(Duration::ZERO) };
        let count = source.len().min(FORECAST_RECORDS);
        let records: Vec<Record> = (0..count).map(|position| source.get(position)).collect::<Result<_, DataError>>()?;
        let sample: Arc<dyn Source> = Arc::new(Records { name: source.name().into(), records });
        let start = Instant::now();
        self.predict_for(model, &[sample])?;
        Ok(start.elapsed().mul_f64(all as f64 / count as f64))
    }
}

/// The same error as an error of training.
pub fn train_error(error: InferError) -> TrainError {
    match error {
        InferError::Data(error) => error.into(),
        InferError::Model(error) => error.into(),
        other => TrainError::Task(Box::new(other)),
    }
}
