//! Trains the task that a recipe describes.

use ptu_train::trainer::{self, Observer, Outcome, Plan, RunOptions};
use ptu_train::{Recipe, TrainError};

use crate::kind::TaskKind;

/// Trains a model for the task of a recipe; the probabilities of a fine-tuned model are calibrated at the end. All files are written into one folder (see [`trainer::train`]).
///
/// # Errors
/// The same as those of [`trainer::train`].
pub fn train(recipe: &Recipe, options: &RunOptions, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let mut kind = TaskKind::of(recipe);
    let outcome = trainer::train(kind.get_mut(), recipe, options, observer)?;
    if let (TaskKind::FineTuning(task), true) = (&kind, outcome.finished) {
        task.calibrate(&options.out, &options.device.clone().inner(), &mut |text| observer.note(text))?;
    }
    Ok(outcome)
}

/// The same as [`train`], but `plan` completes the recipe once the speed of the machine is known (see
/// [`trainer::train_planned`]).
///
/// # Errors
/// The same as those of [`trainer::train_planned`].
pub fn train_planned(
    recipe: &Recipe,
    options: &RunOptions,
    plan: Plan<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    trainer::train_planned(TaskKind::of(recipe).get_mut(), recipe, options, plan, observer)
}
