//! Cached contrast (GradCache; Gao et al., "Scaling deep contrastive learning batch size under memory limited setup", 2021):
//! the contrast over a batch that does not fit into memory as a whole.
//!
//! The batch is divided into micro-batches, which are encoded one after another without gradient. The loss over all vectors
//! gives the gradient of each vector. Then every micro-batch is computed again, with the same dropout masks, and the gradient
//! of its vectors is propagated back into the weights.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;
use ptu_data::TrainBatch;
use ptu_kernels::BlockGradients;
use ptu_model::Model;
use ptu_random::Key;
use ptu_train::forward::StepForward;
use ptu_train::gradients::Gradients;
use ptu_train::loss::{Itc, Vectors, contrastive_loss, duplicate_mask};
use ptu_train::objective::ObjectiveKind;
use ptu_train::step::{self, ObjectiveResult, Outcome, StepConfig};

use crate::pretraining::StepPlan;

/// Computes the means of losses and gradients over the micro-batches, except for the contrast, which is computed over all
/// micro-batches together. `key` returns the key of the random numbers of a micro-batch, by its index.
pub fn gradients(
    model: &Model,
    batches: &[TrainBatch],
    plan: &StepPlan,
    config: &StepConfig,
    key: impl Fn(usize) -> Key,
) -> (Outcome, Gradients) {
    let start = Instant::now();
    let plain = model.valid();
    let is_contrasted = plan.objectives.contains_key(&ObjectiveKind::Itc);
    let vectors: Vec<Option<Vectors>> = batches
        .iter()
        .enumerate()
        .map(|(index, batch)| {
            let (pass, objectives) = (config.pass(key(index)), plan.objectives());
            let declared = objectives.iter().map(|weighted| weighted.objective.pairs(batch, key(index)));
            let step = StepForward::new(&plain, batch, declared, &pass, key(index));
            is_contrasted.then(|| Itc::vectors(&step)).flatten()
        })
        .collect();
    let whole = BatchContrast::of(model, batches, &vectors, plan);
    let embedding = start.elapsed();

    let (mut outcome, mut gradients) = (Outcome::default(), Gradients::default());
    for (index, batch) in batches.iter().enumerate() {
        let gradient = whole.as_ref().and_then(|whole| whole.gradients[index].clone());
        let objectives = plan.with_contrast(gradient);
        let (batch_outcome, batch_gradients) = step::gradients(model, batch, &objectives, config, key(index));
        outcome.add(batch_outcome);
        gradients.add(batch_gradients);
    }
    outcome.divide(batches.len() as u64);
    gradients.scale(1.0 / batches.len() as f32);
    if let Some(BatchContrast { mut result, weighted_loss, temperature, .. }) = whole {
        result.forward += embedding;
        // The contrast is inserted at its usual place in the order of the objectives.
        let before = plan.objectives.keys().filter(|kind| **kind < ObjectiveKind::Itc).map(|kind| kind.name());
        let index = before.filter(|name| outcome.objectives.contains_key(*name)).count();
        outcome.objectives.shift_insert(index, ObjectiveKind::Itc.name().into(), result);
        outcome.total += weighted_loss;
        gradients.add(temperature);
    }
    (outcome, gradients)
}

/// The contrast over all micro-batches of a step.
struct BatchContrast {
    result: ObjectiveResult,
    /// The loss times its weight in the total.
    weighted_loss: f64,
    /// The gradient of the temperature, if it is learned.
    temperature: Gradients,
    /// For each micro-batch, the gradient of its vectors times the number of micro-batches. The mean over the micro-batches
    /// divides by this number again.
    gradients: Vec<Option<Vectors>>,
}

impl BatchContrast {
    /// `None` if there are fewer than two pairs, or the model has no contrast head.
    fn of(model: &Model, batches: &[TrainBatch], vectors: &[Option<Vectors>], plan: &StepPlan) -> Option<Self> {
        let (weight, head) = (*plan.objectives.get(&ObjectiveKind::Itc)?, model.heads.itc.as_ref()?);
        let existing = || vectors.iter().flatten();
        existing().next()?;
        let leaf = |of: fn(&Vectors) -> &Tensor<2>| {
            Tensor::cat(existing().map(|vectors| of(vectors).clone()).collect(), 0).autodiff().require_grad()
        };
        let (images, texts) = (leaf(|vectors| &vectors.images), leaf(|vectors| &vectors.texts));
        let hashes: Vec<(u64, u64)> = batches
            .iter()
            .zip(vectors)
            .filter(|(_, vectors)| vectors.is_some())
            .flat_map(|(batch, _)| batch.image_hashes.iter().copied().zip(batch.text_hashes.iter().copied()))
            .collect();
        let mask = duplicate_mask(hashes.len(), |i, j| hashes[i].0 == hashes[j].0 || hashes[i].1 == hashes[j].1);
        let loss = contrastive_loss(head.similarity(images.clone(), texts.clone()), mask)?;
        let result = ObjectiveResult::of(&loss);
        let mut graph = loss.value.mul_scalar(weight).backward();
        let gradient = |leaf: &Tensor<2>| Some(leaf.grad(&graph)?.mul_scalar(batches.len() as f64));
        let (images, texts) = (gradient(&images)?, gradient(&texts)?);
        let mut start = 0;
        let gradients = vectors
            .iter()
            .map(|vectors| {
                let rows = start..start + vectors.as_ref()?.images.dims()[0];
                start = rows.end;
                let of = |all: &Tensor<2>| all.clone().slice(rows.clone());
                Some(Vectors { images: of(&images), texts: of(&texts) })
            })
            .collect();
        Some(Self {
            weighted_loss: weight * result.loss,
            result,
            temperature: Gradients::take(model, &mut graph, &BlockGradients::default()),
            gradients,
        })
    }
}
