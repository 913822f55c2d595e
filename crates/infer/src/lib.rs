//! A model at work: what evaluation, commands and servers share.

mod vectors;

pub use vectors::{Vectors, image_vectors, text_vectors};
