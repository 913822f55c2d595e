//! Runs of tasks that a recipe names.

use ptu_train::trainer::{Observer, Outcome, Plan, RunOptions, train, train_planned};
use ptu_train::{Recipe, TrainError};

use crate::kind::TaskKind;

/// Pre-trains as the recipe says; everything goes into one folder ([`train`]).
///
/// # Errors
/// As there.
pub fn pretrain(recipe: &Recipe, options: &RunOptions, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    train(TaskKind::of(recipe).get_mut(), recipe, options, observer)
}

/// [`pretrain`] by a recipe that `plan` finishes once it is known how fast the machine is ([`train_planned`]).
///
/// # Errors
/// As there.
pub fn pretrain_planned(
    recipe: &Recipe,
    options: &RunOptions,
    plan: Plan<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    train_planned(TaskKind::of(recipe).get_mut(), recipe, options, plan, observer)
}
