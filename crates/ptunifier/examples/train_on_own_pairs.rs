//! Trains on a table of image paths and texts, and scores what was learned.
//!
//!   cargo run --release --example train_on_own_pairs -- pairs.csv runs/own
//!
//! Without arguments it writes such a table from a drawn corpus first.
#![allow(clippy::print_stdout, reason = "an example speaks")]

mod common;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ptunifier::data::{ShardFolder, Source, Split};
use ptunifier::evaluate::{EvaluateOptions, evaluate};
use ptunifier::prepare::table::{TableOptions, prepare};
use ptunifier::tasks::train;
use ptunifier::train::{Recipe, RunOptions, Silent};

/// A table as a user might have it: pictures in a folder, a CSV beside them.
fn table(here: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let records = ShardFolder::open(&common::corpus(here)?, Split::Train)?;
    fs::create_dir(here.join("images"))?;
    let mut csv = "image,text\n".to_string();
    for index in 0..records.len() {
        let record = records.get(index)?;
        let Some(image) = record.image else { continue };
        fs::write(here.join(format!("images/{index}.png")), image.bytes)?;
        csv += &format!("images/{index}.png,\"{}\"\n", record.texts.join(" ").replace('"', "'"));
    }
    let path = here.join("pairs.csv");
    fs::write(&path, csv)?;
    Ok(path)
}

fn main() -> Result<(), Box<dyn Error>> {
    let here = tempfile::tempdir()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (table, out) = match arguments.as_slice() {
        [table, out] => (PathBuf::from(table), PathBuf::from(out)),
        _ => (table(here.path())?, here.path().join("own")),
    };
    let data = here.path().join("shards");
    prepare(&table, &data, &TableOptions::default(), &|_| {})?;

    // A recipe describes a run completely; keys can be set one by one.
    let set = format!("data=[{:?}]", data.display().to_string());
    let recipe = Recipe::parse(common::RECIPE, Path::new("own.toml"), &[set])?;
    let device = Device::flex().autodiff();
    let options = RunOptions { out: out.clone(), resume: false, device, wall_time: || 0.0 };
    let trained = train(&recipe, &options, &mut Silent)?;
    println!("{} steps, the model is in {}", trained.steps, trained.bundle.display());

    let options = EvaluateOptions::of(&out, vec![], Split::Test, Device::flex())?;
    for evaluated in evaluate(&options, &mut |_, _, _| {})? {
        for (name, score) in evaluated.scores.rows() {
            println!("{}: {name} {:?}, chance {:?}", evaluated.name, score.value, score.chance);
        }
    }
    Ok(())
}
