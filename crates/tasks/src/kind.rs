//! The built-in tasks.

use ptu_train::recipe::{Recipe, TaskRecipe};
use ptu_train::task::Task;

use crate::pretraining::Pretraining;
use crate::retrieval::ImageTextRetrieval;
use crate::supervised::FineTuning;

/// The built-in tasks. A task of the user's own is passed to [`train`](ptu_train::trainer::train) directly.
pub enum TaskKind {
    /// Masked language modelling, image-text matching and contrast.
    Pretraining(Box<Pretraining>),
    /// Classification, question answering over a fixed set of answers, report generation or summarisation.
    FineTuning(Box<FineTuning>),
    /// Image-text retrieval by a score of the fused pair.
    Retrieval(Box<ImageTextRetrieval>),
}

impl TaskKind {
    /// The task that a recipe describes.
    pub fn of(recipe: &Recipe) -> Self {
        match recipe.task {
            TaskRecipe::Pretraining => Self::Pretraining(Box::new(Pretraining::of(recipe))),
            TaskRecipe::Retrieval(retrieval) => Self::Retrieval(Box::new(ImageTextRetrieval::of(retrieval))),
            _ => Self::FineTuning(Box::new(FineTuning::of(recipe))),
        }
    }

    /// The task as a trait object.
    pub fn get(&self) -> &dyn Task {
        match self {
            Self::Pretraining(task) => task.as_ref(),
            Self::FineTuning(task) => task.as_ref(),
            Self::Retrieval(task) => task.as_ref(),
        }
    }

    /// The task as a mutable trait object.
    pub fn get_mut(&mut self) -> &mut dyn Task {
        match self {
            Self::Pretraining(task) => task.as_mut(),
            Self::FineTuning(task) => task.as_mut(),
            Self::Retrieval(task) => task.as_mut(),
        }
    }
}
