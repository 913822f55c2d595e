//! One step of pre-training: losses, gradients, a check that they are finite, an update.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use ptu_model::forward::ChosenRows;
use ptu_model::{BlockGradients, Model};
use ptu_random::Key;

use crate::batch::StepBatch;
use crate::forward::StepForward;
use crate::gradients::Gradients;
use crate::loss::{Itc, Vectors};
use crate::objective::ObjectiveKind;
use crate::plan::{StepPlan, Weighted};
use crate::recipe::Checkpointing;

/// What one batch gave.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Weighted sum of the losses.
    pub total: f64,
    /// Each objective that found something to do.
    pub objectives: BTreeMap<ObjectiveKind, Measured>,
    /// Prompts that stood in.
    pub chosen: ChosenRows,
    /// Texts that should have got a false image and found none.
    pub without_partner: usize,
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

impl Outcome {
    /// Adds what another part of the same step gave.
    pub fn add(&mut self, other: Self) {
        self.total += other.total;
        for (kind, measured) in other.objectives {
            let sum = self.objectives.entry(kind).or_default();
            sum.loss += measured.loss;
            sum.right += measured.right;
            sum.scored += measured.scored;
            sum.forward += measured.forward;
        }
        self.chosen.image.extend(other.chosen.image);
        self.chosen.text.extend(other.chosen.text);
        self.without_partner += other.without_partner;
        self.backward += other.backward;
    }

    /// From sums over parts to means.
    pub fn divide(&mut self, parts: u64) {
        self.total /= parts as f64;
        self.objectives.values_mut().for_each(|measured| measured.loss /= parts as f64);
    }
}

/// Where the contrast of a part of a batch comes from.
#[derive(Clone, Copy, Debug)]
pub enum Contrast<'a> {
    /// The part's own pairs are compared.
    OfPart,
    /// One over all parts was computed before: the part's vectors get their gradient of it, where they had part in it.
    OfAllParts(Option<&'a Vectors>),
}

/// Losses of a batch and the gradients of their weighted sum. A batch that no objective can use gives no gradients.
pub fn gradients(model: &Model, batch: &StepBatch, plan: &StepPlan, key: Key) -> (Outcome, Gradients) {
    part_gradients(model, batch, plan, key, Contrast::OfPart)
}

/// [`gradients`] of a part of a batch.
pub fn part_gradients(
    model: &Model,
    batch: &StepBatch,
    plan: &StepPlan,
    key: Key,
    contrast: Contrast<'_>,
) -> (Outcome, Gradients) {
    let (pass, of_blocks) = (plan.pass(key), BlockGradients::default());
    let pass = match plan.checkpointing {
        Checkpointing::None => pass,
        Checkpointing::Blocks => pass.checkpointed(of_blocks.clone()),
    };
    let objectives = plan.objectives();
    let step = StepForward::new(model, batch, objectives.iter().map(|weighted| &*weighted.objective), &pass, key);
    let (mut outcome, mut total, start) = (Outcome::default(), None, Instant::now());
    step.compute();
    let (shared, tokens) = (start.elapsed(), step.tokens());
    let all = tokens.iter().sum::<usize>().max(1);
    for (Weighted { kind, weight, objective }, tokens) in objectives.iter().zip(tokens) {
        let start = Instant::now();
        if let (ObjectiveKind::Itc, Contrast::OfAllParts(gradient)) = (kind, contrast) {
            let vectors = gradient.and_then(|gradient| Some(Itc::vectors(&step)?.dot(gradient)));
            total = sum(total, vectors);
            continue;
        }
        let Some(loss) = objective.loss(&step) else { continue };
        let value = f64::from(loss.value.clone().inner().into_scalar::<f32>());
        let right = loss.answers.iter().filter(|right| **right).count();
        let share = shared.mul_f64(tokens as f64 / all as f64);
        let measured = Measured { loss: value, right, scored: loss.answers.len(), forward: share + start.elapsed() };
        outcome.objectives.insert(*kind, measured);
        outcome.total += weight * value;
        outcome.without_partner += loss.without_partner;
        total = sum(total, Some(loss.value.mul_scalar(*weight)));
    }
    let start = Instant::now();
    outcome.chosen = step.into_chosen();
    let gradients =
        total.map_or_else(Gradients::default, |total| Gradients::take(model, &mut total.backward(), &of_blocks));
    outcome.backward = start.elapsed();
    (outcome, gradients)
}

fn sum(one: Option<Tensor<1>>, other: Option<Tensor<1>>) -> Option<Tensor<1>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}
