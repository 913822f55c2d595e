//! Workflows that combine several crates: the quickstart, HTML pages, and checks. The command `ptunifier` calls them; they
//! need no terminal.
//!
//! - [`quickstart`](quickstart::quickstart): prepares data, trains, evaluates and writes a page, in minutes.
//! - [`page`]: one HTML file about a run and its scores.
//! - [`doctor`]: checks whether a machine can train and use models.
//! - [`parity`] and [`mod@reference`]: test cases of the PyTorch reference, and the comparison with them.

pub mod doctor;
mod error;
pub mod page;
pub mod parity;
pub mod quickstart;
pub mod reference;
mod shell;

pub use error::WorkflowError;
