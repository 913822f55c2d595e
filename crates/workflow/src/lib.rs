//! Several steps in one, and what people look at: what the command does, without a terminal.
//!
//! - [`quickstart`](quickstart::quickstart): data, training, evaluation, page, in minutes.
//! - [`page`]: a run and its scores as one HTML file.
//! - [`doctor`]: whether a machine can do it.
//! - [`parity`] and [`mod@reference`]: cases of the PyTorch reference, and the comparison with them.

pub mod doctor;
mod error;
pub mod page;
pub mod parity;
pub mod quickstart;
pub mod reference;
mod shell;

pub use error::WorkflowError;
