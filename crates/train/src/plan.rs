//! What a step computes.

use std::collections::BTreeMap;

use ptu_model::Pass;
use ptu_model::kernel::ComputePrecision;
use ptu_random::Key;

use crate::loss::{Itc, Itm, Mlm};
use crate::objective::{Objective, ObjectiveKind, default_weight};
use crate::recipe::{Checkpointing, PartnerChoice, Recipe};

/// What is computed in a step, apart from model and data.
#[derive(Clone, Debug, Default)]
pub struct StepPlan {
    /// Objectives with their weights in the total.
    pub objectives: BTreeMap<ObjectiveKind, f64>,
    /// How false images are chosen.
    pub partners: PartnerChoice,
    /// Share of activations dropped.
    pub dropout: f64,
    /// What is kept for the backward pass.
    pub checkpointing: Checkpointing,
    /// Share of an image's patches that goes in; `None` for all.
    pub patch_keep: Option<f64>,
    /// In what linear maps and attention multiply.
    pub products: ComputePrecision,
}

/// An objective of a step.
pub struct Weighted {
    /// By name.
    pub kind: ObjectiveKind,
    /// What it is multiplied with in the total.
    pub weight: f64,
    /// What it computes.
    pub objective: Box<dyn Objective>,
}

impl StepPlan {
    /// The objectives, in the order in which a step computes them.
    pub fn objectives(&self) -> Vec<Weighted> {
        let one = |(&kind, &weight): (&ObjectiveKind, &f64)| Weighted {
            kind,
            weight,
            objective: match kind {
                ObjectiveKind::Mlm => Box::new(Mlm),
                ObjectiveKind::Itc => Box::new(Itc),
                ObjectiveKind::Itm => Box::new(Itm { partners: self.partners }),
            },
        };
        self.objectives.iter().map(one).collect()
    }

    /// What a recipe asks for.
    pub fn of(recipe: &Recipe) -> Self {
        let weight = |kind: &ObjectiveKind| recipe.weights.get(kind).copied().unwrap_or(default_weight(*kind));
        Self {
            objectives: recipe.objectives.iter().map(|kind| (*kind, weight(kind))).collect(),
            partners: recipe.itm.partners,
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
