//! Layers of the encoders and of the fusion.
//!
//! Shapes here and in the submodules: `rows` is the number of tokens of all packed sequences, d is the width.

mod attention;
mod bert;
mod dense;
mod vit;

pub use attention::{Attention, attention_weights};
pub use bert::{BertLayer, CrossLayer};
pub use dense::{Embedding, LayerNorm, Linear, constant};
pub use vit::VitBlock;
