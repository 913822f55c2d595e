//! The parts that every stream is made of.
//!
//! Shapes here and in the files below: b batch, t tokens (queries), k tokens attended to, d width, h heads, e = d / h.

mod attention;
mod bert;
mod clip;
mod dense;
mod dropout;
mod mask;

pub use attention::{Attention, attend};
pub use bert::{BertLayer, CrossLayer, Stream};
pub use clip::ClipBlock;
pub use dense::{Embedding, LayerNorm, Linear};
pub use dropout::Dropout;
pub use mask::Mask;
