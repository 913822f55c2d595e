//! What a step needs of memory, so that a run that cannot fit is told before it starts.

use ptu_data::{MaskedTexts, Partners, TrainBatch};
use ptu_input::{Batch, Texts};
use ptu_model::forward::{ForwardPlan, ImageSequence, TextSequence};
use ptu_model::{Model, ModelConfig, ModelError, Read};
use ptu_random::Key;

use crate::objective::Weighted;
use crate::recipe::Checkpointing;
use crate::step::StepConfig;
use crate::{Recipe, TrainError};

/// Bytes of a weight with its gradient and both moments.
const WEIGHT: usize = 16;
/// Bytes of an activation.
const VALUE: f64 = 4.0;
/// Bytes of a process that does nothing yet.
const PROCESS: f64 = 60.0 * 1024.0 * 1024.0;
/// Share of the words of a text that are masked.
const MASKED: f64 = 0.15;

// Vectors of its width that a token keeps for the backward pass. Attention keeps no probabilities: they are computed again. The
// numbers are those that fit what was measured (crates/tasks/tests/learning/memory.rs) within a few per cent.
/// In a layer of an encoder.
const ENCODER: f64 = 20.0;
/// In a layer of the fusion.
const CROSS: f64 = 28.0;
/// In the last layer of the fusion, of whose tokens only some are read.
const LAST: f64 = 8.0;
/// Of each block, where its inside is computed again.
const BLOCK: f64 = 2.2;
/// Of the block whose inside is computed again at the moment.
const INSIDE: f64 = 21.0;

/// Bytes that a step of `b` pairs takes at its peak, as its plan of the forward pass says, within 15 % of what was measured
/// (`crates/tasks/tests/learning/memory.rs`); texts are taken to have `length` tokens.
///
/// # Errors
/// Sizes that do not fit each other.
pub fn step_bytes(
    config: &ModelConfig,
    objectives: &[Weighted<'_>],
    step: &StepConfig,
    b: usize,
    length: usize,
) -> Result<u64, ModelError> {
    let batch = batch(b, length);
    let declared = objectives.iter().flat_map(|weighted| weighted.objective.pairs(&batch, Key::new(0)));
    let values = Step { config, step, length }.values(&ForwardPlan::of(declared));
    Ok(((Model::weights(config)? * WEIGHT) as f64 + values * VALUE + PROCESS) as u64)
}

/// A batch of pairs as it is expected: of each text [`MASKED`] of its words are masked, half of the texts have another image.
fn batch(b: usize, length: usize) -> TrainBatch {
    let texts = Texts { ids: vec![0; b * length], lengths: vec![length; b] };
    let every = (1.0 / MASKED).round() as usize;
    let labels = (0..b * length).map(|place| (place % length % every == 1).then_some(0)).collect();
    TrainBatch {
        masked_pairs: MaskedTexts { texts: texts.clone(), labels },
        batch: Batch { pair_texts: texts, ..Batch::default() },
        partners: Some(Partners::half_next(b)),
        ..TrainBatch::default()
    }
}

/// A step whose values are counted.
struct Step<'a> {
    config: &'a ModelConfig,
    step: &'a StepConfig,
    /// Tokens of a text.
    length: usize,
}

impl Step<'_> {
    fn image_tokens(&self, sequence: ImageSequence) -> usize {
        let patches = (self.config.image.grid() * self.config.image.grid()) as f64;
        match sequence {
            ImageSequence::Image(_) => 1 + (patches * self.step.patch_keep.unwrap_or(1.0)).round() as usize,
            ImageSequence::StandIn(_) => 1 + self.config.image_prompts.count(),
        }
    }

    fn text_tokens(&self, sequence: TextSequence) -> usize {
        match sequence {
            TextSequence::Text(_) => self.length,
            TextSequence::StandIn(_) => 2 + self.config.text_prompts.count(),
        }
    }

    /// Values that a step holds at its peak.
    fn values(&self, forward: &ForwardPlan) -> f64 {
        let (image, text, fusion) = (&self.config.image, &self.config.text, &self.config.fusion);
        let images: usize = forward.image_sequences().into_iter().map(|sequence| self.image_tokens(sequence)).sum();
        let texts: usize = forward.text_sequences().into_iter().map(|sequence| self.text_tokens(sequence)).sum();
        let (mut fused, mut masked) = (0, 0);
        for pair in forward.pairs() {
            fused += self.image_tokens(pair.image) + self.text_tokens(pair.text);
            if let Read::Text(places) = &pair.read {
                masked += places.len();
            }
        }
        let [images, texts, fused] =
            [images * image.width, texts * text.width, fused * fusion.width].map(|values| values as f64);
        let encoders = images * image.used_layers() as f64 + texts * text.layers as f64;
        let crossing = fused * (fusion.layers - 1) as f64;
        // Logits of masked words, and their gradient.
        let logits = (masked * text.vocabulary * 2) as f64;
        logits
            + match self.step.checkpointing {
                Checkpointing::None => ENCODER * encoders + CROSS * crossing + LAST * fused,
                // A block of the fusion keeps what went in of both streams.
                Checkpointing::Blocks => BLOCK * (encoders + 2.0 * crossing) + INSIDE * fused.max(images).max(texts),
            }
    }
}

/// Memory that this process may still take, in bytes, where the system tells.
pub fn free() -> Option<u64> {
    let system = sysinfo::System::new_with_specifics(
        sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram()),
    );
    let free = system.available_memory();
    // A container may have less than its machine. What of its limit is free is not asked: files kept in memory count as used
    // there, though they would make room.
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    Some(free.min(limit)).filter(|free| *free > 0)
}

/// Refuses a recipe whose step does not fit into the memory that is free.
///
/// # Errors
/// What it needs, what there is, and which key lowers it.
pub fn check(objectives: &[Weighted<'_>], recipe: &Recipe, config: &ModelConfig) -> Result<(), TrainError> {
    match free() {
        Some(free) => fits(objectives, recipe, config, free),
        None => Ok(()),
    }
}

/// [`check`] on a machine with `free` bytes.
///
/// # Errors
/// As there.
pub fn fits(objectives: &[Weighted<'_>], recipe: &Recipe, config: &ModelConfig, free: u64) -> Result<(), TrainError> {
    let (batch, accumulate) = (recipe.train.batch, recipe.train.accumulate);
    let needed = |accumulate: usize, checkpointing: Checkpointing| {
        let step = StepConfig { checkpointing, ..StepConfig::of(recipe) };
        step_bytes(config, objectives, &step, batch / accumulate, recipe.text.max_tokens)
    };
    let needs = needed(accumulate, recipe.train.checkpointing)?;
    if needs <= free {
        return Ok(());
    }
    let with_blocks = |accumulate| needed(accumulate, Checkpointing::Blocks).is_ok_and(|bytes| bytes <= free);
    let cure = match (accumulate..=batch).filter(|parts| batch.is_multiple_of(*parts)).find(|parts| with_blocks(*parts))
    {
        Some(parts) if parts == accumulate => "set train.checkpointing = \"blocks\"".to_string(),
        Some(parts) => format!("set train.accumulate = {parts} and train.checkpointing = \"blocks\""),
        None => "choose a smaller model (model.preset), or a machine with more memory".to_string(),
    };
    let [needed, free] = [needs, free].map(gigabytes);
    Err(TrainError::Memory { batch: batch / accumulate, needed, free, cure })
}

/// `8.9 GB`.
pub fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}
