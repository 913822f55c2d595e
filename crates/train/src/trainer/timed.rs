//! A few steps, and a part of a validation, are timed before a run starts. They change nothing: the weights that they lead to
//! are thrown away, and every random number of a step is named by the step, so that the run draws the same again.

use std::time::Instant;

use burn::module::Module;
use ptu_data::Loader;
use ptu_random::Key;

use super::Observer;
use super::pace::Pace;
use super::session::Session;
use crate::TrainError;
use crate::step::StepConfig;

/// A step of so many seconds is timed once.
const SLOW: f64 = 10.0;

impl Session<'_> {
    /// Times the next steps and a validation.
    pub(super) fn pace(&mut self, timed: u64, observer: &dyn Observer) -> Result<Pace, TrainError> {
        let step = self.step_seconds(timed, observer)?;
        let validator = self.task.validator().filter(|_| self.recipe.train.validate_every > 0);
        let validation = match validator {
            Some(validator) => validator.forecast(&self.model().valid(), Key::new(self.recipe.seed))?.as_secs_f64(),
            None => 0.0,
        };
        Ok(Pace { step, validation })
    }

    fn step_seconds(&mut self, timed: u64, observer: &dyn Observer) -> Result<f64, TrainError> {
        let parts = self.recipe.train.accumulate as u64;
        let from = self.progress.step;
        let range = from * parts..(from + timed) * parts;
        let mut loader = Loader::start(&self.sources, self.preparation.clone(), self.loader.clone(), range)?;
        let (config, mut seconds) = (StepConfig::of(&self.recipe), vec![]);
        // What is only timed is not counted.
        let state = self.task.state();
        for _ in 0..timed {
            let start = Instant::now();
            // Without the update, which would need room for a second copy of its moments; it takes about a fiftieth of a step.
            self.compute(&mut loader, &config)?;
            seconds.push(start.elapsed().as_secs_f64());
            if seconds[0] > SLOW || observer.stop() {
                break;
            }
        }
        self.task.restore(&state);
        let counted = if seconds.len() > 1 { &seconds[1..] } else { &seconds[..] };
        Ok(counted.iter().sum::<f64>() / counted.len().max(1) as f64)
    }
}
