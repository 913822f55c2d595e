//! `[train]`: steps, batches, precision, files.

use std::str::FromStr;

use ptu_kernels::{ComputePrecision, tiles};
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use serde::{Deserialize, Serialize};

use crate::schedule::Decay;

/// Steps, batches and what is written when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainConfig {
    /// Updates of the weights.
    pub steps: u64,
    /// Steps after which the run was finished and then extended; from each of them the learning rate starts again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extended_from: Vec<u64>,
    /// Records a step.
    pub batch: usize,
    /// Parts that a batch is computed in, one after another, to save memory; each part is a contrast of its own, unless
    /// `cached_contrast` says otherwise.
    pub accumulate: usize,
    /// The contrast is over the whole batch although it is computed in parts; each part is embedded once more for it.
    pub cached_contrast: bool,
    /// What a batch holds of several sources.
    pub mixing: Mixing,
    /// What is kept for the backward pass.
    pub checkpointing: Checkpointing,
    /// In what linear maps and attention multiply.
    pub precision: Precision,
    /// Share of an image's patches, drawn for each step, that goes in; 1 for all. Less time and memory, and a harder task.
    pub patch_keep: f64,
    /// Steps between two saved states.
    pub save_every: u64,
    /// Seconds between two saved states, whichever comes first: what a crash costs. Results do not depend on it.
    pub save_every_seconds: u64,
    /// Steps between two validations; 0 for none.
    pub validate_every: u64,
    /// Steps between two lines of the log.
    pub log_every: u64,
    /// Share of the steps in which the learning rate rises.
    pub warmup: f64,
    /// How it falls then.
    pub decay: Decay,
    /// Threads that prepare batches ahead of the model.
    pub workers: usize,
    /// The run stops, its state saved, after this many steps in a row whose loss or gradient was not finite.
    pub bad_steps: u64,
}

/// What is drawn from several sources in turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mixing {
    /// Records: a batch holds some of each source.
    #[default]
    Records,
    /// Batches: each is of one source, so the contrast has to tell records of a source apart, not sources.
    Batches,
}

/// In what linear maps and attention multiply. Weights, norms, softmax, losses and sums stay f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bf16 where the processor has tiles for it (Intel's AMX); elsewhere f32, and the log says so.
    Bf16,
    /// The same, without a word.
    Auto,
}

impl Precision {
    /// What it comes to on this machine.
    pub fn products(self) -> ComputePrecision {
        match self {
            Self::F32 => ComputePrecision::F32,
            Self::Bf16 | Self::Auto => tiles().map_or(ComputePrecision::F32, ComputePrecision::Bf16),
        }
    }

    /// The name in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Auto => "auto",
        }
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        from_word(word)
    }
}

/// What is kept of a step's forward pass for its backward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checkpointing {
    /// All that it needs.
    #[default]
    None,
    /// What goes into each block; its inside is computed again. Less memory, more time.
    Blocks,
}

impl Checkpointing {
    /// The name in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Blocks => "blocks",
        }
    }
}

impl FromStr for Checkpointing {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        from_word(word)
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 100_000,
            extended_from: vec![],
            batch: 256,
            accumulate: 1,
            cached_contrast: false,
            mixing: Mixing::default(),
            checkpointing: Checkpointing::None,
            precision: Precision::default(),
            patch_keep: 1.0,
            save_every: 1000,
            save_every_seconds: 300,
            validate_every: 0,
            log_every: 1,
            warmup: 0.1,
            decay: Decay::Linear,
            workers: 1,
            bad_steps: 10,
        }
    }
}

/// What a recipe would make of a word, for arguments of commands.
fn from_word<T: DeserializeOwned>(word: &str) -> Result<T, String> {
    T::deserialize(word.into_deserializer()).map_err(|error: value::Error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_recipes() {
        for precision in [Precision::F32, Precision::Bf16, Precision::Auto] {
            assert_eq!(precision.name().parse(), Ok(precision));
        }
        for checkpointing in [Checkpointing::None, Checkpointing::Blocks] {
            assert_eq!(checkpointing.name().parse(), Ok(checkpointing));
        }
        let message = "f16".parse::<Precision>().unwrap_err();
        assert!(message.contains("f16") && message.contains("bf16") && message.contains("auto"), "{message}");
    }
}
