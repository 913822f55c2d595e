//! The parts that every stream is made of.
//!
//! Shapes here and in the files below: rows are the tokens of all packed sequences, d is the width.

mod attention;
mod bert;
mod clip;
mod dense;

pub use attention::Attention;
pub use bert::{BertLayer, CrossLayer};
pub use clip::ClipBlock;
pub use dense::{Embedding, LayerNorm, Linear, constant};
