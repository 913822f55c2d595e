//! Fine-tunes a model to recognise the finding of an image, and classifies an image with it.
//!
//!   cargo run --release --example fine_tune_a_classifier
#![allow(clippy::print_stdout, reason = "an example speaks")]

mod common;

use std::error::Error;
use std::path::Path;

use burn::tensor::Device;
use ptunifier::data::{ShardFolder, Source, Split};
use ptunifier::infer::task::{Prediction, TaskModel};
use ptunifier::tasks::train;
use ptunifier::train::{Recipe, RunOptions, Silent};

/// The values of the label `finding` are the classes. Prompts take the place of the text.
const RECIPE: &str = r#"
[task]
kind = "classification"
label = "finding"
input = "image"
[train]
steps = 4
batch = 16
[optimizer]
learning_rate = 1e-4
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let here = tempfile::tempdir()?;
    let pretrained = common::bundle(here.path())?;
    let data = here.path().join("data");
    let set = |key: &str, path: &Path| format!("{key}={:?}", path.display().to_string());
    let sets = [format!("data=[{:?}]", data.display().to_string()), set("finetune.model", &pretrained)];
    let recipe = Recipe::parse(RECIPE, Path::new("example.toml"), &sets)?;
    let options = RunOptions {
        out: here.path().join("finding"),
        resume: false,
        device: Device::flex().autodiff(),
        wall_time: || 0.0,
    };
    let trained = train(&recipe, &options, &mut Silent)?;

    // Bytes in, classes out.
    let model = TaskModel::open(&trained.bundle, &Device::flex())?;
    let record = ShardFolder::open(&data, Split::Test)?.get(0)?;
    let image = record.image.ok_or("a phantom pair has an image")?;
    let answer = model.image(image.bytes, &record.id, None)?;
    if let Prediction::Classification { classes } = answer.prediction {
        for class in classes.iter().take(3) {
            println!("{}: {:.2}", class.name, class.probability);
        }
    }
    Ok(())
}
