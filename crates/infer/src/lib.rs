//! A model at work: what evaluation, commands and servers share.
//!
//! - [`Embedder`]: records into vectors; [`embed`]: any number of inputs into a file of them.
//! - [`search`]: the nearest rows of such a file to an image, a text or both; [`Filter`]: which rows are looked at.
//! - [`probe`]: what frozen vectors tell about labels.
//! - [`Matcher`]: how well images and texts match when the fusion sees both.

pub mod embed;
mod error;
mod filter;
mod matcher;
pub mod probe;
pub mod search;
mod vectors;

pub use error::InferError;
pub use filter::{Filter, FilterNotes};
pub use matcher::Matcher;
pub use vectors::{Embedder, Vectors};
