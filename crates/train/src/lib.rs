//! Training: the loop, and the contracts of what is trained (tasks, objectives, validators).
//!
//! | file | holds |
//! |---|---|
//! | `recipe.rs`, `memory.rs` | what a run is: every key, checked; what it needs of memory |
//! | `objective.rs`, `loss/`, `forward.rs`, `batch.rs` | losses, on encodings that are computed once a step |
//! | `task.rs` | what a model is trained for, and what judges it: the contract (those that there are: `ptu-tasks`) |
//! | `step.rs`, `gradients.rs`, `optimizer.rs`, `schedule.rs` | one step |
//! | `trainer.rs`, `state.rs`, `folder.rs`, `log.rs` | the loop and what it leaves behind |
//!
//! What is computed stands in `docs/specification.md`, sections 3, 4 and 7 ("specification" in comments).

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
pub use trainer::{Observer, Outcome, Pace, RunOptions, Silent, spoken, train};
