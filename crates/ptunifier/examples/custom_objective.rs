//! Trains with an objective of one's own: the image alone tells the organ, prompts standing in for the text. The objective sees
//! what all objectives share, so nothing is computed twice.
//!
//!   cargo run --release --example custom_objective
#![allow(clippy::print_stdout, reason = "an example speaks")]

mod common;

use std::error::Error;

use burn::tensor::{Device, Int, Tensor, TensorData};
use ptunifier::data::{Preparation, ShardFolder, Source, Split, TrainBatch};
use ptunifier::input::{Preprocess, Tokenizer};
use ptunifier::model::{Inside, Model, Preset, TextStyle};
use ptunifier::random::Key;
use ptunifier::train::ObjectiveKind;
use ptunifier::train::batch::StepBatch;
use ptunifier::train::gradients::Gradients;
use ptunifier::train::optimizer::{Optimizer, OptimizerConfig};
use ptunifier::train::plan::StepPlan;
use ptunifier::train::shared::Shared;

const ORGANS: [&str; 3] = ["chest", "hand", "skull"];

/// Cross-entropy of the organ, read from fixed directions of the image's vector.
fn organ_loss(shared: &Shared<'_>, organs: &[i64]) -> Option<Tensor<1>> {
    let images = shared.vectors()?.images.clone(); // [b, d], unit vectors of images alone
    let [b, _] = images.dims();
    let logits = images.narrow(1, 0, ORGANS.len()).mul_scalar(10.0); // [b, 3]
    let device = logits.device();
    let right = Tensor::<2, Int>::from_data(TensorData::new(organs.to_vec(), [b, 1]), &device);
    let logarithms = burn::tensor::activation::log_softmax(logits, 1);
    Some(logarithms.gather(1, right).mean().neg())
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

    // The contrast is in the plan so that its vectors are computed; the loss is ours.
    let plan = StepPlan { objectives: [(ObjectiveKind::Itc, 1.0)].into(), ..StepPlan::default() };
    for step in 0..6u64 {
        let key = Key::new(0).at(step);
        let (mut examples, mut organs) = (vec![], vec![]);
        for (place, record) in all.iter().skip(step as usize * 16).take(16).enumerate() {
            let organ = record.labels.iter().find(|label| label.name == "organ").map(|label| label.value.clone());
            let origin = ptunifier::data::collate::Origin { source: 0, name: "phantom", record: place };
            if let Some(example) = preparation.train(record.clone(), origin, key, place as u64)? {
                examples.push(example);
                organs.push(ORGANS.iter().position(|name| Some(*name) == organ.as_deref()).unwrap_or(0) as i64);
            }
        }
        let batch = StepBatch::new(TrainBatch::collect(step, examples, Default::default()));
        let pass = plan.pass(key);
        let shared = Shared::new(&model, &batch, &plan, &pass, key);
        let loss = organ_loss(&shared, &organs).ok_or("a batch of pairs has vectors")?;
        println!("step {step}: loss {:.3}", loss.clone().into_scalar::<f32>());
        let gradients = Gradients::take(&model, &mut loss.backward(), &Inside::default());
        drop(shared);
        model = optimizer.step(model, &gradients, 1.0);
    }
    Ok(())
}
