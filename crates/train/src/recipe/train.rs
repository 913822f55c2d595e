//! `[train]`: steps, batches, precision and saved files.

use std::str::FromStr;

use ptu_kernels::{ComputePrecision, tiles};
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use serde::{Deserialize, Serialize};

use crate::schedule::Decay;

/// The default of `train.cache_limit`: 8 GiB.
const CACHE_LIMIT: u64 = 8 << 30;

/// Settings of steps and batches, and when files are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainConfig {
    /// Number of updates of the weights.
    pub steps: u64,
    /// Number of times that the training records are used. It replaces `steps` once the number of records is known;
    /// `validate_every` is then a number of epochs too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// The numbers of steps after which the run was finished and then extended. The learning rate starts again at each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extended_from: Vec<u64>,
    /// Number of records per step.
    pub batch: usize,
    /// Number of micro-batches into which a batch is divided to save memory (gradient accumulation). The contrast compares only
    /// the records of the same micro-batch, unless `cached_contrast` is set.
    pub accumulate: usize,
    /// Whether the contrast compares all records of the batch although it is computed in micro-batches. Each micro-batch is then
    /// encoded once more.
    pub cached_contrast: bool,
    /// How records of several sources are combined in batches.
    pub mixing: Mixing,
    /// What is stored for the backward pass.
    pub checkpointing: Checkpointing,
    /// The number format in which linear layers and attention multiply.
    pub precision: Precision,
    /// Share of an image's patches that the encoder receives, drawn again in each step; 1 for all. A smaller share needs less
    /// time and memory and makes the task harder.
    pub patch_keep: f64,
    /// Weights that are not trained, by the beginning of their published names, for example `vision_encoder`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// Weights that are trained although `freeze` names them, by the beginning of their published names: the last blocks of a frozen
    /// encoder, for example `vision_encoder.visual.transformer.resblocks.11.`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze_except: Vec<String>,
    /// Number of steps, from the first one, in which the weights of `freeze` are not trained; afterwards all are. Without this key they
    /// are never trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze_steps: Option<u64>,
    /// Whether the outputs of a frozen image encoder, or of its frozen first blocks, are computed once and stored in the run folder, where that gives the same
    /// outputs in each step (no random crops, no patch dropout).
    pub cache: bool,
    /// Largest size of this file in bytes. If it would be larger, the outputs are computed in each step.
    pub cache_limit: u64,
    /// Number of steps between two saved states.
    pub save_every: u64,
    /// Save the state also every N seconds, so that a crash loses at most this time. Results do not depend on it.
    pub save_every_seconds: u64,
    /// Number of steps between two validations, in a recipe with `epochs` the number of epochs; 0 for no validation.
    pub validate_every: u64,
    /// Whether `validate_every` is a number of epochs, also where an override of `steps` took the place of `epochs`. It is no
    /// key of a recipe: `validate_every` has the number of steps once the number of records is known.
    #[serde(skip)]
    pub validates_by_epoch: bool,
    /// After this number of validations without a better score the run ends (early stopping); 0 for never.
    #[serde(skip_serializing_if = "is_zero")]
    pub patience: u64,
    /// Number of steps between two lines of the log.
    pub log_every: u64,
    /// Share of the steps in which the learning rate rises.
    pub warmup: f64,
    /// How the learning rate falls afterwards.
    pub decay: Decay,
    /// Number of threads that prepare batches while the model computes.
    pub workers: usize,
    /// After this number of steps in a row whose loss or gradient was not finite, the state is saved and the run stops.
    pub bad_steps: u64,
}

impl TrainConfig {
    /// Whether `freeze` freezes the weight with this published name in a step, counted from 0.
    pub fn freezes(&self, published: &str, step: u64) -> bool {
        let is_named = |starts: &[String]| starts.iter().any(|start| published.starts_with(start));
        self.freeze_steps.is_none_or(|steps| step < steps) && is_named(&self.freeze) && !is_named(&self.freeze_except)
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// How records of several sources are combined in batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mixing {
    /// By records: a batch contains records of all sources.
    #[default]
    Records,
    /// By batches: all records of a batch come from one source, so that the contrast has to distinguish records, not sources.
    Batches,
}

/// The number format in which linear layers and attention multiply. Weights, norms, softmax, losses and sums are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bf16 if the processor has a matrix unit for it (Intel's AMX). Otherwise f32, and a note says so.
    Bf16,
    /// The same as `bf16`, but without a note when f32 is used.
    Auto,
}

impl Precision {
    /// The number format that is used on this machine.
    pub fn compute_precision(self) -> ComputePrecision {
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

/// What a step stores in the forward pass for the backward pass (gradient checkpointing).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checkpointing {
    /// All activations that the backward pass needs.
    #[default]
    None,
    /// Only the inputs of each block. The other activations are computed again in the backward pass: less memory, more time.
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
            epochs: None,
            extended_from: vec![],
            batch: 256,
            accumulate: 1,
            cached_contrast: false,
            mixing: Mixing::default(),
            checkpointing: Checkpointing::None,
            precision: Precision::default(),
            patch_keep: 1.0,
            freeze: vec![],
            freeze_except: vec![],
            freeze_steps: None,
            cache: true,
            cache_limit: CACHE_LIMIT,
            save_every: 1000,
            save_every_seconds: 300,
            validate_every: 0,
            validates_by_epoch: false,
            patience: 0,
            log_every: 1,
            warmup: 0.1,
            decay: Decay::Linear,
            workers: 1,
            bad_steps: 10,
        }
    }
}

/// Parses an argument of a command in the same way as a value of a recipe.
fn from_word<T: DeserializeOwned>(word: &str) -> Result<T, String> {
    T::deserialize(word.into_deserializer()).map_err(|error: value::Error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_parsed_like_values_of_recipes() {
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
