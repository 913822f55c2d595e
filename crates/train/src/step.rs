//! One training step: the losses of its objectives, and the gradients of their weighted sum.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use indexmap::IndexMap;
use ptu_data::TrainBatch;
use ptu_kernels::{BlockGradients, ComputePrecision, Pass};
use ptu_model::forward::ChosenRows;
use ptu_model::{CodeUse, Frozen, Model};
use ptu_random::Key;

use crate::TrainError;
use crate::forward::{Chosen, StepForward};
use crate::gradients::Gradients;
use crate::objective::{Loss, Weighted};
use crate::recipe::{Checkpointing, Recipe};

/// The name in the log of the loss that prompts have of their own.
const PROMPTS: &str = "prompts";

/// Settings of a step that do not depend on its objectives.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepConfig {
    /// Dropout probability.
    pub dropout: f64,
    /// What is stored for the backward pass.
    pub checkpointing: Checkpointing,
    /// Share of an image's patches that the encoder receives; `None` for all.
    pub patch_keep: Option<f64>,
    /// The number format in which linear layers and attention multiply.
    pub precision: ComputePrecision,
    /// The largest number of tokens of a text that the decoder writes; 0 if it writes none. It is used to estimate memory.
    pub written_tokens: usize,
    /// What of the image encoder is not trained ([`Model::with_frozen`]). Only the forecast of the memory
    /// reads it.
    pub frozen_image_encoder: Frozen,
    /// Share of the training that is done, in [0, 1].
    pub progress: f64,
    /// Whether the prompts in place of missing modalities are trained.
    pub learns_prompts: bool,
}

impl StepConfig {
    /// The settings of a recipe.
    pub fn of(recipe: &Recipe) -> Self {
        Self {
            dropout: recipe.model.dropout,
            checkpointing: recipe.train.checkpointing,
            precision: recipe.train.precision.compute_precision(),
            patch_keep: (recipe.train.patch_keep < 1.0).then_some(recipe.train.patch_keep),
            written_tokens: recipe.task.generation().map_or(0, |generation| generation.max_length),
            frozen_image_encoder: Frozen::Nothing,
            progress: 0.0,
            learns_prompts: recipe.learns_prompts(),
        }
    }

    /// The settings that every layer receives in the step of `key`.
    pub fn pass(&self, key: Key) -> Pass {
        let pass = Pass::new(self.dropout, key).keeping(self.patch_keep).with(self.precision);
        pass.in_training(self.progress, self.learns_prompts)
    }
}

/// Iterator over the micro-batches of a step (`train.accumulate`). Each item is a micro-batch and the key of its random numbers.
pub struct MicroBatches<'a> {
    number: u64,
    next: &'a mut dyn FnMut() -> Result<(TrainBatch, Key), TrainError>,
    /// Number of micro-batches that were returned so far.
    returned: u64,
}

impl<'a> MicroBatches<'a> {
    /// An iterator over `number` micro-batches, which `next` loads.
    pub fn new(number: u64, next: &'a mut dyn FnMut() -> Result<(TrainBatch, Key), TrainError>) -> Self {
        Self { number, next, returned: 0 }
    }

    /// The number of micro-batches of the step.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Iterator for MicroBatches<'_> {
    type Item = Result<(TrainBatch, Key), TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.returned < self.number).then(|| {
            self.returned += 1;
            (self.next)()
        })
    }
}

/// The losses and counts of one batch, or of all micro-batches of a step.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Weighted sum of the losses.
    pub total: f64,
    /// The result of each objective that could use the batch, by name.
    pub objectives: IndexMap<String, ObjectiveResult>,
    /// The prompts that were used in place of missing modalities.
    pub chosen: ChosenRows,
    /// What the codes of composed sequences learn from, of images and of texts.
    pub used_codes: [CodeUse; 2],
    /// Other counts of the objectives, by name.
    pub counts: BTreeMap<String, u64>,
    /// Time of the backward pass.
    pub backward: Duration,
}

/// The result of one objective on one batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectiveResult {
    /// The loss, without the objective's weight.
    pub loss: f64,
    /// Number of right answers.
    pub right: usize,
    /// Number of scored answers.
    pub scored: usize,
    /// Time of the forward pass: the time of the objective's head, plus its part of the time that all objectives share, in
    /// proportion to its number of tokens in the fusion.
    pub forward: Duration,
}

impl ObjectiveResult {
    /// The result of a loss, with a time of 0.
    pub fn of(loss: &Loss) -> Self {
        Self {
            loss: f64::from(loss.value.clone().inner().into_scalar::<f32>()),
            right: loss.answers.iter().filter(|right| **right).count(),
            scored: loss.answers.len(),
            forward: Duration::ZERO,
        }
    }
}

impl Outcome {
    /// Adds the outcome of another micro-batch of the same step.
    pub fn add(&mut self, other: Self) {
        self.total += other.total;
        for (name, result) in other.objectives {
            let sum = self.objectives.entry(name).or_default();
            sum.loss += result.loss;
            sum.right += result.right;
            sum.scored += result.scored;
            sum.forward += result.forward;
        }
        self.chosen.image.extend(other.chosen.image);
        self.chosen.text.extend(other.chosen.text);
        self.used_codes.iter_mut().zip(other.used_codes).for_each(|(all, more)| all.add(more));
        other.counts.into_iter().for_each(|(name, count)| *self.counts.entry(name).or_default() += count);
        self.backward += other.backward;
    }

    /// Turns sums of losses over `count` micro-batches into means.
    pub fn divide(&mut self, count: u64) {
        self.total /= count as f64;
        self.objectives.values_mut().for_each(|result| result.loss /= count as f64);
    }
}

/// Computes the losses of a batch and the gradients of their weighted sum. For a batch that no objective can use there are no
/// gradients.
pub fn gradients(
    model: &Model,
    batch: &TrainBatch,
    objectives: &[Weighted<'_>],
    config: &StepConfig,
    key: Key,
) -> (Outcome, Gradients) {
    let (pass, block_gradients) = (config.pass(key), BlockGradients::default());
    let pass = match config.checkpointing {
        Checkpointing::None => pass,
        Checkpointing::Blocks => pass.checkpointed(block_gradients.clone()),
    };
    let declared = objectives.iter().map(|weighted| weighted.objective.pairs(batch, key));
    let step = StepForward::new(model, batch, declared, &pass, key);
    let (mut outcome, mut total) = measured(&step, objectives);
    let Chosen { rows, loss, used_codes } = step.into_chosen();
    if let Some(loss) = loss {
        let result = ObjectiveResult::of(&Loss::new(loss.clone(), vec![]));
        outcome.total += result.loss;
        outcome.objectives.insert(PROMPTS.into(), result);
        total = sum(total, loss);
    }
    (outcome.chosen, outcome.used_codes) = (rows, used_codes);
    let start = Instant::now();
    let gradients =
        total.map_or_else(Gradients::default, |total| Gradients::take(model, &mut total.backward(), &block_gradients));
    outcome.backward = start.elapsed();
    (outcome, gradients)
}

/// Computes the losses of a batch without dropout, for a validation. `key` gives the random numbers of the objectives.
pub fn losses(model: &Model, batch: &TrainBatch, objectives: &[Weighted<'_>], key: Key) -> Outcome {
    let declared = objectives.iter().map(|weighted| weighted.objective.pairs(batch, key));
    let pass = Pass::off();
    measured(&StepForward::new(model, batch, declared, &pass, key), objectives).0
}

/// The losses of the objectives of a step, and their weighted sum.
fn measured(step: &StepForward<'_>, objectives: &[Weighted<'_>]) -> (Outcome, Option<Tensor<1>>) {
    let (mut outcome, mut total, start) = (Outcome::default(), None, Instant::now());
    step.compute();
    let (shared, tokens) = (start.elapsed(), step.tokens());
    let all = tokens.iter().sum::<usize>().max(1);
    for (Weighted { name, weight, objective }, tokens) in objectives.iter().zip(tokens) {
        let start = Instant::now();
        let Some(loss) = objective.loss(step) else { continue };
        if objective.is_measured() {
            let mut result = ObjectiveResult::of(&loss);
            result.forward = shared.mul_f64(tokens as f64 / all as f64) + start.elapsed();
            outcome.total += weight * result.loss;
            outcome.objectives.insert(name.clone(), result);
            loss.counts.into_iter().for_each(|(name, count)| *outcome.counts.entry(name.into()).or_default() += count);
        }
        total = sum(total, loss.value.mul_scalar(*weight));
    }
    (outcome, total)
}

/// Computes [`gradients`] of each micro-batch of a step, and returns the means of losses and gradients.
///
/// # Errors
/// When a micro-batch cannot be loaded.
pub fn mean_gradients(
    model: &Model,
    batches: &mut MicroBatches<'_>,
    objectives: &[Weighted<'_>],
    config: &StepConfig,
) -> Result<(Outcome, Gradients), TrainError> {
    let (count, mut outcome, mut sum) = (batches.number(), Outcome::default(), Gradients::default());
    for batch in batches {
        let (batch, key) = batch?;
        let (batch_outcome, batch_gradients) = gradients(model, &batch, objectives, config, key);
        outcome.add(batch_outcome);
        sum.add(batch_gradients);
    }
    if count > 1 {
        outcome.divide(count);
        sum.scale(1.0 / count as f32);
    }
    Ok((outcome, sum))
}

fn sum(one: Option<Tensor<1>>, other: Tensor<1>) -> Option<Tensor<1>> {
    Some(match one {
        Some(one) => one + other,
        None => other,
    })
}
