//! Text encoder: RoBERTa or BERT without its pooler (SPEC 1).
//!
//! Shapes: b batch, t tokens, d width.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::config::TextConfig;
use crate::layer::{BertLayer, Dropout, Embedding, LayerNorm, Mask};

/// Embeddings and layers.
#[derive(Module, Debug)]
pub struct TextEncoder {
    /// Vocabulary, `[v, d]`.
    pub words: Embedding,
    /// Positions, `[positions, d]`.
    pub positions: Embedding,
    /// Token types, `[1 or 2, d]`.
    pub types: Embedding,
    /// Norm of the sum.
    pub norm: LayerNorm,
    /// Post-norm layers.
    pub layers: Vec<BertLayer>,
    first_position: usize,
}

impl TextEncoder {
    /// An encoder of the configured sizes.
    pub fn new(config: &TextConfig, device: &Device) -> Self {
        let d = config.width;
        Self {
            words: Embedding::new(config.vocabulary, d, device),
            positions: Embedding::new(config.positions, d, device),
            types: Embedding::new(config.types(), d, device),
            norm: LayerNorm::new(d, config.eps, device),
            layers: (0..config.layers).map(|_| BertLayer::new(d, config.heads, config.eps, device)).collect(),
            first_position: config.first_position(),
        }
    }

    /// Words, positions and type, normed: `ids [b, t] -> [b, t, d]`. Padding stands behind the text, so a token's
    /// position is its place; what padded places hold is never read.
    pub fn embed(&self, ids: &[u32], length: usize, dropout: &Dropout) -> Tensor<3> {
        let (device, rows) = (self.words.weight.val().device(), ids.len() / length);
        let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
        let ids: Tensor<2, Int> = Tensor::from_data(TensorData::new(ids, [rows, length]), &device);
        let places: Vec<i32> = (0..length).map(|place| (self.first_position + place) as i32).collect();
        let places: Tensor<2, Int> = Tensor::from_data(TensorData::new(places, [1, length]), &device);
        let x = self.words.forward(ids) + (self.positions.forward(places) + self.types.row(0)); // [b, t, d]
        dropout.apply(self.norm.forward(x))
    }

    /// All layers: `[b, t, d] -> [b, t, d]`.
    pub fn encode(&self, mut x: Tensor<3>, mask: Option<&Mask>, dropout: &Dropout) -> Tensor<3> {
        for layer in &self.layers {
            x = layer.forward(x, mask, dropout);
        }
        x
    }
}
