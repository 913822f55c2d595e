//! Runs the task that a recipe describes.

use ptu_train::trainer::{Observer, Outcome, Plan, RunOptions, train, train_planned};
use ptu_train::{Recipe, TrainError};

use crate::kind::TaskKind;

/// Pre-trains a model as the recipe describes. All files are written into one folder (see [`train`]).
///
/// # Errors
/// The same as those of [`train`].
pub fn pretrain(recipe: &Recipe, options: &RunOptions, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    train(TaskKind::of(recipe).get_mut(), recipe, options, observer)
}

/// The same as [`pretrain`], but `plan` completes the recipe once the speed of the machine is known (see [`train_planned`]).
///
/// # Errors
/// The same as those of [`train_planned`].
pub fn pretrain_planned(
    recipe: &Recipe,
    options: &RunOptions,
    plan: Plan<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    train_planned(TaskKind::of(recipe).get_mut(), recipe, options, plan, observer)
}
