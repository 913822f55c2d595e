//! The trait [`Task`]: what a model is trained for. The training loop uses a task only through this trait.

use std::time::Duration;

use ptu_data::{Manifest, Preparation, WeightedSource};
use ptu_input::Slot;
use ptu_model::config::DecoderConfig;
use ptu_model::{HeadKind, Model, Outputs};
use ptu_random::Key;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::gradients::Gradients;
use crate::log::Fields;
use crate::objective::Weighted;
use crate::recipe::Recipe;
use crate::step::{MicroBatches, Outcome, StepConfig, mean_gradients};

/// What a model is trained for. A task must implement [`Self::objectives`] and [`Self::heads`]; the other methods have
/// defaults. All random numbers of a step must come from the keys that the task receives, so that a resumed run draws the same
/// numbers.
pub trait Task {
    /// The objectives, in the order in which a step computes them and the log lists them.
    fn objectives(&self) -> Vec<Weighted<'_>>;

    /// The heads that the task trains. The model has no other heads.
    fn heads(&self) -> Vec<HeadKind>;

    /// Number of outputs of each task head among [`Self::heads`].
    fn outputs(&self) -> Outputs {
        Outputs::default()
    }

    /// The decoder that the task trains; `None` if it writes no text. The model then has no decoder.
    fn decoder(&self) -> Option<DecoderConfig> {
        None
    }

    /// Reads what the task must know before the model exists, for example the classes, and replaces each source by a view of its
    /// records as the task reads them. Called first.
    ///
    /// # Errors
    /// When records cannot be read, or the task cannot be learned from them.
    fn open(
        &mut self,
        _recipe: &Recipe,
        _data: &mut [TrainingData],
        _note: &mut dyn FnMut(&str),
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// Changes how records become inputs, where the task needs another way than pre-training.
    fn preparation(&self, preparation: Preparation) -> Preparation {
        preparation
    }

    /// What the outputs of the model mean, for the bundle (`task.json`). `started_from` is the fingerprint of the bundle from
    /// which training started. The loop adds `cached_images` to an object, if it cached the outputs of a frozen image encoder.
    fn description(&self, _started_from: Option<&str>) -> Option<serde_json::Value> {
        None
    }

    /// Whether the task learns from records of this kind: pairs, images without a text, or texts without an image. The row in
    /// the slot does not matter. Records from which it does not learn are counted as unused, and their hashes are not stored in
    /// the bundle.
    fn learns_from(&self, _slot: Slot) -> bool {
        true
    }

    /// Checks recipe and data before any file is written. Messages for the user go to `note`.
    ///
    /// # Errors
    /// When the model could not learn from them; the message names the cause and what to change.
    fn check(&self, _recipe: &Recipe, _data: &[TrainingData], _note: &mut dyn FnMut(&str)) -> Result<(), TrainError> {
        Ok(())
    }

    /// Prepares the task when the model and the preparation of the data exist, for example by reading the validation data.
    ///
    /// # Errors
    /// When records cannot be read.
    fn prepare(&mut self, _recipe: &Recipe, _model: &Model, _preparation: &Preparation) -> Result<(), TrainError> {
        Ok(())
    }

    /// Computes losses and gradients of a step, whose batch comes in micro-batches (`train.accumulate`). The default computes the
    /// means of [`Self::objectives`] over the micro-batches.
    ///
    /// # Errors
    /// When a micro-batch cannot be loaded.
    fn step(
        &mut self,
        model: &Model,
        batches: &mut MicroBatches<'_>,
        config: &StepConfig,
    ) -> Result<(Outcome, Gradients), TrainError> {
        mean_gradients(model, batches, &self.objectives(), config)
    }

    /// The validator that scores the model during training, if there is one.
    fn validator(&self) -> Option<&dyn Validator> {
        None
    }

    /// Reads the result of a validation from the log. The default reads the form that [`Validated::new`] writes.
    fn validated(&self, fields: &Fields) -> Option<Validated> {
        let ScoreFields { score, value, chance } = fields.get()?;
        Some(Validated::new(&score, value, chance))
    }

    /// What the task has counted since the last call, for the log: the name of the event and its values. Called every
    /// `save_every` steps.
    fn event(&mut self) -> Option<(&'static str, Fields)> {
        None
    }

    /// What the task has counted since the last [`Self::event`], for a saved state; null when there is nothing.
    fn state(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Restores what [`Self::state`] returned.
    fn restore(&mut self, _state: &serde_json::Value) {}
}

/// A folder of shards with training data.
pub struct TrainingData {
    /// The training records.
    pub source: WeightedSource,
    /// The manifest of the folder, with the counts of all splits.
    pub manifest: Manifest,
}

/// Scores a model during training. The best model of a run is chosen by this score.
pub trait Validator {
    /// Scores a model. Random numbers come from `key`.
    ///
    /// # Errors
    /// When inputs do not fit the model.
    fn validate(&self, model: &Model, key: Key) -> Result<Validated, TrainError>;

    /// Estimates how long a validation takes, by doing a small part of it; 0 when this is not known.
    ///
    /// # Errors
    /// The same as those of [`Self::validate`].
    fn forecast(&self, _model: &Model, _key: Key) -> Result<Duration, TrainError> {
        Ok(Duration::ZERO)
    }
}

/// The result of a validation.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// Name of the score.
    pub name: String,
    /// The score; larger for a better model. `None` when it is undefined.
    pub value: Option<f64>,
    /// The chance level: the score of random guessing, if it is known.
    pub chance: Option<f64>,
    /// The whole result as a line for people.
    pub line: String,
    /// The whole result for the log.
    pub fields: Fields,
}

/// The default form of a validation in the log.
#[derive(Serialize, Deserialize)]
struct ScoreFields {
    score: String,
    value: Option<f64>,
    chance: Option<f64>,
}

impl Validated {
    /// The result of a validation that consists of a single score, and its chance level if it is known.
    pub fn new(name: &str, value: Option<f64>, chance: Option<f64>) -> Self {
        let shown = |value: Option<f64>| value.map_or("undefined".into(), |value| format!("{value:.3}"));
        let fields = Fields::of(&ScoreFields { score: name.into(), value, chance });
        let line = format!("{name} {} (chance level {})", shown(value), shown(chance));
        Self { name: name.into(), value, chance, line, fields }
    }
}
