//! The built-in tasks.

use ptu_train::recipe::Recipe;
use ptu_train::task::Task;

use crate::pretraining::Pretraining;

/// The built-in tasks. A task of the user's own is passed to [`train`](ptu_train::trainer::train) directly.
pub enum TaskKind {
    /// Masked language modelling, image-text matching and contrast.
    Pretraining(Pretraining),
}

impl TaskKind {
    /// The task that a recipe describes.
    pub fn of(recipe: &Recipe) -> Self {
        Self::Pretraining(Pretraining::of(recipe))
    }

    /// The task as a trait object.
    pub fn get(&self) -> &dyn Task {
        match self {
            Self::Pretraining(task) => task,
        }
    }

    /// The task as a mutable trait object.
    pub fn get_mut(&mut self) -> &mut dyn Task {
        match self {
            Self::Pretraining(task) => task,
        }
    }
}
