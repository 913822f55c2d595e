//! How many steps a quickstart takes: those of its recipe, or those that there is time for.

use std::time::Instant;

use burn::module::Module;
use ptu_data::{Manifest, Split};
use ptu_evaluate::{Gallery, GalleryFeatures, GalleryOptions, score, search};
use ptu_infer::Embedder;
use ptu_random::Key;
use ptu_train::Recipe;
use ptu_train::trainer::{Opened, Pace, spoken};

use crate::WorkflowError;

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
    /// Pairs that are scored.
    pub scored: u64,
    /// Records that are embedded.
    pub embedded: u64,
}

impl Work {
    /// Of a folder of shards of which at most `gallery` pairs are scored.
    pub fn of(manifest: &Manifest, gallery: usize, embeds: bool) -> Self {
        let records: u64 = Split::ALL.into_iter().map(|split| manifest.counts(split).records).sum();
        Self {
            scored: manifest.counts(Split::Test).pairs.min(gallery as u64),
            embedded: if embeds { records } else { 0 },
        }
    }

    /// Seconds behind the last step.
    pub fn after(&self, cost: &Cost) -> f64 {
        self.scored as f64 * (cost.read + cost.scored) + self.embedded as f64 * (cost.read + cost.embedded) + REST
    }
}

/// Pairs that are scored to see how long it takes.
const PAIRS: usize = 16;

/// Seconds that what follows the last step takes a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    /// Reading a record for a score.
    pub read: f64,
    /// Scoring a pair in all that the model learns.
    pub scored: f64,
    /// Embedding image and text of a pair.
    pub embedded: f64,
}

impl Cost {
    /// As measured on a few pairs.
    ///
    /// # Errors
    /// Inputs that do not fit the model.
    pub fn of(run: &Opened<'_>) -> Result<Self, WorkflowError> {
        let (model, seed) = (run.model.valid(), run.recipe.seed);
        let options =
            GalleryOptions { text: run.recipe.evaluate.text.choice(seed), limit: PAIRS, hits: None, by: None, seed };
        let (seconds, read) = timed(|| Gallery::read(run.sources[0].source.as_ref(), run.preparation, &options));
        // A source without pairs is scored on none.
        let Ok(gallery) = read else { return Ok(Self::default()) };
        let (embedder, pairs) = (Embedder::new(&model), gallery.records.len() as f64);
        let read = seconds / (pairs + gallery.incomplete as f64);
        let features = || GalleryFeatures::new(embedder, &gallery);
        let (seconds, found) = timed(|| score(&features(), Key::new(seed), &mut |_| {}));
        found?;
        let mut cost = Self { read, scored: seconds / pairs, embedded: 0.0 };
        if model.heads.itc.is_some() {
            let (seconds, found) = timed(|| search(&features(), &mut |_| {}));
            found?;
            cost.embedded = seconds / pairs;
        }
        Ok(cost)
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64(), result)
}

/// What there is time for.
pub(super) struct Budget {
    /// As asked for; `None` for [`MINUTES`] at most.
    pub minutes: Option<u32>,
    /// Seconds that are spent.
    pub spent: f64,
    /// Training pairs.
    pub pairs: u64,
}

impl Budget {
    fn minutes(&self) -> u32 {
        self.minutes.unwrap_or(MINUTES)
    }

    /// The recipe with the steps that there is time for, and what a person is told; `after` are the seconds behind the last
    /// step. `sized` makes the recipe of so many steps; where it makes the same of all, somebody has set them.
    ///
    /// # Errors
    /// What `sized` says.
    pub fn plan(
        &self,
        pace: &Pace,
        after: f64,
        usual: u64,
        sized: &dyn Fn(u64) -> Result<Recipe, WorkflowError>,
    ) -> Result<(Recipe, String), WorkflowError> {
        let recipe = sized(usual)?;
        if recipe.train.steps == sized(usual + 1)?.train.steps {
            let told = self.told(pace, &recipe, after, "");
            return Ok((recipe, told));
        }
        let most = match self.minutes {
            None => usual,
            Some(_) => usual.max(self.pairs * PASSES / recipe.train.batch as u64),
        };
        let seconds = f64::from(self.minutes()) * 60.0 * PLANNED - self.spent - after;
        let fits = |steps: u64| Ok::<_, WorkflowError>(pace.training(&sized(steps)?, 0) <= seconds);
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

    fn sized(steps: u64) -> Result<Recipe, WorkflowError> {
        let sets = [format!("train.steps={steps}"), format!("train.validate_every={}", (steps / 4).max(1))];
        let text = "data = [\"a\"]\n[train]\nsteps = 1\nbatch = 8\n";
        Ok(Recipe::parse(text, Path::new("r.toml"), &sets)?)
    }

    fn steps(minutes: Option<u32>, step: f64) -> u64 {
        let (pace, cost) = (Pace { step, validation: 2.0 }, Cost { read: 0.0, scored: 0.1, embedded: 0.1 });
        let after = Work { scored: 100, embedded: 500 }.after(&cost);
        let (recipe, told) = Budget { minutes, spent: 30.0, pairs: 400 }.plan(&pace, after, 1000, &sized).unwrap();
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
        let budget = Budget { minutes: None, spent: 0.0, pairs: 400 };
        assert_eq!(budget.plan(&pace, 5.0, 1000, &fixed).unwrap().0.train.steps, 7);
    }
}
