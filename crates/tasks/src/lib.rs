//! The built-in training tasks: pre-training, and fine-tuning on labels, on answers and for image-text retrieval (specification, sections 3
//! and 4).
//!
//! A task implements [`ptu_train::task::Task`], and the training loop uses it only through this trait. A task of the user's own
//! is passed to [`ptu_train::trainer::train`] directly.

mod error;
mod kind;
pub mod pretraining;
pub mod retrieval;
mod run;
pub mod supervised;
mod validation;

pub use error::TaskError;
pub use kind::TaskKind;
pub use run::{train, train_planned};
