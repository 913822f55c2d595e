//! Times a pre-training step: losses, gradients, update.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use ptu_data::{MaskedTexts, Partners, TrainBatch};
use ptu_input::{Batch, Images, Preprocess, Texts, Tokenizer};
use ptu_model::{Bundle, Model, ModelConfig, Preset, TextStyle};
use ptu_random::{Key, Place, Stream};
use ptu_tasks::pretraining::StepPlan;
use ptu_train::memory;
use ptu_train::objective::{ObjectiveKind, default_weight};
use ptu_train::optimizer::{Optimizer, OptimizerConfig};
use ptu_train::recipe::{Checkpointing, Precision};
use ptu_train::step::{StepConfig, gradients};
use ptu_workflow::reference::Case;
use serde::{Deserialize, Serialize};

use crate::BenchError;
use crate::measure::{Timing, peak_memory, reset_peak_memory};

/// The size of the vocabulary for each preset, the same as in the reference benchmark.
pub fn vocabulary(preset: Preset) -> usize {
    match preset {
        Preset::Tiny => 4096,
        Preset::Small => 30_522,
        Preset::Base => 50_265,
    }
}

/// Number of tokens of a text.
pub const TOKENS: usize = 48;

/// The options of the benchmark.
#[derive(Clone, Debug)]
pub struct StepOptions {
    /// The model size.
    pub preset: Preset,
    /// Pairs per step.
    pub batch: usize,
    /// The objectives.
    pub objectives: Vec<ObjectiveKind>,
    /// The dropout rate.
    pub dropout: f64,
    /// Gradient checkpointing.
    pub checkpointing: Checkpointing,
    /// The precision of the matrix products in linear layers and attention.
    pub precision: Precision,
    /// Number of timed steps.
    pub rounds: usize,
    /// The random seed of weights and data.
    pub seed: u64,
    /// The device, with gradients.
    pub device: Device,
}

/// The results.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepResult {
    /// Seconds per step.
    pub timing: Timing,
    /// Pairs per step.
    pub batch: usize,
    /// Floating point operations in matrix products, per step.
    pub flops: f64,
    /// Peak memory during the steps, in MiB.
    pub peak_mib: Option<f64>,
    /// Number of weights of the model.
    pub weights: usize,
    /// Seconds until the first step could start.
    pub ready_seconds: f64,
    /// The unweighted losses of the first step by name, and their weighted sum as `total`.
    pub losses: BTreeMap<String, f64>,
}

/// The model configuration of a preset in the benchmark.
pub fn config(preset: Preset) -> ModelConfig {
    preset.config(TextStyle::Roberta, vocabulary(preset), [0, 2, 1])
}

/// A bundle for a benchmark: a model that has learned nothing.
pub fn bundle(model: Model, tokenizer: Tokenizer) -> Bundle {
    Bundle {
        preprocess: Preprocess::clip(model.config().image.size),
        model,
        tokenizer: Arc::new(tokenizer),
        max_tokens: TOKENS,
        trained_on: vec![],
        weights_from: vec![],
        learned: None,
        task: None,
    }
}

fn plan(objectives: &[ObjectiveKind]) -> StepPlan {
    let objectives = objectives.iter().map(|kind| (*kind, default_weight(*kind))).collect();
    StepPlan { objectives, ..StepPlan::default() }
}

/// Times training steps on one random batch: texts of full length, 15 % of the tokens masked, half of the texts with a
/// negative image from the batch.
///
/// # Errors
/// If sizes do not fit each other, or if the memory is not sufficient.
pub fn step(options: &StepOptions) -> Result<StepResult, BenchError> {
    let start = Instant::now();
    let config = config(options.preset);
    let (objectives, step) = (
        plan(&options.objectives).objectives(),
        StepConfig {
            dropout: options.dropout,
            checkpointing: options.checkpointing,
            precision: options.precision.compute_precision(),
            ..StepConfig::default()
        },
    );
    let batch = options.batch;
    let needed = memory::step_bytes(&config, &objectives, &step, batch, TOKENS)?;
    if let Some(free) = memory::free().filter(|free| needed > *free) {
        let [needed, free] = [needed, free].map(memory::gigabytes);
        return Err(BenchError::Memory { batch, needed, free });
    }
    let model = Model::new(&config, Key::new(options.seed), &options.device)?;
    let weights = model.num_params();
    let batch = random_batch(&config, options.batch, options.seed);
    let mut optimizer = Optimizer::new(OptimizerConfig::default());
    let ready_seconds = start.elapsed().as_secs_f64();
    reset_peak_memory();
    // The update takes the model by value: with a second owner it would copy every weight.
    let (mut model, mut losses, mut number) = (Some(model), BTreeMap::new(), 0);
    let before = ptu_kernels::operations();
    let timing = Timing::of(1, options.rounds, || {
        let now = model.take().expect("the previous step puts the model back");
        let (outcome, gradients) = gradients(&now, &batch, &objectives, &step, Key::new(options.seed).at(number));
        model = Some(optimizer.step(now, &gradients, 1.0));
        if number == 0 {
            losses = named_losses(&outcome);
        }
        number += 1;
    });
    let flops = (ptu_kernels::operations() - before) as f64 / number as f64;
    Ok(StepResult { timing, batch: options.batch, flops, peak_mib: peak_memory(), weights, ready_seconds, losses })
}

/// The losses by name, with their weighted sum as `total`.
fn named_losses(outcome: &ptu_train::step::Outcome) -> BTreeMap<String, f64> {
    let each = outcome.objectives.iter().map(|(name, measured)| (name.clone(), measured.loss));
    each.chain([("total".to_string(), outcome.total)]).collect()
}

/// The losses of a case that another program wrote, without dropout.
///
/// # Errors
/// If the folder does not contain a valid case.
pub fn case_losses(folder: &Path, device: &Device) -> Result<BTreeMap<String, f64>, BenchError> {
    let case = Case::open(folder)?;
    let model = case.model(&ptu_workflow::reference::PRETRAINING_HEADS, device)?;
    let plan = plan(&ObjectiveKind::PUBLISHED);
    let (outcome, _) = plan.gradients(&model, &case.batch()?, &StepConfig::default(), Key::new(0));
    Ok(named_losses(&outcome))
}

/// A batch of images with random pixels and random texts of full length.
fn random_batch(config: &ModelConfig, b: usize, seed: u64) -> TrainBatch {
    let stream = |index| Key::new(seed).stream(Place::Sample, index);
    let texts = random_texts(config, b, &mut stream(0));
    let hashes: Vec<u64> = (0..b as u64).collect();
    TrainBatch {
        masked_pairs: masked(&texts, (config.text.vocabulary - 1) as u32, &mut stream(2)),
        batch: Batch { pair_images: images(config, b, &mut stream(1)), pair_texts: texts, ..Batch::default() },
        image_hashes: hashes.clone(),
        text_hashes: hashes,
        partners: Some(Partners::half_next(b)),
        ..TrainBatch::default()
    }
}

/// Texts of random tokens, all of full length.
pub fn random_texts(config: &ModelConfig, count: usize, stream: &mut Stream) -> Texts {
    let length = TOKENS.min(config.text.longest());
    let id = |index: usize| match index % length {
        0 => config.text.start,
        last if last == length - 1 => config.text.end,
        _ => 4 + stream.below(config.text.vocabulary - 5) as u32,
    };
    Texts { lengths: vec![length; count], ids: (0..count * length).map(id).collect() }
}

/// Images with normally distributed random pixels.
pub fn images(config: &ModelConfig, count: usize, stream: &mut Stream) -> Images {
    let side = config.image.size;
    let planes = (0..count * 3 * side * side).map(|_| stream.normal() as f32).collect();
    Images { count, side, planes, outputs: None }
}

/// Replaces 15 % of the inner tokens of each text, at least one, by the mask token.
fn masked(texts: &Texts, mask: u32, stream: &mut Stream) -> MaskedTexts {
    let mut masked = MaskedTexts { labels: vec![None; texts.ids.len()], texts: texts.clone() };
    for (start, &length) in texts.starts().zip(&texts.lengths) {
        let mut positions: Vec<usize> = (start + 1..start + length - 1).collect();
        stream.shuffle(&mut positions);
        let count = ((positions.len() as f64 * 0.15).round() as usize).max(1);
        for position in positions.into_iter().take(count) {
            masked.labels[position] = Some(texts.ids[position]);
            masked.texts.ids[position] = mask;
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_timed_and_its_operations_are_counted() {
        let options = StepOptions {
            preset: Preset::Tiny,
            batch: 2,
            objectives: ObjectiveKind::PUBLISHED.to_vec(),
            dropout: 0.1,
            checkpointing: Checkpointing::None,
            precision: Precision::F32,
            rounds: 2,
            seed: 0,
            device: Device::flex().autodiff(),
        };
        let result = step(&options).unwrap();
        assert_eq!((result.timing.seconds.len(), result.losses.len()), (2, 4));
        assert!(result.losses.values().all(|loss| loss.is_finite() && *loss > 0.0), "{:?}", result.losses);
        // Forward and backward pass of 2.6 million weights for about 300 tokens: a few billion operations.
        assert!(result.flops > 5e8 && result.flops < 5e10, "{}", result.flops);
    }

    #[test]
    fn fifteen_percent_of_the_tokens_are_masked() {
        let config = config(Preset::Tiny);
        let batch = random_batch(&config, 3, 1);
        let places = batch.masked_pairs.places();
        assert!(places.iter().all(|places| places.len() == 7 && !places.contains(&0) && !places.contains(&47)));
        assert_eq!(batch.partners.map(|partners| partners.image), Some(vec![0, 2, 0]));
    }
}
