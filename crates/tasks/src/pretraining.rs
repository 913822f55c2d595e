//! Pre-training as a task: masked language modelling, image-text matching and image-text contrast at once (specification,
//! section 3), judged by retrieval on the validation split.

pub mod cached;
mod learnable;
mod plan;
mod usage;

use ptu_data::{DataError, Preparation, ShardFolder, Split};
use ptu_input::Slot;
use ptu_model::{HeadKind, Model};
use serde_json::Value;

pub use plan::StepPlan;
use usage::{PROMPTS, PromptUsage};
pub use usage::{PoolLine, Prompts};

use ptu_evaluate::{ALL_FOUND, EvaluateError, Gallery, GalleryOptions, ValidationScore};
use ptu_train::gradients::Gradients;
use ptu_train::log::Fields;
use ptu_train::objective::{ObjectiveKind, Weighted};
use ptu_train::step::{Outcome, Parts, StepConfig, mean_gradients};
use ptu_train::task::{Task, TrainingData, Validated, Validator};
use ptu_train::{Recipe, TrainError, folder};

/// The task of a recipe's `objectives`.
pub struct Pretraining {
    plan: StepPlan,
    /// The contrast is over the whole batch although it is computed in parts.
    is_cached: bool,
    usage: PromptUsage,
    gallery: Option<Gallery>,
}

impl Pretraining {
    /// As a recipe says.
    pub fn of(recipe: &Recipe) -> Self {
        Self {
            plan: StepPlan::of(recipe),
            is_cached: recipe.train.cached_contrast,
            usage: PromptUsage::default(),
            gallery: None,
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

    /// No objective learns from an image without a text yet.
    fn learns_from(&self, slot: Slot) -> bool {
        !matches!(slot, Slot::Image(_))
    }

    fn check(&self, recipe: &Recipe, data: &[TrainingData], note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
        learnable::check(recipe, data, note)?;
        check_validation(recipe, data, note)
    }

    fn prepare(&mut self, recipe: &Recipe, model: &Model, preparation: &Preparation) -> Result<(), TrainError> {
        self.usage = PromptUsage::new(model.config());
        self.gallery = validation(recipe, preparation)?;
        Ok(())
    }

    fn step(
        &mut self,
        model: &Model,
        parts: &mut Parts<'_>,
        config: &StepConfig,
    ) -> Result<(Outcome, Gradients), TrainError> {
        let (outcome, gradients) = if self.is_cached {
            let (batches, keys): (Vec<_>, Vec<_>) = parts.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
            cached::gradients(model, &batches, &self.plan, config, |part| keys[part])
        } else {
            mean_gradients(model, parts, &self.plan.objectives(), config)?
        };
        self.usage.add(&outcome.chosen);
        Ok((outcome, gradients))
    }

    fn validator(&self) -> Option<&dyn Validator> {
        self.gallery.as_ref().map(|gallery| gallery as &dyn Validator)
    }

    fn validated(&self, fields: &Fields) -> Option<Validated> {
        Some(fields.get::<ValidationScore>()?.validated())
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

/// Refuses a validation without pairs, and says where its score cannot tell models apart.
fn check_validation(recipe: &Recipe, data: &[TrainingData], note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
    let every = recipe.train.validate_every;
    if every == 0 {
        return Ok(());
    }
    match data.iter().map(|one| one.manifest.counts(Split::Validate).pairs).sum::<u64>() {
        0 => {
            let data: Vec<String> = recipe.data.iter().map(|entry| format!("`{}`", entry.path.display())).collect();
            Err(TrainError::NoValidation { every, data: data.join(", ") })
        }
        pairs if pairs <= ALL_FOUND as u64 && recipe.objectives.contains(&ObjectiveKind::Itc) => {
            note(&format!(
                "split `validate` has {pairs} pairs: its R@10 is 1 whatever the model does, so it says nothing and {}/ is the first \
                 model; more than {ALL_FOUND} pairs would",
                folder::BEST
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Pairs of the validation splits; `None` where there are none or no validation is asked for.
fn validation(recipe: &Recipe, preparation: &Preparation) -> Result<Option<Gallery>, TrainError> {
    if recipe.train.validate_every == 0 {
        return Ok(None);
    }
    let mut all: Option<Gallery> = None;
    for entry in &recipe.data {
        let shards = match ShardFolder::open(&entry.path, Split::Validate) {
            Err(DataError::NoRecords { .. }) => continue,
            opened => opened?,
        };
        let options = GalleryOptions {
            text: recipe.evaluate.text.choice(recipe.seed),
            limit: recipe.evaluate.gallery,
            hits: recipe.evaluate.hits.clone(),
            by: None,
            seed: recipe.seed,
        };
        match Gallery::read(&shards, preparation, &options) {
            Ok(gallery) => match &mut all {
                Some(all) => all.records.extend(gallery.records),
                None => all = Some(gallery),
            },
            Err(EvaluateError::Nothing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}
