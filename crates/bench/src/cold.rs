//! Times a cold start: a new process loads a bundle from disk and embeds one image.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use burn::tensor::Device;
use ptu_data::{Source, Split};
use ptu_infer::{Embedder, Vectors};
use ptu_input::{ImageFile, Tokenizer};
use ptu_model::{Bundle, Model, Preset};
use ptu_random::Key;
use serde::Serialize;

use crate::BenchError;
use crate::data::{DataOptions, phantom, temporary};
use crate::measure::Timing;
use crate::python::last_line;
use crate::step::{bundle, config, vocabulary};

/// The options of the benchmark.
#[derive(Clone, Debug)]
pub struct ColdOptions {
    /// The model size.
    pub preset: Preset,
    /// Number of processes, which run one after another.
    pub rounds: usize,
    /// The random seed of weights and image.
    pub seed: u64,
}

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct ColdResult {
    /// Seconds from the start to the end of a process.
    pub timing: Timing,
    /// Size of the weights file, in bytes.
    pub weights_bytes: u64,
}

/// Writes a bundle and an image. Then `ours` starts processes; each loads the bundle and embeds the image. The files were
/// just written, so the system has them in memory, and the time is that of the program, not of the disk.
///
/// # Errors
/// If the disk is full or a process fails.
pub fn cold(options: &ColdOptions, ours: &dyn Fn(&[&Path]) -> Command) -> Result<ColdResult, BenchError> {
    let folder = temporary()?;
    let (bundle, image) = write(options, folder.path())?;
    let mut failed = None;
    let timing = Timing::of(1, options.rounds, || {
        if let Err(error) = last_line(&mut ours(&[&bundle, &image]), "a new process") {
            failed.get_or_insert(error);
        }
    });
    let weights_bytes = std::fs::metadata(bundle.join(ptu_model::WEIGHTS)).map_or(0, |file| file.len());
    failed.map_or(Ok(ColdResult { timing, weights_bytes }), Err)
}

/// The work of each process: embeds an image.
///
/// # Errors
/// If the bundle or the image cannot be used.
pub fn embed_one(bundle: &Path, image: &Path, device: &Device) -> Result<Vectors, BenchError> {
    let bundle = Bundle::load(bundle, device)?;
    let bytes = std::fs::read(image).map_err(BenchError::file("read", image))?;
    let image = bundle.processor().image(ImageFile { bytes: &bytes, name: &image.display().to_string() })?;
    Ok(Embedder::new(&bundle.model).images(&[&image], 1, &mut |_| {})?)
}

fn write(options: &ColdOptions, folder: &Path) -> Result<(PathBuf, PathBuf), BenchError> {
    let config = config(options.preset);
    let shards = phantom(&DataOptions { pairs: 1, side: 512, seed: options.seed, threads: None }, folder, &|_| {})?;
    let record = ptu_data::ShardFolder::open(&shards, Split::Train)?.get(0)?;
    let (image, saved) = (folder.join("image.png"), folder.join("bundle"));
    let bytes = record.image.map(|image| image.bytes).unwrap_or_default();
    std::fs::write(&image, bytes).map_err(BenchError::file("write", &image))?;
    let model = Model::new(&config, Key::new(options.seed), &Device::flex())?;
    let new_bundle = bundle(model, tokenizer(vocabulary(options.preset), folder)?);
    new_bundle.save(&saved, "A bundle for a benchmark.\n")?;
    Ok((saved, image))
}

/// A byte-level tokenizer with as many tokens as a real one. Its tokens (of one, two, three letters and so on) are never used.
fn tokenizer(size: usize, folder: &Path) -> Result<Tokenizer, BenchError> {
    let letters: Vec<String> = ('a'..='z').map(String::from).collect();
    let mut tokens: Vec<String> = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"].map(String::from).to_vec();
    let (first, mut merges) = (tokens.len(), "#version: 0.2\n".to_string());
    tokens.extend(letters.iter().cloned());
    let mut next = first;
    while tokens.len() < size {
        for letter in letters.iter().take(size - tokens.len()) {
            let _ = writeln!(merges, "{} {letter}", tokens[next]); // writing to a String cannot fail
            tokens.push(format!("{}{letter}", tokens[next]));
        }
        next += 1;
    }
    let ids: BTreeMap<&String, usize> = tokens.iter().zip(0..).collect();
    let (vocabulary_file, merges_file) = (folder.join("vocab.json"), folder.join("merges.txt"));
    let json = serde_json::to_string(&ids).expect("strings and numbers can be written as JSON");
    std::fs::write(&vocabulary_file, json).map_err(BenchError::file("write", &vocabulary_file))?;
    std::fs::write(&merges_file, merges).map_err(BenchError::file("write", &merges_file))?;
    Ok(Tokenizer::from_roberta(vocabulary_file, merges_file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_bundle_can_embed_the_image() {
        let folder = temporary().unwrap();
        let options = ColdOptions { preset: Preset::Tiny, rounds: 1, seed: 3 };
        let (bundle, image) = write(&options, folder.path()).unwrap();
        let vectors = embed_one(&bundle, &image, &Device::flex()).unwrap();
        assert_eq!(vectors.len(), 1);
        let length: f32 = vectors.values.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
        let tokenizer = Bundle::load(&bundle, &Device::flex()).unwrap().tokenizer;
        assert_eq!(tokenizer.vocabulary_size(), vocabulary(Preset::Tiny));
    }
}
