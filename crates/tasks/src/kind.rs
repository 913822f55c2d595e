//! The built-in tasks.

use ptu_train::recipe::{Recipe, TaskRecipe};
use ptu_train::task::Task;

use crate::pretraining::Pretraining;
use crate::retrieval::ImageTextRetrieval;
use crate::supervised::FineTuning;

/// The built-in tasks. A task of the user's own is passed to [`train`](ptu_train::trainer::train) directly.
pub enum TaskKind {
    /// Masked language modelling, image-text matching and contrast.
    Pretraining(Pretraining),
    /// Classification, or question answering over a fixed set of answers.
    FineTuning(FineTuning),
    /// Image-text retrieval by a score of the fused pair.
    Retrieval(ImageTextRetrieval),
}

impl TaskKind {
    /// The task that a recipe describes.
    pub fn of(recipe: &Recipe) -> Self {
        match recipe.task {
            TaskRecipe::Pretraining => Self::Pretraining(Pretraining::of(recipe)),
            TaskRecipe::Retrieval(retrieval) => Self::Retrieval(ImageTextRetrieval::of(retrieval)),
            _ => Self::FineTuning(FineTuning::of(recipe)),
        }
    }

    /// The task as a trait object.
    pub fn get(&self) -> &dyn Task {
        match self {
            Self::Pretraining(task) => task,
            Self::FineTuning(task) => task,
            Self::Retrieval(task) => task,
        }
    }

    /// The task as a mutable trait object.
    pub fn get_mut(&mut self) -> &mut dyn Task {
        match self {
            Self::Pretraining(task) => task,
            Self::FineTuning(task) => task,
            Self::Retrieval(task) => task,
        }
    }
}
