//! The built-in training tasks. There is one so far: pre-training (specification, sections 3 and 4).
//!
//! A task implements [`ptu_train::task::Task`], and the training loop uses it only through this trait. A task of the user's own
//! is passed to [`ptu_train::trainer::train`] directly.

mod kind;
pub mod pretraining;
mod run;

pub use kind::TaskKind;
pub use run::{pretrain, pretrain_planned};
