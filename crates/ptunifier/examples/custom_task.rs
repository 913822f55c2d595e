//! Trains on a task of one's own: how many findings an image shows, where the text is missing. The task is this file: its
//! objective, what it is judged by, and the loop that knows neither does the rest (log, states, resume, the best model).
//!
//!   cargo run --release --example custom_task
#![allow(clippy::print_stdout, reason = "an example speaks")]

mod common;

use std::error::Error;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use ptunifier::data::loader::Examples;
use ptunifier::data::{Preparation, Record, ShardFolder, Split, TextChoice, TrainBatch};
use ptunifier::input::{Batch, Input, Slot};
use ptunifier::kernels::ComputePrecision;
use ptunifier::kernels::Pass;
use ptunifier::model::forward::FusedPair;
use ptunifier::model::{HeadKind, Model, Read};
use ptunifier::random::Key;
use ptunifier::train::batch::image_alone;
use ptunifier::train::forward::StepForward;
use ptunifier::train::loss::Loss;
use ptunifier::train::objective::{Objective, Weighted};
use ptunifier::train::task::{Task, Validated, Validator};
use ptunifier::train::trainer::train;
use ptunifier::train::{Observer, Recipe, RunOptions, TrainError};

/// What a person counts: nothing in a normal picture, one finding unless the record says more.
fn findings(record: &Record) -> f32 {
    let value = |name: &str| record.labels.iter().find(|label| label.name == name).map(|label| label.value.as_str());
    match (value("finding"), value("count")) {
        (Some("normal"), _) => 0.0,
        (_, Some("two")) => 2.0,
        (_, Some("three")) => 3.0,
        _ => 1.0,
    }
}

/// The squared error of the number that a head `[2d, 1]` reads from an image.
struct Counting;

impl Objective for Counting {
    /// Each image with prompts in place of its text, whether it has one or not.
    fn pairs(&self, batch: &TrainBatch, _key: Key) -> Vec<FusedPair> {
        let of = |slot: &Slot| match *slot {
            Slot::Pair(row) => Some(FusedPair::image_alone(row, Read::Pooled)),
            Slot::Image(row) => Some(FusedPair::image_alone(image_alone(row), Read::Pooled)),
            Slot::Text(_) => None,
        };
        batch.batch.order.iter().filter_map(of).collect()
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let pairs = self.pairs(step.batch, step.key);
        let head = step.model.heads.retrieval.as_ref().filter(|_| !pairs.is_empty())?;
        let records = step.batch.records.iter().zip(&step.batch.batch.order);
        let right = records.filter(|(_, slot)| !matches!(slot, Slot::Text(_))).map(|(one, _)| findings(&one.record));
        let found = head.forward(step.pooled(&pairs), step.pass()); // [images, 1]
        let right = TensorData::new(right.collect::<Vec<_>>(), [pairs.len(), 1]);
        let error = found.clone() - Tensor::from_data(right, &found.device());
        Some(Loss::new(error.powf_scalar(2.0).mean(), vec![]))
    }
}

/// The task.
#[derive(Default)]
struct CountFindings {
    held_out: Option<HeldOut>,
}

impl Task for CountFindings {
    fn objectives(&self) -> Vec<Weighted<'_>> {
        vec![Weighted { name: "count".into(), weight: 1.0, objective: Box::new(Counting) }]
    }

    fn heads(&self) -> Vec<HeadKind> {
        vec![HeadKind::Retrieval]
    }

    /// Texts alone show no finding.
    fn learns_from(&self, slot: Slot) -> bool {
        !matches!(slot, Slot::Text(_))
    }

    fn prepare(&mut self, recipe: &Recipe, _model: &Model, preparation: &Preparation) -> Result<(), TrainError> {
        let (mut images, mut counts) = (vec![], vec![]);
        for entry in &recipe.data {
            let shards = ShardFolder::open(&entry.path, Split::Validate)?;
            for example in Examples::new(&shards, preparation, TextChoice::First, None) {
                let example = example?;
                if let Input::Pair { image, .. } | Input::Image(image) = example.input {
                    images.push(Input::Image(image));
                    counts.push(findings(&example.record));
                }
            }
        }
        self.held_out = Some(HeldOut { images, counts });
        Ok(())
    }

    fn validator(&self) -> Option<&dyn Validator> {
        self.held_out.as_ref().map(|held_out| held_out as &dyn Validator)
    }
}

/// Images that are not learned from.
struct HeldOut {
    images: Vec<Input>,
    counts: Vec<f32>,
}

impl Validator for HeldOut {
    /// How far the counts are from the right ones, beside always saying the mean.
    fn validate(&self, model: &Model, _key: Key) -> Result<Validated, TrainError> {
        let features = model.features(&Batch::collect(&self.images), ComputePrecision::F32)?;
        let error = match &model.heads.retrieval {
            Some(head) => {
                let found = head.forward(features, &Pass::off()).into_data().try_into_vec::<f32>();
                let found = found.expect("the model computes in f32");
                Some(mean(found.iter().zip(&self.counts).map(|(found, right)| (found - right).abs())))
            }
            None => None,
        };
        let middle = mean(self.counts.iter().copied());
        let trivial = mean(self.counts.iter().map(|right| (middle - right).abs()));
        // The larger the better: the best model is the one with the smallest error.
        let [error, trivial] = [error, Some(trivial)].map(|error| error.map(|error| -f64::from(error)));
        Ok(Validated::new("minus mean absolute error", error, trivial))
    }
}

fn mean(values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let count = values.len() as f32;
    values.sum::<f32>() / count
}

/// Prints what is found.
struct Printed;

impl Observer for Printed {
    fn validated(&mut self, step: u64, found: &Validated) {
        println!("after step {step}: {}", found.line);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let here = tempfile::tempdir()?;
    let data = common::corpus(here.path())?;
    let sets = [
        format!("data=[{:?}]", data.display().to_string()),
        "train.validate_every=2".into(),
        "optimizer.learning_rate=1e-4".into(),
    ];
    let recipe = Recipe::parse(common::RECIPE, Path::new("example.toml"), &sets)?;
    let device = Device::flex().autodiff();
    let options = RunOptions { out: here.path().join("run"), resume: false, device, wall_time: || 0.0 };
    let trained = train(&mut CountFindings::default(), &recipe, &options, &mut Printed)?;
    println!("{} steps, the model is in {}", trained.steps, trained.bundle.display());
    Ok(())
}
