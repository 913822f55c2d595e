//! Text encoder: RoBERTa or BERT without its pooler (specification, section 1).
//!
//! Shapes: `rows` is the number of tokens of all texts, d is the width.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use ptu_input::Texts;
use ptu_kernels::{Packed, Pass, rows, sum};

use crate::config::TextConfig;
use crate::layer::{BertLayer, Embedding, LayerNorm};

/// The text encoder: embeddings and transformer layers.
#[derive(Module, Debug)]
pub struct TextEncoder {
    /// Word embeddings, `[v, d]`.
    pub words: Embedding,
    /// Position embeddings, `[positions, d]`.
    pub positions: Embedding,
    /// Token type embeddings, `[1 or 2, d]`.
    pub types: Embedding,
    /// Layer norm of the sum of the embeddings.
    pub norm: LayerNorm,
    /// Post-norm layers.
    pub layers: Vec<BertLayer>,
    first_position: usize,
}

impl TextEncoder {
    /// An encoder with the configured sizes.
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

    /// Sum of word, position and token type embeddings, with layer norm and dropout.
    pub fn embed(&self, texts: &Texts, pass: &Pass) -> Packed {
        let words = rows(vec![self.words.weight.val()], Arc::new(texts.ids.iter().map(|&id| id as usize).collect()));
        let position_ids = texts.lengths.iter().flat_map(|&length| self.first_position..self.first_position + length);
        let positions = self.positions.weight.val() + self.types.row(0); //    every token has type 0
        let positions = rows(vec![positions], Arc::new(position_ids.collect()));
        let tokens = pass.apply(self.norm.forward(sum(words, positions))); //        [rows, d]
        Packed::new(tokens, texts.lengths.clone())
    }

    /// Runs all layers: `[rows, d] -> [rows, d]`.
    pub fn encode(&self, x: Packed, pass: &Pass) -> Packed {
        self.layers.iter().fold(x, |x, layer| pass.block(layer, &[&x], |layer, x, pass| layer.forward(x[0], pass)))
    }
}
