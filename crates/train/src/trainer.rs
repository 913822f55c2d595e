//! The loop: data in, steps, states, a bundle out. What it does at a step is a pure function of (state, step, data).

mod agree;
mod pace;
mod session;
mod setup;
mod timed;

use std::path::PathBuf;

use burn::tensor::Device;
use ptu_data::{Preparation, WeightedSource};
use ptu_model::Model;

pub use pace::{Pace, spoken};

use crate::log::{Event, Timing};
use crate::task::{Task, Validated};
use crate::{Recipe, TrainError};

/// Where a run is kept and how it starts.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The run folder.
    pub out: PathBuf,
    /// Go on with the run in the folder, if there is one.
    pub resume: bool,
    /// What computes.
    pub device: Device,
    /// Seconds since 1970, for TensorBoard only.
    pub wall_time: fn() -> f64,
}

/// What a run tells while it goes on, and whether it should stop.
pub trait Observer {
    /// Something worth a line.
    fn note(&mut self, _text: &str) {}
    /// What was timed before the first step.
    fn paced(&mut self, _pace: &Pace) {}
    /// A step is done.
    fn step(&mut self, _event: &Event, _timing: &Timing, _steps: u64) {}
    /// The model was validated.
    fn validated(&mut self, _step: u64, _found: &Validated) {}
    /// Whether a wish to stop is heard from now on; else the work may be ended at any moment, and nothing is lost.
    fn saves(&mut self, _saves: bool) {}
    /// Asked after each step: true saves the state and ends the run.
    fn stop(&self) -> bool {
        false
    }
}

/// What is known of a run before its first step.
pub struct Opened<'a> {
    /// How fast the machine is.
    pub pace: Pace,
    /// As it is so far.
    pub recipe: &'a Recipe,
    /// The model before it learns.
    pub model: &'a Model,
    /// How records become inputs.
    pub preparation: &'a Preparation,
    /// What is learned from.
    pub sources: &'a [WeightedSource],
}

/// Changes what is left open of a recipe, knowing how fast the machine is, and says how long the run will take.
pub type Plan<'a> = &'a mut dyn FnMut(&Opened<'_>) -> Result<(Recipe, String), TrainError>;

/// An observer that says nothing.
pub struct Silent;

impl Observer for Silent {}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Steps done, earlier sittings included.
    pub steps: u64,
    /// Whether these are all steps of the recipe.
    pub finished: bool,
    /// Where the model is.
    pub bundle: PathBuf,
}

/// Trains a model for a task, whose objectives take the place of the recipe's; everything goes into one folder.
///
/// With `resume`, goes on after the last saved state, to the same bits as if it had never stopped (same number of
/// threads); a finished run is left as it is, unless the recipe differs from its own in `train.steps` alone, which are more:
/// then it is extended (see [`Recipe::schedule_at`]).
///
/// # Errors
/// What the recipe, the data or the folder make impossible, and what the task says; each names its cause and cure, and loses nothing.
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

/// [`train`] by a recipe that `plan` finishes for a new run, once it is known how fast the machine is; one that is resumed has
/// been planned.
///
/// # Errors
/// As there, and whatever `plan` says.
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
