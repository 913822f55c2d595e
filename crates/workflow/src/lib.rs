//! Workflows that combine several crates: the quickstart, HTML pages, and checks. The command `ptunifier` calls them; they
//! need no terminal.
//!
//! - [`quickstart`](quickstart::quickstart): prepares data, trains, evaluates and writes a page, in minutes.
//! - [`card`]: the model card of a run.
//! - [`explanations`]: checks whether explanations say something about a model.
//! - [`page`]: one HTML file about a run and its scores.
//! - [`study`](study::study): grids of runs with several seeds, and their tables.
//! - [`doctor`]: checks whether a machine can train and use models.
//! - [`parity`] and [`mod@reference`]: test cases of the PyTorch reference, and the comparison with them.

pub mod card;
pub mod doctor;
mod error;
pub mod explanations;
pub mod page;
pub mod parity;
pub mod quickstart;
pub mod reference;
mod shell;
pub mod study;

pub use error::WorkflowError;
