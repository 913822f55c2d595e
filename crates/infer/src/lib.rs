//! Inference with a trained model. Evaluation, commands and servers use this crate.
//!
//! - [`Embedder`] computes vectors of images and texts. [`embed`] writes the vectors of any number of inputs into a file.
//! - [`search`] finds the rows of such a file that are nearest to an image, a text or both. [`Filter`] limits the rows that are
//!   searched.
//! - [`probe`] predicts labels from frozen vectors.
//! - [`task`]: predictions of a fine-tuned model, such as classes and answers to questions.
//! - [`Matcher`] scores how well an image and a text match when the fusion sees both; [`MatchModel`] does so for a bundle, from bytes.

pub mod embed;
mod encoded;
mod error;
mod filter;
mod matcher;
mod preparation;
pub mod probe;
pub mod search;
pub mod task;
mod vectors;

pub use encoded::EncodedImages;
pub use error::InferError;
pub use filter::{Filter, FilterNotes};
pub use matcher::{MatchKind, MatchModel, MatchScore, Matcher, RecordMatches, TextMatch};
pub use preparation::preparation;
pub use vectors::{Embedder, Vectors};
