//! One step of pre-training: losses, gradients, a check that they are finite, an update.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use ptu_model::{Inside, Model};
use ptu_random::Key;

use crate::batch::StepBatch;
use crate::gradients::Gradients;
use crate::objective::ObjectiveKind;
use crate::plan::StepPlan;
use crate::recipe::Checkpointing;
use crate::shared::{ChosenRows, Shared, Vectors};

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

/// Losses of a batch and the gradients of their weighted sum. A batch that no objective can use gives no gradients.
pub fn gradients(model: &Model, batch: &StepBatch, plan: &StepPlan, key: Key) -> (Outcome, Gradients) {
    part_gradients(model, batch, plan, key, None)
}

/// [`gradients`] of a part of a batch. Where a contrast over all parts was made elsewhere (`Some`), this part's has no loss of
/// its own: its vectors are pulled along the gradient that they got there, if they did.
pub fn part_gradients(
    model: &Model,
    batch: &StepBatch,
    plan: &StepPlan,
    key: Key,
    contrast: Option<Option<&Vectors>>,
) -> (Outcome, Gradients) {
    let (pass, inside) = (plan.pass(key), Inside::default());
    let pass = match plan.checkpointing {
        Checkpointing::None => pass,
        Checkpointing::Blocks => pass.replayed(inside.clone()),
    };
    let step = Shared::new(model, batch, plan, &pass, key);
    let (mut outcome, mut total, start) = (Outcome::default(), None, Instant::now());
    step.prepare();
    let (shared, tokens) = (start.elapsed(), plan.objectives.keys().map(|kind| step.tokens(*kind)).sum::<usize>());
    for (&kind, &weight) in &plan.objectives {
        let start = Instant::now();
        if let (ObjectiveKind::Itc, Some(pull)) = (kind, contrast) {
            total = sum(total, pull.zip(step.vectors()).map(|(pull, vectors)| vectors.along(pull)));
            continue;
        }
        let Some(loss) = kind.loss(&step) else { continue };
        let value = f64::from(loss.value.clone().inner().into_scalar::<f32>());
        let right = loss.answers.iter().filter(|right| **right).count();
        let share = shared.mul_f64(step.tokens(kind) as f64 / tokens.max(1) as f64);
        let measured = Measured { loss: value, right, scored: loss.answers.len(), forward: share + start.elapsed() };
        outcome.objectives.insert(kind, measured);
        outcome.total += weight * value;
        total = sum(total, Some(loss.value.mul_scalar(weight)));
        if kind == ObjectiveKind::Itm {
            outcome.without_partner = step.partners().without_partner;
        }
    }
    let start = Instant::now();
    outcome.chosen = step.into_chosen();
    let gradients =
        total.map_or_else(Gradients::default, |total| Gradients::take(model, &mut total.backward(), &inside));
    outcome.backward = start.elapsed();
    (outcome, gradients)
}

fn sum(one: Option<Tensor<1>>, other: Option<Tensor<1>>) -> Option<Tensor<1>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}
