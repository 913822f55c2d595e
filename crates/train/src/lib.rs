//! Training: the training loop, and the traits of tasks, objectives and validators.
//!
//! | file | contents |
//! |---|---|
//! | `recipe.rs`, `memory.rs` | the recipe: every setting of a run, with its checks; the memory that a run needs |
//! | `objective.rs`, `loss/`, `forward.rs`, `batch.rs` | losses, on encodings that are computed once per step |
//! | `task.rs` | the traits of a task and of its validation (the tasks themselves are in `ptu-tasks`) |
//! | `step.rs`, `gradients.rs`, `optimizer.rs`, `schedule.rs` | one step |
//! | `trainer.rs`, `state.rs`, `folder.rs`, `log.rs` | the training loop and the files that it writes |
//!
//! `docs/specification.md`, sections 3, 4 and 7, defines what is computed (comments call it "specification").

pub mod batch;
mod card;
mod error;
pub mod folder;
pub mod forward;
pub mod gradients;
pub mod log;
pub mod loss;
pub mod memory;
pub mod objective;
pub mod optimizer;
pub mod recipe;
pub mod schedule;
mod start;
pub mod state;
pub mod step;
pub mod task;
pub mod tensorboard;
pub mod trainer;

use ptu_model::files;

pub use error::{RecipeError, TrainError};
pub use objective::ObjectiveKind;
pub use optimizer::{Optimizer, OptimizerConfig};
pub use recipe::Recipe;
pub use start::Start;
pub use trainer::{Observer, Outcome, Pace, RunOptions, Silent, format_duration, train};
