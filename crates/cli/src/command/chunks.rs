//! The inputs of a command, read in chunks.

use std::path::PathBuf;

use ptu_data::Split;
use ptu_data::inputs::{Inputs, Loaded, Pending, SkippedInput};
use ptu_prepare::InputFiles;
use rayon::prelude::*;

use crate::output::say;

/// Number of inputs that are read together.
const CHUNK: usize = 64;

/// Whether inputs were skipped.
#[derive(Default)]
pub struct Skipped(bool);

impl Skipped {
    /// Reports an input that is skipped.
    pub fn add(&mut self, name: &str, cause: &str) {
        self.0 = true;
        say(&format!("skipped: {name}: {cause}"));
    }
}

/// Reads files, folders, patterns, tables and shards, and gives them to `each` in chunks. Inputs that cannot be read are reported. Returns
/// whether inputs were skipped, here or by `each`.
pub fn each_chunk(
    inputs: &[PathBuf],
    splits: &[Split],
    mut each: impl FnMut(Vec<Loaded>, &mut Skipped) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let inputs = InputFiles::find(inputs, splits)?;
    inputs.notes().iter().for_each(|line| say(line));
    let (mut stream, mut skipped) = (inputs.stream(0), Skipped::default());
    loop {
        let chunk: Vec<Pending> = stream.by_ref().take(CHUNK).collect::<Result<_, _>>()?;
        if chunk.is_empty() {
            return Ok(skipped.0);
        }
        let read: Vec<Result<Loaded, SkippedInput>> = chunk.into_par_iter().map(Pending::load).collect();
        let mut loaded = vec![];
        for one in read {
            match one {
                Ok(one) => loaded.push(one),
                Err(SkippedInput { name, cause }) => skipped.add(&name, &cause),
            }
        }
        each(loaded, &mut skipped)?;
    }
}
