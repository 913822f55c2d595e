//! One step: losses of its objectives, and the gradients of their weighted sum.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use indexmap::IndexMap;
use ptu_data::TrainBatch;
use ptu_kernels::{BlockGradients, ComputePrecision, Pass};
use ptu_model::Model;
use ptu_model::forward::ChosenRows;
use ptu_random::Key;

use crate::TrainError;
use crate::forward::StepForward;
use crate::gradients::Gradients;
use crate::objective::{Loss, Weighted};
use crate::recipe::{Checkpointing, Recipe};

/// How a step is computed, whatever is learned.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepConfig {
    /// Share of activations dropped.
    pub dropout: f64,
    /// What is kept for the backward pass.
    pub checkpointing: Checkpointing,
    /// Share of an image's patches that goes in; `None` for all.
    pub patch_keep: Option<f64>,
    /// In what linear maps and attention multiply.
    pub products: ComputePrecision,
}

impl StepConfig {
    /// What a recipe asks for.
    pub fn of(recipe: &Recipe) -> Self {
        Self {
            dropout: recipe.model.dropout,
            checkpointing: recipe.train.checkpointing,
            products: recipe.train.precision.products(),
            patch_keep: (recipe.train.patch_keep < 1.0).then_some(recipe.train.patch_keep),
        }
    }

    /// What goes through the layers with the data of the step that `key` names.
    pub fn pass(&self, key: Key) -> Pass {
        Pass::new(self.dropout, key).keeping(self.patch_keep).with(self.products)
    }
}

/// The parts of a step's batch, one after another, each with the key of its draws.
pub struct Parts<'a> {
    number: u64,
    next: &'a mut dyn FnMut() -> Result<(TrainBatch, Key), TrainError>,
    given: u64,
}

impl<'a> Parts<'a> {
    /// So many parts, which `next` gives.
    pub fn new(number: u64, next: &'a mut dyn FnMut() -> Result<(TrainBatch, Key), TrainError>) -> Self {
        Self { number, next, given: 0 }
    }

    /// How many there are in all.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<(TrainBatch, Key), TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.given < self.number).then(|| {
            self.given += 1;
            (self.next)()
        })
    }
}

/// What one batch gave.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Weighted sum of the losses.
    pub total: f64,
    /// Each objective that found something to do, by name.
    pub objectives: IndexMap<String, Measured>,
    /// Prompts that stood in.
    pub chosen: ChosenRows,
    /// What objectives counted besides, by name.
    pub counts: BTreeMap<String, u64>,
    /// Time of the backward pass.
    pub backward: Duration,
}

/// One objective in one batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// Its loss, unweighted.
    pub loss: f64,
    /// Answers that were right.
    pub right: usize,
    /// Answers that were scored.
    pub scored: usize,
    /// Time of its forward pass: its heads, and of what all share the share of its tokens in the fusion.
    pub forward: Duration,
}

impl Measured {
    /// What a loss says; the time is still to be told.
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
    /// Adds what another part of the same step gave.
    pub fn add(&mut self, other: Self) {
        self.total += other.total;
        for (name, measured) in other.objectives {
            let sum = self.objectives.entry(name).or_default();
            sum.loss += measured.loss;
            sum.right += measured.right;
            sum.scored += measured.scored;
            sum.forward += measured.forward;
        }
        self.chosen.image.extend(other.chosen.image);
        self.chosen.text.extend(other.chosen.text);
        other.counts.into_iter().for_each(|(name, count)| *self.counts.entry(name).or_default() += count);
        self.backward += other.backward;
    }

    /// From sums over parts to means.
    pub fn divide(&mut self, parts: u64) {
        self.total /= parts as f64;
        self.objectives.values_mut().for_each(|measured| measured.loss /= parts as f64);
    }
}

/// Losses of a batch and the gradients of their weighted sum. A batch that no objective can use gives no gradients.
pub fn gradients(
    model: &Model,
    batch: &TrainBatch,
    objectives: &[Weighted<'_>],
    config: &StepConfig,
    key: Key,
) -> (Outcome, Gradients) {
    let (pass, of_blocks) = (config.pass(key), BlockGradients::default());
    let pass = match config.checkpointing {
        Checkpointing::None => pass,
        Checkpointing::Blocks => pass.checkpointed(of_blocks.clone()),
    };
    let declared = objectives.iter().map(|weighted| weighted.objective.pairs(batch, key));
    let step = StepForward::new(model, batch, declared, &pass, key);
    let (mut outcome, mut total, start) = (Outcome::default(), None, Instant::now());
    step.compute();
    let (shared, tokens) = (start.elapsed(), step.tokens());
    let all = tokens.iter().sum::<usize>().max(1);
    for (Weighted { name, weight, objective }, tokens) in objectives.iter().zip(tokens) {
        let start = Instant::now();
        let Some(loss) = objective.loss(&step) else { continue };
        if objective.is_measured() {
            let mut measured = Measured::of(&loss);
            measured.forward = shared.mul_f64(tokens as f64 / all as f64) + start.elapsed();
            outcome.total += weight * measured.loss;
            outcome.objectives.insert(name.clone(), measured);
            loss.counts.into_iter().for_each(|(name, count)| *outcome.counts.entry(name.into()).or_default() += count);
        }
        total = sum(total, loss.value.mul_scalar(*weight));
    }
    let start = Instant::now();
    outcome.chosen = step.into_chosen();
    let gradients =
        total.map_or_else(Gradients::default, |total| Gradients::take(model, &mut total.backward(), &of_blocks));
    outcome.backward = start.elapsed();
    (outcome, gradients)
}

/// [`gradients`] of the parts of a step, one after another: means over them.
///
/// # Errors
/// A part that cannot be loaded.
pub fn mean_gradients(
    model: &Model,
    parts: &mut Parts<'_>,
    objectives: &[Weighted<'_>],
    config: &StepConfig,
) -> Result<(Outcome, Gradients), TrainError> {
    let (count, mut outcome, mut sum) = (parts.number(), Outcome::default(), Gradients::default());
    for part in parts {
        let (batch, key) = part?;
        let (of_part, of_weights) = gradients(model, &batch, objectives, config, key);
        outcome.add(of_part);
        sum.add(of_weights);
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
