//! The tasks that there are by name.

use ptu_train::recipe::Recipe;
use ptu_train::task::Task;

use crate::pretraining::Pretraining;

/// The closed set of tasks; one of a user's own goes to [`train`](ptu_train::trainer::train) as it is.
pub enum TaskKind {
    /// Masked language modelling, image-text matching and contrast.
    Pretraining(Pretraining),
}

impl TaskKind {
    /// The task of a recipe.
    pub fn of(recipe: &Recipe) -> Self {
        Self::Pretraining(Pretraining::of(recipe))
    }

    /// The task itself.
    pub fn get(&self) -> &dyn Task {
        match self {
            Self::Pretraining(task) => task,
        }
    }

    /// The task itself.
    pub fn get_mut(&mut self) -> &mut dyn Task {
        match self {
            Self::Pretraining(task) => task,
        }
    }
}
