//! The objectives of a pre-training step.

use std::collections::BTreeMap;

use ptu_data::TrainBatch;
use ptu_model::{HeadKind, Model};
use ptu_random::Key;
use ptu_train::Recipe;
use ptu_train::gradients::Gradients;
use ptu_train::loss::{CachedItc, Itc, Itm, Mim, Mlm, Vectors};
use ptu_train::objective::{Objective, ObjectiveKind, Weighted, default_weight};
use ptu_train::recipe::{ItmConfig, MlmConfig};
use ptu_train::step::{self, Outcome, StepConfig};

/// The objectives of a step, with their weights and settings.
#[derive(Clone, Debug, Default)]
pub struct StepPlan {
    /// The objectives, with the factors of their losses in the total.
    pub objectives: BTreeMap<ObjectiveKind, f64>,
    /// Settings of masked language modelling.
    pub mlm: MlmConfig,
    /// Settings of image-text matching.
    pub itm: ItmConfig,
}

impl StepPlan {
    /// The objectives of a recipe.
    pub fn of(recipe: &Recipe) -> Self {
        let weight = |kind: &ObjectiveKind| recipe.weights.get(kind).copied().unwrap_or(default_weight(*kind));
        Self {
            objectives: recipe.objectives.iter().map(|kind| (*kind, weight(kind))).collect(),
            mlm: recipe.mlm,
            itm: recipe.itm,
        }
    }

    /// The objectives, in the order in which a step computes them.
    pub fn objectives(&self) -> Vec<Weighted<'static>> {
        let one = |(&kind, &weight): (&ObjectiveKind, &f64)| {
            let objective: Box<dyn Objective> = match kind {
                ObjectiveKind::Mlm => Box::new(Mlm { config: self.mlm, is_text_only: false }),
                ObjectiveKind::MlmTextOnly => Box::new(Mlm { config: self.mlm, is_text_only: true }),
                ObjectiveKind::Mim => Box::new(Mim { is_image_only: false }),
                ObjectiveKind::MimImageOnly => Box::new(Mim { is_image_only: true }),
                ObjectiveKind::Itc => Box::new(Itc),
                ObjectiveKind::Itm => Box::new(Itm(self.itm)),
            };
            Weighted { name: kind.name().into(), weight, objective }
        };
        self.objectives.iter().map(one).collect()
    }

    /// The objectives of a micro-batch when the contrast over all micro-batches was already computed: the vectors of the
    /// micro-batch receive their `gradient` from it.
    pub(super) fn with_contrast(&self, gradient: Option<Vectors>) -> Vec<Weighted<'static>> {
        let mut objectives = self.objectives();
        if let Some(contrast) = objectives.iter_mut().find(|one| one.name == ObjectiveKind::Itc.name()) {
            (contrast.weight, contrast.objective) = (1.0, Box::new(CachedItc { gradient }));
        }
        objectives
    }

    /// The heads that the objectives train, each once.
    pub fn heads(&self) -> Vec<HeadKind> {
        let heads = self.objectives.keys().map(|kind| kind.head());
        heads.fold(vec![], |mut all, head| {
            if !all.contains(&head) {
                all.push(head);
            }
            all
        })
    }

    /// Whether removed patches of images are predicted.
    pub fn models_images(&self) -> bool {
        self.objectives.keys().any(|kind| kind.head() == HeadKind::Mim)
    }

    /// Computes [`step::gradients`] for these objectives.
    pub fn gradients(&self, model: &Model, batch: &TrainBatch, config: &StepConfig, key: Key) -> (Outcome, Gradients) {
        step::gradients(model, batch, &self.objectives(), config, key)
    }
}
