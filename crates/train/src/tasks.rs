//! The tasks that there are by name.

use crate::pretraining::Pretraining;
use crate::recipe::Recipe;
use crate::task::Task;

/// The closed set of tasks; one of a user's own goes to [`train`](crate::trainer::train) as it is.
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
