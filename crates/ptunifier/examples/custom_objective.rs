//! Trains with an objective of one's own: the image alone tells the organ, prompts standing in for the text. It declares which
//! images and texts it needs in the fusion; what several objectives of a step declare is computed once.
//!
//!   cargo run --release --example custom_objective
#![allow(clippy::print_stdout, reason = "an example speaks")]

mod common;

use std::error::Error;

use burn::tensor::{Device, Int, Tensor, TensorData};
use ptunifier::data::collate::Origin;
use ptunifier::data::{Preparation, Record, ShardFolder, Source, Split, TrainBatch};
use ptunifier::input::{Preprocess, Slot, Tokenizer};
use ptunifier::kernels::BlockGradients;
use ptunifier::model::forward::FusedPair;
use ptunifier::model::{Model, Preset, Read, TextStyle};
use ptunifier::random::Key;
use ptunifier::train::forward::StepForward;
use ptunifier::train::gradients::Gradients;
use ptunifier::train::loss::Loss;
use ptunifier::train::objective::Objective;
use ptunifier::train::optimizer::{Optimizer, OptimizerConfig};
use ptunifier::train::step::StepConfig;

const ORGANS: [&str; 3] = ["chest", "hand", "skull"];

/// Which organ the image of each pair shows.
struct Organ;

/// Positions in [`ORGANS`], one a pair; a record that does not say it counts as the first.
fn organs(batch: &TrainBatch) -> Vec<i64> {
    let of = |record: &Record| {
        let organ = record.labels.iter().find(|label| label.name == "organ");
        ORGANS.iter().position(|name| organ.is_some_and(|organ| organ.value == *name)).unwrap_or(0) as i64
    };
    let slots = batch.records.iter().zip(&batch.batch.order);
    slots.filter(|(_, slot)| matches!(slot, Slot::Pair(_))).map(|(one, _)| of(&one.record)).collect()
}

impl Objective for Organ {
    /// Every image, its text missing.
    fn pairs(&self, batch: &TrainBatch, _key: Key) -> Vec<FusedPair> {
        (0..batch.pairs()).map(|row| FusedPair::image_alone(row, Read::Pooled)).collect()
    }

    /// Cross-entropy of the organ, read from fixed directions of the pooled features.
    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let features = step.pooled(&self.pairs(step.batch, step.key)); // [b, 2d]
        let b = features.dims()[0];
        let logits = features.narrow(1, 0, ORGANS.len()).mul_scalar(10.0); // [b, 3]
        let right = Tensor::<2, Int>::from_data(TensorData::new(organs(step.batch), [b, 1]), &logits.device());
        let value = burn::tensor::activation::log_softmax(logits, 1).gather(1, right).mean().neg();
        Some(Loss::new(value, vec![]))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let here = tempfile::tempdir()?;
    let records = ShardFolder::open(&common::corpus(here.path())?, Split::Train)?;
    let all: Vec<_> = (0..records.len()).map(|index| records.get(index)).collect::<Result<_, _>>()?;
    let texts = all.iter().flat_map(|record| record.texts.iter().map(String::as_str));
    let tokenizer = Tokenizer::train(texts, 400)?;
    let special = tokenizer.special();
    let mut config =
        Preset::Tiny.config(TextStyle::Roberta, tokenizer.vocabulary_size(), [special.start, special.end, special.pad]);
    config.image.size = 32;
    let mut model = Model::new(&config, Key::new(0), &Device::flex().autodiff())?;
    let preparation = Preparation::new(std::sync::Arc::new(tokenizer), Preprocess::clip(32), 32);
    let mut optimizer = Optimizer::new(OptimizerConfig { learning_rate: 1e-3, ..OptimizerConfig::default() });

    let how = StepConfig::default();
    for step in 0..6u64 {
        let key = Key::new(0).at(step);
        let mut examples = vec![];
        for (place, record) in all.iter().skip(step as usize * 16).take(16).enumerate() {
            let origin = Origin { source: 0, name: "phantom", position: place };
            examples.extend(preparation.train(record.clone(), origin, key, place as u64)?);
        }
        let batch = TrainBatch::collect(step, examples, Default::default());
        let pass = how.pass(key);
        let forward = StepForward::new(&model, &batch, [Organ.pairs(&batch, key)], &pass, key);
        let loss = Organ.loss(&forward).ok_or("a batch of pairs has a loss")?.value;
        println!("step {step}: loss {:.3}", loss.clone().into_scalar::<f32>());
        let gradients = Gradients::take(&model, &mut loss.backward(), &BlockGradients::default());
        drop(forward);
        model = optimizer.step(model, &gradients, 1.0);
    }
    Ok(())
}
