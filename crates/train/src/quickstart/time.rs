//! How many steps a quickstart takes: those of its recipe, or those that there is time for.

use ptu_data::{Counts, Manifest, Split};

use crate::trainer::{Pace, spoken};
use crate::{Recipe, TrainError};

/// Minutes in all, unless others are asked for.
pub(super) const MINUTES: u32 = 15;
/// Steps that are taken, however slow the machine is.
const LEAST: u64 = 20;
/// Passes over the pairs beyond which more steps would only learn them by heart.
const PASSES: u64 = 100;
/// Share of the time that is planned with: no machine keeps its pace.
const PLANNED: f64 = 0.9;
/// Seconds of what is not measured: opening, the page.
const REST: f64 = 5.0;

/// What a quickstart has to do besides its steps.
pub(super) struct Work {
    /// Training pairs.
    pub pairs: u64,
    /// Pairs that are scored.
    pub scored: u64,
    /// Records that are embedded.
    pub embedded: u64,
}

impl Work {
    /// Of a folder of shards of which at most `gallery` pairs are scored.
    pub fn of(manifest: &Manifest, gallery: usize, embeds: bool) -> Self {
        let records: u64 = Split::ALL.into_iter().map(|split| manifest.counts(split).records).sum();
        let Counts { pairs, .. } = manifest.counts(Split::Train);
        Self {
            pairs,
            scored: manifest.counts(Split::Test).pairs.min(gallery as u64),
            embedded: if embeds { records } else { 0 },
        }
    }

    /// Seconds behind the last step.
    fn after(&self, pace: &Pace) -> f64 {
        self.scored as f64 * (pace.read + pace.scored) + self.embedded as f64 * (pace.read + pace.embedded) + REST
    }
}

/// What there is time for.
pub(super) struct Budget {
    /// As asked for; `None` for [`MINUTES`] at most.
    pub minutes: Option<u32>,
    /// Seconds that are spent.
    pub spent: f64,
}

impl Budget {
    fn minutes(&self) -> u32 {
        self.minutes.unwrap_or(MINUTES)
    }

    /// The recipe with the steps that there is time for, and what a person is told. `sized` makes the recipe of so many steps;
    /// where it makes the same of all, somebody has set them.
    ///
    /// # Errors
    /// What `sized` says.
    pub fn plan(
        &self,
        pace: &Pace,
        work: &Work,
        usual: u64,
        sized: &dyn Fn(u64) -> Result<Recipe, TrainError>,
    ) -> Result<(Recipe, String), TrainError> {
        let (recipe, after) = (sized(usual)?, work.after(pace));
        if recipe.train.steps == sized(usual + 1)?.train.steps {
            let told = self.told(pace, &recipe, after, "");
            return Ok((recipe, told));
        }
        let most = match self.minutes {
            None => usual,
            Some(_) => usual.max(work.pairs * PASSES / recipe.train.batch as u64),
        };
        let seconds = f64::from(self.minutes()) * 60.0 * PLANNED - self.spent - after;
        let fits = |steps: u64| Ok::<_, TrainError>(pace.training(&sized(steps)?, 0) <= seconds);
        let mut steps = most;
        if !fits(most)? {
            // Validations come on top: from the steps that would fit without them it goes down.
            steps = ((seconds / pace.step) as u64 / 10 * 10).min(most);
            while steps > LEAST && !fits(steps)? {
                steps -= (steps / 20).max(1);
            }
            steps = steps.max(LEAST);
        }
        let recipe = sized(steps)?;
        let cut = match steps < usual {
            true if steps == LEAST => format!(" (no fewer, though {} minutes do not suffice)", self.minutes()),
            true => format!(
                " (instead of {usual}, which {} minutes have no room for; --minutes gives more)",
                self.minutes()
            ),
            false => String::new(),
        };
        let told = self.told(pace, &recipe, after, &cut);
        Ok((recipe, told))
    }

    fn told(&self, pace: &Pace, recipe: &Recipe, after: f64, cut: &str) -> String {
        let training = pace.training(recipe, 0);
        format!(
            "{} steps of about {:.2} s{cut}: about {} of training, {} of what follows, {} in all",
            recipe.train.steps,
            pace.step,
            spoken(training),
            spoken(after),
            spoken(self.spent + training + after)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sized(steps: u64) -> Result<Recipe, TrainError> {
        let sets = [format!("train.steps={steps}"), format!("train.validate_every={}", (steps / 4).max(1))];
        let text = "data = [\"a\"]\n[train]\nsteps = 1\nbatch = 8\n";
        Ok(Recipe::parse(text, Path::new("r.toml"), &sets)?)
    }

    fn steps(minutes: Option<u32>, step: f64) -> u64 {
        let pace = Pace { step, validation: 2.0, read: 0.0, scored: 0.1, embedded: 0.1 };
        let work = Work { pairs: 400, scored: 100, embedded: 500 };
        let (recipe, told) = Budget { minutes, spent: 30.0 }.plan(&pace, &work, 1000, &sized).unwrap();
        assert!(told.contains(&format!("{} steps", recipe.train.steps)) && told.contains("in all"), "{told}");
        recipe.train.steps
    }

    #[test]
    fn the_usual_steps_are_taken_unless_there_is_no_time() {
        assert_eq!(steps(None, 0.1), 1000);
        // 15 minutes: 810 s planned, 30 spent, 65 for what follows, 4 validations of 2 s.
        let few = steps(None, 5.0);
        assert!((130..=142).contains(&few), "{few}");
        assert_eq!(steps(Some(1), 60.0), LEAST);
    }

    #[test]
    fn more_minutes_mean_more_steps_up_to_many_passes() {
        let more = steps(Some(60), 1.0);
        assert!((2900..=3140).contains(&more), "{more}");
        assert_eq!(steps(Some(60), 0.001), 400 * PASSES / 8);
    }

    #[test]
    fn steps_that_were_set_stay() {
        let fixed = |_| Ok(Recipe::parse("data = [\"a\"]\n[train]\nsteps = 7\nbatch = 8\n", Path::new("r.toml"), &[])?);
        let pace = Pace { step: 1e4, ..Pace::default() };
        let work = Work { pairs: 400, scored: 100, embedded: 500 };
        let budget = Budget { minutes: None, spent: 0.0 };
        assert_eq!(budget.plan(&pace, &work, 1000, &fixed).unwrap().0.train.steps, 7);
    }
}
