//! Uses a trained model: vectors of an image alone and of a text alone, and how well the two match when it sees both.
//!
//!   cargo run --release --example use_a_bundle -- BUNDLE IMAGE "a text"
//!
//! Without arguments it trains a model for a few steps first and takes a drawn picture.
#![allow(clippy::print_stdout, reason = "an example speaks")]

mod common;

use std::error::Error;
use std::path::PathBuf;

use burn::tensor::Device;
use ptunifier::data::{ShardFolder, Source, Split};
use ptunifier::infer::{Embedder, Matcher};
use ptunifier::input::ImageFile;
use ptunifier::model::Bundle;

fn main() -> Result<(), Box<dyn Error>> {
    let here = tempfile::tempdir()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (bundle, image, text) = match arguments.as_slice() {
        [bundle, image, text] => (PathBuf::from(bundle), std::fs::read(image)?, text.clone()),
        _ => {
            let bundle = common::bundle(here.path())?;
            let record = ShardFolder::open(&here.path().join("data"), Split::Test)?.get(0)?;
            let image = record.image.ok_or("a phantom pair has an image")?;
            (bundle, image.bytes, record.texts.join(" "))
        }
    };
    // Sizes, weights, tokenizer and transforms come together: the same bytes in give the same vector, wherever it is loaded.
    let bundle = Bundle::load(&bundle, &Device::flex())?;
    let processor = bundle.processor();
    let image = processor.image(ImageFile { bytes: &image, name: "image" })?;
    let text = processor.text(&text)?;

    // Each modality alone: soft prompts stand in for the other.
    let embedder = Embedder::new(&bundle.model);
    let images = embedder.images(&[&image], 1, &mut |_| {})?;
    let texts = embedder.texts(&[&text], 1, &mut |_| {})?;
    println!("vectors of {} elements, cosine {:.3}", images.width, images.similarity(&texts)[0]);

    // Both together.
    let matcher = Matcher::new(embedder, &[&image], &[&text], 1)?;
    println!("log-odds that they belong together: {:.3}", matcher.scores(&[(0, 0)], 1)[0]);
    Ok(())
}
