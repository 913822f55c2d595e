//! Embeds a folder of images into a file of vectors, then looks for those nearest to a sentence.
//!
//!   cargo run --release --example embed_folder -- BUNDLE FOLDER "a sentence"
//!
//! Without arguments it draws a corpus and trains a model for a few steps first.
#![allow(clippy::print_stdout, reason = "an example speaks")]

mod common;

use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;

use burn::tensor::Device;
use ptunifier::infer::embed::{EmbedJob, EmbedOptions};
use ptunifier::infer::search::{Query, SearchOptions, VectorIndex, query_vector};
use ptunifier::model::Bundle;
use ptunifier::prepare::InputFiles;

fn main() -> Result<(), Box<dyn Error>> {
    let here = tempfile::tempdir()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (bundle, folder, sentence) = match arguments.as_slice() {
        [bundle, folder, sentence] => (PathBuf::from(bundle), PathBuf::from(folder), sentence.clone()),
        _ => (common::bundle(here.path())?, here.path().join("data"), "a hand with a fracture".into()),
    };
    let model = Bundle::load(&bundle, &Device::flex())?;

    // Any number of files, folders, tables or shards; memory stays constant, and interrupted work can be resumed.
    let vectors = here.path().join("vectors.parquet");
    let job = EmbedJob::new(&model, Bundle::fingerprint(&bundle)?, EmbedOptions::default());
    let embedded = job.run(&InputFiles::find(&[folder], &[])?, &vectors, &mut |_| ControlFlow::Continue(()))?;
    println!("{} vectors, {} inputs skipped", embedded.rows, embedded.skipped.len());

    let index = VectorIndex::open(&vectors)?;
    let query = Query::new(model.processor().text(&sentence)?);
    let query = query_vector(&model, index.header().space, &query)?;
    for hit in index.nearest(&query, &SearchOptions { modality: None, filter: None, most: 5 }) {
        println!("{:.3}  {}  {}", hit.similarity, hit.row.id, hit.row.modality.name());
    }
    Ok(())
}
