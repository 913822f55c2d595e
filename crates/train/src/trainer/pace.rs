//! How long a run will take: a few steps, and a part of a validation, are timed before it starts. They change nothing: the weights that
//! they lead to are thrown away, and every random number of a step is named by the step, so that the run draws the same again.

use std::time::Instant;

use burn::module::Module;
use ptu_data::Loader;
use ptu_random::Key;

use super::Observer;
use super::session::Session;
use crate::step::StepConfig;
use crate::{Recipe, TrainError};

/// Steps that are timed, at most; the first is slower than those behind it, and counts only where it is alone.
pub(super) const TIMED: u64 = 3;
/// A step of so many seconds is timed once.
const SLOW: f64 = 10.0;

/// Seconds that parts of a run take on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// A step.
    pub step: f64,
    /// A validation.
    pub validation: f64,
}

impl Pace {
    /// Seconds of a run from a step to its end, validations included.
    pub fn training(&self, recipe: &Recipe, from: u64) -> f64 {
        let steps = recipe.train.steps.saturating_sub(from) as f64;
        let validations = match recipe.train.validate_every {
            0 => 0.0,
            every => (steps / every as f64).ceil(),
        };
        steps * self.step + validations * self.validation
    }
}

/// A time as people say it: `12 s`, `4 min 10 s`, `3 h 2 min`.
pub fn spoken(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn durations_are_said_in_two_units() {
        assert_eq!(spoken(12.4), "12 s");
        assert_eq!(spoken(59.7), "1 min 0 s");
        assert_eq!(spoken(3_725.0), "1 h 2 min");
        assert_eq!(spoken(90_000.0), "1 d 1 h");
    }

    #[test]
    fn a_run_takes_its_steps_and_validations() {
        let text = "data = [\"a\"]\n[train]\nsteps = 100\nbatch = 4\nvalidate_every = 30\n";
        let recipe = Recipe::parse(text, Path::new("r.toml"), &[]).unwrap();
        let pace = Pace { step: 2.0, validation: 5.0, ..Pace::default() };
        assert_eq!(pace.training(&recipe, 0), 200.0 + 4.0 * 5.0);
        assert_eq!(pace.training(&recipe, 90), 20.0 + 5.0);
        assert_eq!(pace.training(&recipe, 100), 0.0);
    }
}
