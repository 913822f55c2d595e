//! Estimates the memory that a step needs, so that a run that does not fit into memory is refused before it starts.

use ptu_data::{MaskedTexts, Partners, TrainBatch};
use ptu_input::{Batch, Slot, Texts};
use ptu_model::forward::{ForwardPlan, ImageSequence, TextSequence};
use ptu_model::{ImageEncoder, Model, ModelConfig, ModelError, Read};
use ptu_random::Key;

use crate::batch::is_masked;
use crate::objective::Weighted;
use crate::recipe::Checkpointing;
use crate::step::StepConfig;
use crate::{Recipe, TrainError};

/// Bytes of a weight together with its gradient and its two moments.
const BYTES_PER_WEIGHT: usize = 16;
/// Bytes of the gradient and the two moments of a weight, which a frozen weight does not have.
const BYTES_OF_TRAINING: usize = 12;
/// Bytes of a value of an activation.
const BYTES_PER_VALUE: f64 = 4.0;
/// Bytes of the process before any model is loaded.
const PROCESS_BYTES: f64 = 60.0 * 1024.0 * 1024.0;
/// Share of the words of a text that are masked.
const MASKED_SHARE: f64 = 0.15;

// The next constants say how many vectors, each as wide as the layer, are stored per token for the backward pass. The
// probabilities of the attention are not stored but computed again. The numbers were fitted to measurements
// (crates/tasks/tests/learning/memory.rs) and agree with them within a few per cent.
/// Stored vectors per token of an encoder layer.
const ENCODER_LAYER: f64 = 20.0;
/// Stored vectors per token of a fusion layer (except the last one).
const FUSION_LAYER: f64 = 28.0;
/// Stored vectors per token of the last fusion layer, where only some tokens are read.
const LAST_FUSION_LAYER: f64 = 8.0;
/// Stored vectors per token of the last layer of a fusion with one stream, where only some tokens are read.
const LAST_SINGLE_STREAM_LAYER: f64 = 4.0;
/// With checkpointing: stored vectors per token of each block.
const CHECKPOINTED_BLOCK: f64 = 2.2;
/// With checkpointing: stored vectors per token of the one block that is being computed again in the backward pass.
const RECOMPUTED_BLOCK: f64 = 21.0;

/// Estimates the peak memory of a step of `b` pairs in bytes, from the plan of its forward pass. All texts are assumed to have
/// `length` tokens. The estimate is within 15 % of the measurements (`crates/tasks/tests/learning/memory.rs`).
///
/// # Errors
/// When the sizes of the model do not fit each other.
pub fn step_bytes(
    config: &ModelConfig,
    objectives: &[Weighted<'_>],
    step: &StepConfig,
    b: usize,
    length: usize,
) -> Result<u64, ModelError> {
    let batch = batch(b, length);
    let declared = objectives.iter().flat_map(|weighted| weighted.objective.pairs(&batch, Key::new(0)));
    let values = StepShape { config, step, length }.values(&ForwardPlan::of(declared));
    let weights = Model::weights(config)? * BYTES_PER_WEIGHT;
    let frozen = ImageEncoder::frozen_weights(&config.image, step.frozen_image_encoder) * BYTES_OF_TRAINING;
    Ok(((weights - frozen) as f64 + values * BYTES_PER_VALUE + PROCESS_BYTES) as u64)
}

/// A typical batch of `b` pairs: [`MASKED_SHARE`] of the words of each text are masked, and for image-text matching half of the
/// texts have another image.
fn batch(b: usize, length: usize) -> TrainBatch {
    let texts = Texts { ids: vec![0; b * length], lengths: vec![length; b] };
    let every = (1.0 / MASKED_SHARE).round() as usize;
    let labels = (0..b * length).map(|position| (position % length % every == 1).then_some(0)).collect();
    TrainBatch {
        masked_pairs: MaskedTexts { texts: texts.clone(), labels },
        batch: Batch { pair_texts: texts, order: (0..b).map(Slot::Pair).collect(), ..Batch::default() },
        partners: Some(Partners::half_next(b)),
        ..TrainBatch::default()
    }
}

/// The sizes that determine how many values a step stores.
struct StepShape<'a> {
    config: &'a ModelConfig,
    step: &'a StepConfig,
    /// Tokens of a text.
    length: usize,
}

impl StepShape<'_> {
    /// Number of tokens in the fusion of an image, or of the prompts in place of it.
    fn fused_image_tokens(&self, sequence: ImageSequence) -> usize {
        match sequence {
            ImageSequence::Image(_) if self.config.image.merge > 1 => self.config.image.tokens(),
            sequence => self.image_tokens(sequence),
        }
    }

    /// Number of tokens in the encoder of an image, or of the prompts in place of it.
    fn image_tokens(&self, sequence: ImageSequence) -> usize {
        let patches = (self.config.image.grid() * self.config.image.grid()) as f64;
        match (sequence, &self.config.mim) {
            (ImageSequence::Image(image), Some(mim)) if is_masked(image) => 1 + mim.kept(patches as usize),
            (ImageSequence::Image(_), _) => 1 + (patches * self.step.patch_keep.unwrap_or(1.0)).round() as usize,
            (ImageSequence::StandIn(_), _) => self.config.image_stand_in_tokens(),
        }
    }

    /// Number of values that the head of masked image modelling stores.
    fn mim_values(&self, forward: &ForwardPlan) -> f64 {
        let Some(mim) = &self.config.mim else { return 0.0 };
        let pairs = forward.pairs().iter().filter(|pair| pair.read == Read::MaskedImage).count();
        let tokens = self.config.image.grid().pow(2) + 1;
        ENCODER_LAYER * (pairs * tokens * mim.width * mim.layers) as f64
    }

    /// Number of tokens of a text, or of the prompts in place of it.
    fn text_tokens(&self, sequence: TextSequence) -> usize {
        match sequence {
            TextSequence::Text(_) => self.length,
            TextSequence::StandIn(_) => self.config.text_stand_in_tokens(),
        }
    }

    /// Number of values that a step stores at its peak.
    fn values(&self, forward: &ForwardPlan) -> f64 {
        let (image, text, fusion) = (&self.config.image, &self.config.text, &self.config.fusion);
        // Frozen layers store nothing for images, whether their outputs are cached or not. Prompts still go through them.
        let layers = image.used_layers();
        let trained_layers = |one: &ImageSequence| match one {
            ImageSequence::Image(_) => layers - self.step.frozen_image_encoder.layers(layers),
            ImageSequence::StandIn(_) => layers,
        };
        // Tokens of one layer, and those of all layers.
        let (mut images, mut in_layers) = (0, 0);
        for one in forward.image_sequences().into_iter().filter(|one| trained_layers(one) > 0) {
            images += self.image_tokens(one);
            in_layers += self.image_tokens(one) * trained_layers(&one);
        }
        let texts: usize = forward.text_sequences().into_iter().map(|sequence| self.text_tokens(sequence)).sum();
        let (mut fused, mut masked) = (0, 0);
        for pair in forward.pairs() {
            fused += self.fused_image_tokens(pair.image) + self.text_tokens(pair.text);
            if let Read::Text(positions) = &pair.read {
                masked += positions.len();
            }
        }
        let [images, texts, fused] =
            [images * image.width, texts * text.width, fused * fusion.width].map(|values| values as f64);
        let encoders = (in_layers * image.width) as f64 + texts * text.layers as f64;
        let fusion_layers = fused * (fusion.layers - 1) as f64;
        let reads_all = forward.pairs().iter().any(|pair| pair.read == Read::All);
        // One stream has layers of an encoder. A block of two streams stores the inputs of both, image and text.
        let (fusion_layer, last, inputs) = match fusion.kind.is_single_stream() {
            false => (FUSION_LAYER, LAST_FUSION_LAYER, 2.0),
            true => (ENCODER_LAYER, LAST_SINGLE_STREAM_LAYER, 1.0),
        };
        let last_fusion_layer = if reads_all { fusion_layer } else { last };
        // A decoder layer has the same parts as a layer of two streams, and keys and values of all states after the fusion.
        let written = if self.config.decoder.is_some() { forward.pairs().len() * self.step.written_tokens } else { 0 };
        let decoder = (written * text.width * self.config.decoder_layers()) as f64;
        let memory = if written > 0 { 2.0 * fused * self.config.decoder_layers() as f64 } else { 0.0 };
        // The logits of masked or written words and their gradients.
        let logits = ((masked + written) * text.vocabulary * 2) as f64;
        logits
            + memory
            + self.mim_values(forward)
            + match self.step.checkpointing {
                Checkpointing::None => {
                    let fusion = fusion_layer * fusion_layers + last_fusion_layer * fused;
                    ENCODER_LAYER * encoders + fusion + FUSION_LAYER * decoder
                }
                Checkpointing::Blocks => {
                    let recomputed = RECOMPUTED_BLOCK * fused.max(images).max(texts);
                    CHECKPOINTED_BLOCK * (encoders + inputs * fusion_layers + 2.0 * decoder) + recomputed
                }
            }
    }
}

/// The memory that this process may still use, in bytes; `None` if the system does not report it.
pub fn free() -> Option<u64> {
    let system = sysinfo::System::new_with_specifics(
        sysinfo::RefreshKind::nothing().with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram()),
    );
    let free = system.available_memory();
    // A container may have a lower limit than its machine. The limit itself is used, not the free part of it: in a container,
    // cached files count as used memory, although the system removes them when memory is needed.
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    Some(free.min(limit)).filter(|free| *free > 0)
}

/// Refuses a recipe whose step does not fit into the free memory.
///
/// # Errors
/// When it does not fit; the message gives the needed and the free memory, and the keys that reduce the need.
pub fn check(objectives: &[Weighted<'_>], recipe: &Recipe, config: &ModelConfig) -> Result<(), TrainError> {
    match free() {
        Some(free) => fits(objectives, recipe, config, free),
        None => Ok(()),
    }
}

/// The same as [`check`], for a machine with `free` bytes of free memory.
///
/// # Errors
/// The same as those of [`check`].
pub fn fits(objectives: &[Weighted<'_>], recipe: &Recipe, config: &ModelConfig, free: u64) -> Result<(), TrainError> {
    let (batch, accumulate) = (recipe.train.batch, recipe.train.accumulate);
    let needed = |accumulate: usize, checkpointing: Checkpointing| {
        let frozen_image_encoder = recipe.frozen_image_encoder(config);
        let step = StepConfig { checkpointing, frozen_image_encoder, ..StepConfig::of(recipe) };
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
        None => format!("{}, or use a machine with more memory", smaller_model(recipe)),
    };
    let [needed, free] = [needs, free].map(gigabytes);
    Err(TrainError::Memory { batch: batch / accumulate, needed, free, cure })
}

/// How to choose a smaller model.
fn smaller_model(recipe: &Recipe) -> &'static str {
    match (recipe.task.is_pretraining(), &recipe.finetune.model) {
        (true, _) => "choose a smaller model (model.preset)",
        (false, Some(_)) => "name a smaller pre-trained model with `--model`",
        (false, None) => "name a pre-trained model with `--model`, or choose a smaller model (model.preset)",
    }
}

/// Formats a number of bytes like `8.9 GB`.
pub fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}
