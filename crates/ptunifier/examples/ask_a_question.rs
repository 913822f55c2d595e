//! Fine-tunes a model on questions about images, and asks it one.
//!
//!   cargo run --release --example ask_a_question -- BUNDLE IMAGE "Which side?"
//!
//! Without arguments it trains a model for a few steps first and asks about a drawn picture.
#![allow(clippy::print_stdout, reason = "an example speaks")]

mod common;

use std::error::Error;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ptunifier::data::{ShardFolder, Source, Split};
use ptunifier::infer::task::{Prediction, TaskModel};
use ptunifier::tasks::train;
use ptunifier::train::{Recipe, RunOptions, Silent};

const RECIPE: &str = r#"
[task]
kind = "vqa"
[train]
steps = 4
batch = 16
"#;

/// Fine-tunes for a few steps on the questions of the phantom corpus; gives the bundle.
fn fine_tuned(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let pretrained = common::bundle(folder)?;
    let (data, model) = (folder.join("data").display().to_string(), pretrained.display().to_string());
    let sets = [format!("data=[{data:?}]"), format!("finetune.model={model:?}")];
    let recipe = Recipe::parse(RECIPE, Path::new("example.toml"), &sets)?;
    let options =
        RunOptions { out: folder.join("ask"), resume: false, device: Device::flex().autodiff(), wall_time: || 0.0 };
    Ok(train(&recipe, &options, &mut Silent)?.bundle)
}

fn main() -> Result<(), Box<dyn Error>> {
    let here = tempfile::tempdir()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (bundle, image, question) = match arguments.as_slice() {
        [bundle, image, question] => (PathBuf::from(bundle), std::fs::read(image)?, question.clone()),
        _ => {
            let bundle = fine_tuned(here.path())?;
            let record = ShardFolder::open(&here.path().join("data"), Split::Test)?.get(0)?;
            (bundle, record.image.ok_or("a phantom pair has an image")?.bytes, "Which side?".into())
        }
    };
    let model = TaskModel::open(&bundle, &Device::flex())?;
    // The answers are those of the training questions; each has a probability.
    let answer = model.image(image, "image", Some(&question))?;
    if let Prediction::Vqa { answers } = answer.prediction {
        let best: Vec<String> =
            answers.iter().take(3).map(|one| format!("{} {:.2}", one.name, one.probability)).collect();
        println!("{question} {}", best.join(", "));
    }
    // A question without an image: prompts take its place.
    let answer = model.text("Which side?")?;
    println!("without the image: {:?}", answer.question.unwrap_or_default());
    Ok(())
}
