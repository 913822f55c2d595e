//! The number of training steps of a quickstart: the steps of its recipe, or as many as fit into the time.

use std::time::Instant;

use burn::module::Module;
use ptu_data::{Manifest, Split};
use ptu_evaluate::{Gallery, GalleryFeatures, GalleryOptions, score, search};
use ptu_infer::Embedder;
use ptu_random::Key;
use ptu_train::Recipe;
use ptu_train::trainer::{Opened, Pace, format_duration};

use crate::WorkflowError;

/// Total minutes, if the user does not set them.
pub(super) const DEFAULT_MINUTES: u32 = 15;
/// The smallest number of steps, however slow the machine is.
const MIN_STEPS: u64 = 20;
/// The largest number of epochs: with more steps the model would only memorise the pairs.
const MAX_EPOCHS: u64 = 100;
/// The share of the time that is planned: the speed of a machine varies.
const PLANNED_SHARE: f64 = 0.9;
/// Seconds for the work that is not measured: opening files, writing the page.
const OVERHEAD: f64 = 5.0;

/// The work of a quickstart after the last training step.
pub(super) struct RemainingWork {
    /// Number of pairs that are scored.
    pub scored: u64,
    /// Number of records that are embedded.
    pub embedded: u64,
}

impl RemainingWork {
    /// The work for a folder of shards: at most `gallery` test pairs are scored, and all records are embedded if `embeds` is
    /// set.
    pub fn of(manifest: &Manifest, gallery: usize, embeds: bool) -> Self {
        let records: u64 = Split::ALL.into_iter().map(|split| manifest.counts(split).records).sum();
        Self {
            scored: manifest.counts(Split::Test).pairs.min(gallery as u64),
            embedded: if embeds { records } else { 0 },
        }
    }

    /// Expected seconds.
    pub fn seconds(&self, cost: &Cost) -> f64 {
        self.scored as f64 * (cost.read + cost.scored) + self.embedded as f64 * (cost.read + cost.embedded) + OVERHEAD
    }
}

/// Number of pairs that are scored to measure the time.
const TIMED_PAIRS: usize = 16;

/// Seconds per pair for the work after the last training step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    /// Reading a record for a score.
    pub read: f64,
    /// Computing all scores of a pair.
    pub scored: f64,
    /// Embedding the image and the text of a pair.
    pub embedded: f64,
}

impl Cost {
    /// Measures the cost on a few pairs.
    ///
    /// # Errors
    /// If the inputs do not fit the model.
    pub fn measure(run: &Opened<'_>) -> Result<Self, WorkflowError> {
        let (model, seed) = (run.model.valid(), run.recipe.seed);
        let text = run.recipe.evaluate.text.choice(seed);
        let options = GalleryOptions { text, limit: TIMED_PAIRS, hits: None, by: None, seed };
        let (seconds, read) = timed(|| Gallery::read(&run.sources[0].source, run.preparation, &options));
        // Without pairs nothing is scored.
        let Ok(gallery) = read else { return Ok(Self::default()) };
        let (embedder, pairs) = (Embedder::new(&model), gallery.records.len() as f64);
        let read = seconds / (pairs + gallery.incomplete as f64);
        let (seconds, scores) = timed(|| score(&GalleryFeatures::new(embedder, &gallery), Key::new(seed), &mut |_| {}));
        scores?;
        let mut cost = Self { read, scored: seconds / pairs, embedded: 0.0 };
        if model.heads.itc.is_some() {
            // Images are encoded anew, as they are for vectors.
            let gallery = gallery.first(TIMED_PAIRS);
            let (seconds, rankings) = timed(|| search(&GalleryFeatures::new(embedder, &gallery), &mut |_| {}));
            rankings?;
            cost.embedded = seconds / pairs;
        }
        Ok(cost)
    }
}

/// Does some work; returns the seconds it took and its result.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64(), result)
}

/// The time of a quickstart.
pub(super) struct Budget {
    /// Total minutes as set by the user; `None` for at most [`DEFAULT_MINUTES`].
    pub minutes: Option<u32>,
    /// Seconds that have passed.
    pub spent: f64,
    /// Number of training pairs.
    pub pairs: u64,
    /// Time of training that follows, as a share of the time of this training.
    pub followed_by: f64,
}

impl Budget {
    fn minutes(&self) -> u32 {
        self.minutes.unwrap_or(DEFAULT_MINUTES)
    }

    /// Returns the recipe with as many steps as fit into the time, and a message about the plan. `after` is the number of
    /// seconds needed after the last training step; `usual` is the default number of steps. `sized` creates the recipe for a
    /// number of steps; if the steps of its recipe do not depend on that number, the user has set them, and they stay.
    ///
    /// # Errors
    /// The errors of `sized`.
    pub fn plan(
        &self,
        pace: &Pace,
        after: f64,
        usual: u64,
        sized: &dyn Fn(u64) -> Result<Recipe, WorkflowError>,
    ) -> Result<(Recipe, String), WorkflowError> {
        let recipe = sized(usual)?;
        if recipe.train.steps == sized(usual + 1)?.train.steps {
            let message = self.message(pace, &recipe, after, "");
            return Ok((recipe, message));
        }
        let max_steps = match self.minutes {
            None => usual,
            Some(_) => usual.max(self.pairs * MAX_EPOCHS / recipe.train.batch as u64),
        };
        let seconds = f64::from(self.minutes()) * 60.0 * PLANNED_SHARE - self.spent - after;
        let seconds = seconds / (1.0 + self.followed_by);
        let fits = |steps: u64| Ok::<_, WorkflowError>(pace.training(&sized(steps)?, 0) <= seconds);
        let mut steps = max_steps;
        if !fits(max_steps)? {
            // Validations need time too: start from the steps that would fit without them, and go down.
            steps = ((seconds / pace.step) as u64 / 10 * 10).min(max_steps);
            while steps > MIN_STEPS && !fits(steps)? {
                steps -= (steps / 20).max(1);
            }
            steps = steps.max(MIN_STEPS);
        }
        let recipe = sized(steps)?;
        let reason = match steps < usual {
            true if steps == MIN_STEPS => format!(" (the minimum, although {} minutes are not enough)", self.minutes()),
            true => format!(
                " (instead of {usual}, for which {} minutes are not enough; give more with --minutes)",
                self.minutes()
            ),
            false => String::new(),
        };
        let message = self.message(pace, &recipe, after, &reason);
        Ok((recipe, message))
    }

    /// The message about the plan; `reason` explains why the steps differ from the usual ones.
    fn message(&self, pace: &Pace, recipe: &Recipe, after: f64, reason: &str) -> String {
        let training = pace.training(recipe, 0);
        let following = self.followed_by * training;
        let tuning = match following > 0.0 {
            true => format!("{} for fine-tuning on questions, ", format_duration(following)),
            false => String::new(),
        };
        format!(
            "{} steps of about {:.2} s{reason}: about {} for training, {tuning}{} for evaluation and the page, {} in all",
            recipe.train.steps,
            pace.step,
            format_duration(training),
            format_duration(after),
            format_duration(self.spent + training + following + after)
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
        let after = RemainingWork { scored: 100, embedded: 500 }.seconds(&cost);
        let (recipe, message) =
            Budget { minutes, spent: 30.0, pairs: 400, followed_by: 0.0 }.plan(&pace, after, 1000, &sized).unwrap();
        assert!(message.contains(&format!("{} steps", recipe.train.steps)) && message.contains("in all"), "{message}");
        recipe.train.steps
    }

    #[test]
    fn usual_steps_are_used_if_there_is_enough_time() {
        assert_eq!(steps(None, 0.1), 1000);
        // 15 minutes: 810 s are planned, 30 s have passed, 65 s are for the work after training, and 4 validations take 2 s
        // each.
        let few = steps(None, 5.0);
        assert!((130..=142).contains(&few), "{few}");
        assert_eq!(steps(Some(1), 60.0), MIN_STEPS);
    }

    #[test]
    fn more_minutes_give_more_steps_up_to_the_largest_number_of_epochs() {
        let more = steps(Some(60), 1.0);
        assert!((2900..=3140).contains(&more), "{more}");
        assert_eq!(steps(Some(60), 0.001), 400 * MAX_EPOCHS / 8);
    }

    #[test]
    fn steps_set_by_the_user_are_kept() {
        let fixed = |_| Ok(Recipe::parse("data = [\"a\"]\n[train]\nsteps = 7\nbatch = 8\n", Path::new("r.toml"), &[])?);
        let pace = Pace { step: 1e4, ..Pace::default() };
        let budget = Budget { minutes: None, spent: 0.0, pairs: 400, followed_by: 0.5 };
        assert_eq!(budget.plan(&pace, 5.0, 1000, &fixed).unwrap().0.train.steps, 7);
    }
}
