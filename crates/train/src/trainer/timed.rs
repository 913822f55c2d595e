//! Times a few steps and a part of a validation before a run starts. This does not change the run: the weights are not updated,
//! and the random numbers of a step depend only on the seed and the number of the step, so the run draws the same ones again.

use std::time::Instant;

use burn::module::Module;
use ptu_data::Loader;
use ptu_random::Key;

use super::Observer;
use super::pace::Pace;
use super::session::Session;
use crate::TrainError;
use crate::step::StepConfig;

/// A step that takes more seconds than this is timed only once.
const SLOW: f64 = 10.0;

impl Session<'_> {
    /// Measures how long a step and a validation take; `timed` is the number of steps to time.
    pub(super) fn pace(&mut self, timed: u64, observer: &dyn Observer) -> Result<Pace, TrainError> {
        let step = self.step_seconds(timed, observer)?;
        let validator = self.task.validator().filter(|_| self.recipe.train.validate_every > 0);
        let validation = match validator {
            Some(validator) => validator.forecast(&self.model().valid(), Key::new(self.recipe.seed))?.as_secs_f64(),
            None => 0.0,
        };
        Ok(Pace { step, validation })
    }

    /// Mean time of a step in seconds. The first step is ignored if there are several.
    fn step_seconds(&mut self, timed: u64, observer: &dyn Observer) -> Result<f64, TrainError> {
        let parts = self.recipe.train.accumulate as u64;
        let from = self.progress.step;
        let range = from * parts..(from + timed) * parts;
        let mut loader = Loader::start(&self.sources, self.preparation.clone(), self.loader.clone(), range)?;
        let (config, mut seconds) = (StepConfig::of(&self.recipe), vec![]);
        // The counts of the timed steps must not stay in the task, so its state is restored afterwards.
        let state = self.task.state();
        for _ in 0..timed {
            let start = Instant::now();
            // The update of the weights is not timed: it would need memory for a second copy of the optimizer's moments, and
            // takes only about a fiftieth of a step.
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
