//! What a run trains a model for: the loop knows nothing of it but this.

use std::time::Duration;

use ptu_data::{Manifest, Preparation, WeightedSource};
use ptu_input::Slot;
use ptu_model::{HeadKind, Model};
use ptu_random::Key;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::gradients::Gradients;
use crate::log::Fields;
use crate::objective::Weighted;
use crate::recipe::Recipe;
use crate::step::{Outcome, Parts, StepConfig, mean_gradients};

/// What a model is trained for. Only [`Self::objectives`] and [`Self::heads`] must be said; what a task leaves out is done the
/// usual way. Whatever it draws at a step, it draws from the keys that it is given, so that a run that is resumed draws the same.
pub trait Task {
    /// What it learns by, in the order in which a step computes it and the log tells it.
    fn objectives(&self) -> Vec<Weighted<'_>>;

    /// The heads that it trains: the model gets no others.
    fn heads(&self) -> Vec<HeadKind>;

    /// Whether something is learned from pairs, images alone, texts alone; the row does not matter. Records of which nothing is
    /// learned are counted as unused, and the bundle does not list them among what the model knows.
    fn learns_from(&self, _slot: Slot) -> bool {
        true
    }

    /// Looks at recipe and data before anything is written; `note` tells people what they should know.
    ///
    /// # Errors
    /// What makes it impossible to learn from them, with its cause and cure.
    fn check(&self, _recipe: &Recipe, _data: &[TrainingData], _note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
        Ok(())
    }

    /// Gets ready once model and preparation stand: reads what it validates on.
    ///
    /// # Errors
    /// Records that cannot be read.
    fn prepare(&mut self, _recipe: &Recipe, _model: &Model, _preparation: &Preparation) -> Result<(), TrainError> {
        Ok(())
    }

    /// Losses and gradients of a step, whose batch comes in parts (`train.accumulate`): by default the means of
    /// [`Self::objectives`] over the parts.
    ///
    /// # Errors
    /// A part that cannot be loaded.
    fn step(
        &mut self,
        model: &Model,
        parts: &mut Parts<'_>,
        config: &StepConfig,
    ) -> Result<(Outcome, Gradients), TrainError> {
        mean_gradients(model, parts, &self.objectives(), config)
    }

    /// What judges the model while it learns.
    fn validator(&self) -> Option<&dyn Validator> {
        None
    }

    /// What a validation found, read back from the log; the usual form is that of [`Validated::new`].
    fn validated(&self, fields: &Fields) -> Option<Validated> {
        let Scored { score, value, chance } = fields.get()?;
        Some(Validated::new(&score, value, chance))
    }

    /// What it counted since this was last asked, for the log: the name of the event and what it says. Asked every `save_every`
    /// steps.
    fn event(&mut self) -> Option<(&'static str, Fields)> {
        None
    }

    /// What it counted and has not told yet, for a saved state; null where there is nothing.
    fn state(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Goes on with what [`Self::state`] gave.
    fn restore(&mut self, _state: &serde_json::Value) {}
}

/// A folder of shards that is learned from.
pub struct TrainingData {
    /// Its training records.
    pub source: WeightedSource,
    /// What it holds in all.
    pub manifest: Manifest,
}

/// Judges a model while it learns; the best model of a run is chosen by it.
pub trait Validator {
    /// Scores a model; what is drawn is drawn by `key`.
    ///
    /// # Errors
    /// Inputs that do not fit the model.
    fn validate(&self, model: &Model, key: Key) -> Result<Validated, TrainError>;

    /// About how long it takes, from a small part of the work; 0 where that is not known.
    ///
    /// # Errors
    /// As [`Self::validate`].
    fn forecast(&self, _model: &Model, _key: Key) -> Result<Duration, TrainError> {
        Ok(Duration::ZERO)
    }
}

/// What a validation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// What the number is.
    pub name: String,
    /// The number, larger for a better model; `None` where it is undefined.
    pub value: Option<f64>,
    /// What a guess would score, where that is known.
    pub chance: Option<f64>,
    /// All of it in a line for people.
    pub line: String,
    /// All of it for the log.
    pub fields: Fields,
}

/// The usual form of a validation in the log.
#[derive(Serialize, Deserialize)]
struct Scored {
    score: String,
    value: Option<f64>,
    chance: Option<f64>,
}

impl Validated {
    /// A single number, and what a guess would score.
    pub fn new(name: &str, value: Option<f64>, chance: Option<f64>) -> Self {
        let shown = |value: Option<f64>| value.map_or("undefined".into(), |value| format!("{value:.3}"));
        let fields = Fields::of(&Scored { score: name.into(), value, chance });
        let line = format!("{name} {} (chance {})", shown(value), shown(chance));
        Self { name: name.into(), value, chance, line, fields }
    }
}
