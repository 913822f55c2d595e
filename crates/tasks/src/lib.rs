//! What a run trains a model for: the tasks that there are by name. So far pre-training (specification, sections 3 and 4).
//!
//! A task implements [`ptu_train::task::Task`]; the loop knows no more of it. One that is not here goes to
//! [`ptu_train::trainer::train`] as it is.

mod kind;
pub mod pretraining;
mod run;

pub use kind::TaskKind;
pub use run::{pretrain, pretrain_planned};
