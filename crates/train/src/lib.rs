//! Pre-training and evaluation: objectives, optimizer, the loop, scores.
//!
//! | file | holds |
//! |---|---|
//! | `recipe.rs`, `memory.rs` | what a run is: every key, checked; what it needs of memory |
//! | `objective.rs`, `loss/`, `forward.rs`, `batch.rs` | losses, on encodings that are computed once a step |
//! | `task.rs`, `tasks.rs`, `pretraining/` | what a model is trained for: the contract, those that there are, pre-training |
//! | `step.rs`, `gradients.rs`, `optimizer.rs`, `schedule.rs` | one step |
//! | `trainer.rs`, `state.rs`, `folder.rs`, `log.rs` | the loop and what it leaves behind |
//! | `evaluate.rs` | scores with intervals, beside chance |
//! | `reference.rs`, `parity.rs` | cases of the PyTorch reference, and the comparison with them |
//! | `doctor.rs` | whether a machine can do it |
//!
//! What is computed stands in `docs/specification.md`, sections 3, 4 and 7 ("specification" in comments).

pub mod batch;
mod card;
pub mod doctor;
mod error;
pub mod evaluate;
pub mod folder;
pub mod forward;
pub mod gradients;
pub mod log;
pub mod loss;
pub mod memory;
pub mod objective;
pub mod optimizer;
pub mod page;
pub mod parity;
pub mod pretraining;
pub mod quickstart;
pub mod recipe;
pub mod reference;
pub mod schedule;
mod shell;
pub mod state;
pub mod step;
pub mod task;
pub mod tasks;
pub mod tensorboard;
pub mod trainer;

use ptu_model::files;

pub use error::{RecipeError, TrainError};
pub use objective::ObjectiveKind;
pub use optimizer::{Optimizer, OptimizerConfig};
pub use recipe::Recipe;
pub use trainer::{Observer, Outcome, Pace, RunOptions, Silent, pretrain, spoken};
