//! A model at work: what evaluation, commands and servers share.

mod matcher;
mod vectors;

pub use matcher::Matcher;
pub use vectors::{Embedder, Vectors};
