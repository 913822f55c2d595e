//! The training loop: it reads data, computes steps, saves states and writes a bundle. What it computes in a step depends only on
//! the state, the number of the step and the data.

mod image_cache;
mod pace;
mod resume;
mod session;
mod setup;
mod standardise;
mod timed;

use std::path::PathBuf;

use burn::tensor::Device;
use ptu_data::{Preparation, WeightedSource};
use ptu_model::Model;

pub use pace::{Pace, format_duration};

use crate::log::{Event, Timing};
use crate::task::{Task, Validated};
use crate::{Recipe, TrainError};

/// Where a run is stored and how it starts.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The run folder.
    pub out: PathBuf,
    /// Whether to continue the run in the folder, if there is one.
    pub resume: bool,
    /// The device that computes.
    pub device: Device,
    /// Returns the time in seconds since 1970. It is used for TensorBoard only.
    pub wall_time: fn() -> f64,
}

/// Receives reports about a run while it goes on, and can stop it. Every method has a default that does nothing.
pub trait Observer {
    /// Receives a message for the user, one line of text.
    fn note(&mut self, _text: &str) {}
    /// Called during work before the first step: what is done, how many items are done, and of how many.
    fn working(&mut self, _what: &str, _done: u64, _all: u64) {}
    /// Called when a run begins or goes on, before its first step here, with the times that were measured; a short run is not measured.
    fn begins(&mut self, _pace: Option<&Pace>) {}
    /// Called after each step; `_steps` is the number of steps of the recipe.
    fn step(&mut self, _event: &Event, _timing: &Timing, _steps: u64) {}
    /// Called after each validation.
    fn validated(&mut self, _step: u64, _found: &Validated) {}
    /// Called when a new phase of work begins. With `true`, the work must be stopped by [`Self::stop`], so that its state is
    /// saved. With `false`, the process may be ended at any moment, and nothing is lost.
    fn saves(&mut self, _saves: bool) {}
    /// Called after each step. When it returns `true`, the state is saved and the run ends.
    fn stop(&self) -> bool {
        false
    }
}

/// What is known about a run before its first step.
pub struct Opened<'a> {
    /// How long a step and a validation take on this machine.
    pub pace: Pace,
    /// The recipe, before the plan changes it.
    pub recipe: &'a Recipe,
    /// The model before training.
    pub model: &'a Model,
    /// How records become inputs.
    pub preparation: &'a Preparation,
    /// The training data.
    pub sources: &'a [WeightedSource],
}

/// Completes a recipe when the speed of the machine is known. Returns the recipe and a note for the user, which says how long the
/// run will take.
pub type Plan<'a> = &'a mut dyn FnMut(&Opened<'_>) -> Result<(Recipe, String), TrainError>;

/// An observer that ignores all reports.
pub struct Silent;

impl Observer for Silent {}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Steps done, including those before the run was resumed.
    pub steps: u64,
    /// Whether all steps of the recipe are done.
    pub finished: bool,
    /// The folder of the trained model.
    pub bundle: PathBuf,
    /// The best validation score; `None` if there was no validation, or the score was undefined.
    pub best: Option<f64>,
}

/// Trains a model for a task. The objectives of the task are used, not those of the recipe. All files are written into one
/// folder.
///
/// With `resume`, the run continues after the last saved state. The result is equal to the bit to that of a run that was never
/// stopped, with the same number of threads. A finished run is not changed, with one exception: when the recipe differs from
/// that of the run only in a larger `train.steps`, the run is extended (see [`Recipe::schedule_at`]).
///
/// # Errors
/// When the recipe, the data or the folder make the run impossible, or the task returns an error. Each message names the cause
/// and what to change. Saved files are kept.
pub fn train(
    task: &mut dyn Task,
    recipe: &Recipe,
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let mut session = setup::open(task, recipe, options, observer)?;
    session.begin(None, observer)?;
    session.run(observer)
}

/// Like [`train`], but `plan` completes the recipe of a new run once the speed of the machine is known. For a run that is
/// resumed, `plan` is not called, because its recipe is already complete.
///
/// # Errors
/// The errors of [`train`], and those of `plan`.
pub fn train_planned(
    task: &mut dyn Task,
    recipe: &Recipe,
    options: &RunOptions,
    plan: Plan<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let mut session = setup::open(task, recipe, options, observer)?;
    session.begin(Some(plan), observer)?;
    session.run(observer)
}
