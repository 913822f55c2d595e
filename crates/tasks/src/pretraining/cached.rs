//! Cached contrast (GradCache; Gao et al., "Scaling deep contrastive learning batch size under memory limited setup", 2021):
//! a contrast over a batch of which only a part fits into memory.
//!
//! The parts are embedded one after another without gradient. The loss over all vectors gives the gradient of each vector.
//! Then every part is computed again, with the same dropout masks, and the gradient of its vectors goes on into the weights.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;
use ptu_data::TrainBatch;
use ptu_kernels::BlockGradients;
use ptu_model::Model;
use ptu_random::Key;
use ptu_train::forward::StepForward;
use ptu_train::gradients::Gradients;
use ptu_train::loss::{Itc, Vectors, contrast, same};
use ptu_train::objective::ObjectiveKind;
use ptu_train::step::{self, Measured, Outcome, StepConfig};

use crate::pretraining::StepPlan;

/// Means over the parts of losses and gradients, but for the contrast, which is one over all parts. `key` names a part's
/// draws.
pub fn gradients(
    model: &Model,
    parts: &[TrainBatch],
    plan: &StepPlan,
    config: &StepConfig,
    key: impl Fn(usize) -> Key,
) -> (Outcome, Gradients) {
    let start = Instant::now();
    let plain = model.valid();
    let is_contrasted = plan.objectives.contains_key(&ObjectiveKind::Itc);
    let vectors: Vec<Option<Vectors>> = parts
        .iter()
        .enumerate()
        .map(|(part, batch)| {
            let (pass, objectives) = (config.pass(key(part)), plan.objectives());
            let declared = objectives.iter().map(|weighted| weighted.objective.pairs(batch, key(part)));
            let step = StepForward::new(&plain, batch, declared, &pass, key(part));
            is_contrasted.then(|| Itc::vectors(&step)).flatten()
        })
        .collect();
    let whole = Whole::of(model, parts, &vectors, plan);
    let embedding = start.elapsed();

    let (mut outcome, mut gradients) = (Outcome::default(), Gradients::default());
    for (part, batch) in parts.iter().enumerate() {
        let gradient = whole.as_ref().and_then(|whole| whole.gradients[part].clone());
        let objectives = plan.with_contrast(gradient);
        let (of_part, of_weights) = step::gradients(model, batch, &objectives, config, key(part));
        outcome.add(of_part);
        gradients.add(of_weights);
    }
    outcome.divide(parts.len() as u64);
    gradients.scale(1.0 / parts.len() as f32);
    if let Some(Whole { mut measured, weighted, temperature, .. }) = whole {
        measured.forward += embedding;
        // In the order of the others, as if it had been computed with them.
        let before = plan.objectives.keys().filter(|kind| **kind < ObjectiveKind::Itc).map(|kind| kind.name());
        let place = before.filter(|name| outcome.objectives.contains_key(*name)).count();
        outcome.objectives.shift_insert(place, ObjectiveKind::Itc.name().into(), measured);
        outcome.total += weighted;
        gradients.add(temperature);
    }
    (outcome, gradients)
}

/// The contrast over all parts.
struct Whole {
    measured: Measured,
    /// The loss times its weight.
    weighted: f64,
    /// Of a learned temperature.
    temperature: Gradients,
    /// For each part the gradient of its vectors, times the number of parts: what the mean over parts takes away again.
    gradients: Vec<Option<Vectors>>,
}

impl Whole {
    /// `None` where nothing can be contrasted.
    fn of(model: &Model, parts: &[TrainBatch], vectors: &[Option<Vectors>], plan: &StepPlan) -> Option<Self> {
        let (weight, head) = (*plan.objectives.get(&ObjectiveKind::Itc)?, model.heads.itc.as_ref()?);
        let there = || vectors.iter().flatten();
        there().next()?;
        let leaf = |of: fn(&Vectors) -> &Tensor<2>| {
            Tensor::cat(there().map(|vectors| of(vectors).clone()).collect(), 0).autodiff().require_grad()
        };
        let (images, texts) = (leaf(|vectors| &vectors.images), leaf(|vectors| &vectors.texts));
        let hashes: Vec<(u64, u64)> = parts
            .iter()
            .zip(vectors)
            .filter(|(_, vectors)| vectors.is_some())
            .flat_map(|(part, _)| part.image_hashes.iter().copied().zip(part.text_hashes.iter().copied()))
            .collect();
        let hidden = same(hashes.len(), |i, j| hashes[i].0 == hashes[j].0 || hashes[i].1 == hashes[j].1);
        let loss = contrast(head.similarity(images.clone(), texts.clone()), hidden)?;
        let measured = Measured::of(&loss);
        let mut graph = loss.value.mul_scalar(weight).backward();
        let gradient = |leaf: &Tensor<2>| Some(leaf.grad(&graph)?.mul_scalar(parts.len() as f64));
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
            weighted: weight * measured.loss,
            measured,
            temperature: Gradients::take(model, &mut graph, &BlockGradients::default()),
            gradients,
        })
    }
}
