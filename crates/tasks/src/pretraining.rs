//! The pre-training task: masked language modelling, image-text matching and image-text contrast together (specification,
//! section 3). Models are validated by retrieval on the validation split.

pub mod cached;
mod held_out;
mod learnable;
mod plan;
mod usage;

use ptu_data::Preparation;
use ptu_input::Slot;
use ptu_model::{HeadKind, Model};
use serde_json::Value;

use held_out::HeldOut;
pub use held_out::HeldOutScore;
pub use plan::StepPlan;
use usage::{PROMPTS, PromptUsage};
pub use usage::{PoolLine, Prompts};

use ptu_evaluate::ALL_FOUND;
use ptu_train::gradients::Gradients;
use ptu_train::log::Fields;
use ptu_train::objective::{ObjectiveKind, Weighted};
use ptu_train::step::{MicroBatches, Outcome, StepConfig, mean_gradients};
use ptu_train::task::{Task, TrainingData, Validated, Validator};
use ptu_train::{Recipe, TrainError, folder};

use crate::validation;

/// The pre-training task with the `objectives` of a recipe.
pub struct Pretraining {
    plan: StepPlan,
    /// Whether the contrast is over the whole batch although it is computed in micro-batches.
    is_cached: bool,
    usage: PromptUsage,
    held_out: Option<HeldOut>,
}

impl Pretraining {
    /// The task with the settings of a recipe.
    pub fn of(recipe: &Recipe) -> Self {
        Self {
            plan: StepPlan::of(recipe),
            is_cached: recipe.train.cached_contrast,
            usage: PromptUsage::default(),
            held_out: None,
        }
    }
}

impl Task for Pretraining {
    fn objectives(&self) -> Vec<Weighted<'_>> {
        self.plan.objectives()
    }

    fn heads(&self) -> Vec<HeadKind> {
        self.plan.heads()
    }

    /// From images without a text only masked image modelling can learn.
    fn learns_from(&self, slot: Slot) -> bool {
        self.plan.objectives.contains_key(&ObjectiveKind::Mim) || !matches!(slot, Slot::Image(_))
    }

    fn check(&self, recipe: &Recipe, data: &[TrainingData], note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
        learnable::check(recipe, data, note)?;
        check_validation(recipe, data, note)
    }

    fn prepare(&mut self, recipe: &Recipe, model: &Model, preparation: &Preparation) -> Result<(), TrainError> {
        self.usage = PromptUsage::new(model.config());
        let gallery = validation::gallery(recipe, preparation, recipe.evaluate.gallery)?;
        self.held_out = gallery.map(|gallery| HeldOut::new(gallery, recipe));
        Ok(())
    }

    fn step(
        &mut self,
        model: &Model,
        batches: &mut MicroBatches<'_>,
        config: &StepConfig,
    ) -> Result<(Outcome, Gradients), TrainError> {
        let (outcome, gradients) = if self.is_cached {
            let (batches, keys): (Vec<_>, Vec<_>) = batches.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
            cached::gradients(model, &batches, &self.plan, config, |index| keys[index])
        } else {
            mean_gradients(model, batches, &self.plan.objectives(), config)?
        };
        self.usage.add(&outcome.chosen);
        Ok((outcome, gradients))
    }

    fn validator(&self) -> Option<&dyn Validator> {
        self.held_out.as_ref().map(|held_out| held_out as &dyn Validator)
    }

    fn validated(&self, fields: &Fields) -> Option<Validated> {
        Some(HeldOut::validated(&fields.get::<HeldOutScore>()?))
    }

    fn event(&mut self) -> Option<(&'static str, Fields)> {
        Some((PROMPTS, Fields::of(&self.usage.take()?)))
    }

    fn state(&self) -> Value {
        self.usage.to_save()
    }

    fn restore(&mut self, state: &Value) {
        self.usage.restore(state);
    }
}

/// Refuses a validation without pairs. Notes when there are so few pairs that the score cannot compare models.
fn check_validation(recipe: &Recipe, data: &[TrainingData], note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
    let pairs = validation::pairs(recipe, data)?;
    if pairs.is_some_and(|pairs| pairs <= ALL_FOUND as u64) && recipe.objectives.contains(&ObjectiveKind::Itc) {
        note(&format!(
            "split `validate` has only {} pairs: with at most {ALL_FOUND} pairs R@10 is always 1, so it cannot compare \
             models, and {}/ keeps the first model; prepare more than {ALL_FOUND} pairs for validation",
            pairs.unwrap_or_default(),
            folder::BEST
        ));
    }
    Ok(())
}
