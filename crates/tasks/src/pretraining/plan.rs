//! The objectives of a step of pre-training.

use std::collections::BTreeMap;

use ptu_data::TrainBatch;
use ptu_model::{HeadKind, Model};
use ptu_random::Key;
use ptu_train::Recipe;
use ptu_train::gradients::Gradients;
use ptu_train::loss::{CachedItc, Itc, Itm, Mlm, Vectors};
use ptu_train::objective::{Objective, ObjectiveKind, Weighted, default_weight};
use ptu_train::recipe::PartnerChoice;
use ptu_train::step::{self, Outcome, StepConfig};

/// Which objectives a step has.
#[derive(Clone, Debug, Default)]
pub struct StepPlan {
    /// Objectives with their weights in the total.
    pub objectives: BTreeMap<ObjectiveKind, f64>,
    /// How false images are chosen.
    pub partners: PartnerChoice,
}

impl StepPlan {
    /// What a recipe asks for.
    pub fn of(recipe: &Recipe) -> Self {
        let weight = |kind: &ObjectiveKind| recipe.weights.get(kind).copied().unwrap_or(default_weight(*kind));
        Self {
            objectives: recipe.objectives.iter().map(|kind| (*kind, weight(kind))).collect(),
            partners: recipe.itm.partners,
        }
    }

    /// The objectives, in the order in which a step computes them.
    pub fn objectives(&self) -> Vec<Weighted<'static>> {
        let one = |(&kind, &weight): (&ObjectiveKind, &f64)| {
            let objective: Box<dyn Objective> = match kind {
                ObjectiveKind::Mlm => Box::new(Mlm),
                ObjectiveKind::Itc => Box::new(Itc),
                ObjectiveKind::Itm => Box::new(Itm { partners: self.partners }),
            };
            Weighted { name: kind.name().into(), weight, objective }
        };
        self.objectives.iter().map(one).collect()
    }

    /// [`Self::objectives`] of a part of a batch over all parts of which the contrast was computed before: the part's vectors
    /// get their gradient of it.
    pub(super) fn with_contrast(&self, gradient: Option<Vectors>) -> Vec<Weighted<'static>> {
        let mut objectives = self.objectives();
        if let Some(contrast) = objectives.iter_mut().find(|one| one.name == ObjectiveKind::Itc.name()) {
            (contrast.weight, contrast.objective) = (1.0, Box::new(CachedItc { gradient }));
        }
        objectives
    }

    /// The heads that they train.
    pub fn heads(&self) -> Vec<HeadKind> {
        self.objectives.keys().map(|kind| kind.head()).collect()
    }

    /// [`step::gradients`] of these objectives.
    pub fn gradients(&self, model: &Model, batch: &TrainBatch, config: &StepConfig, key: Key) -> (Outcome, Gradients) {
        step::gradients(model, batch, &self.objectives(), config, key)
    }
}
