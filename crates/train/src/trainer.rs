//! The loop: data in, steps, states, a bundle out. What it does at a step is a pure function of (state, step, data).

mod session;
mod setup;

use std::path::PathBuf;

use burn::tensor::Device;

use crate::evaluate::Judged;
use crate::log::{Event, Timing};
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
    /// A step is done.
    fn step(&mut self, _event: &Event, _timing: &Timing, _steps: u64) {}
    /// The model was validated.
    fn validated(&mut self, _step: u64, _judged: &Judged) {}
    /// Asked after each step: true saves the state and ends the run.
    fn stop(&self) -> bool {
        false
    }
}

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

/// Pre-trains as the recipe says; everything goes into one folder.
///
/// With `resume`, goes on after the last saved state, to the same bits as if it had never stopped (same number of
/// threads); a finished run is left as it is.
///
/// # Errors
/// What the recipe, the data or the folder make impossible; each names its cause and cure, and loses nothing.
pub fn pretrain(recipe: &Recipe, options: &RunOptions, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let mut session = setup::open(recipe, options, observer)?;
    session.run(observer)
}
