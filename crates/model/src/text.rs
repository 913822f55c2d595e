//! Text encoder: RoBERTa or BERT without its pooler (specification, section 1).
//!
//! Shapes: `rows` is the number of tokens of all texts, d is the width.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ptu_input::Texts;
use ptu_kernels::{NetworkPart, Packed, Pass, rows, sum};

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
        let positions = texts.lengths.iter().flat_map(|&length| self.first_position..self.first_position + length);
        let tokens = self.tables().embed(&texts.ids, positions.collect(), pass);
        Packed::new(tokens, texts.lengths.clone())
    }

    /// The embedding tables.
    pub(crate) fn tables(&self) -> EmbeddingTables<'_> {
        EmbeddingTables { words: &self.words, positions: &self.positions, types: &self.types, norm: &self.norm }
    }

    /// Runs all layers: `[rows, d] -> [rows, d]`.
    pub fn encode(&self, x: Packed, pass: &Pass) -> Packed {
        pass.enter(NetworkPart::TextEncoder);
        self.layers.iter().fold(x, |x, layer| pass.block(layer, &[&x], |layer, x, pass| layer.forward(x[0], pass)))
    }
}

/// The embedding tables of the text encoder or of the decoder.
pub(crate) struct EmbeddingTables<'a> {
    pub(crate) words: &'a Embedding,
    pub(crate) positions: &'a Embedding,
    pub(crate) types: &'a Embedding,
    pub(crate) norm: &'a LayerNorm,
}

impl EmbeddingTables<'_> {
    /// Sum of word, position and token type embeddings, with layer norm and dropout: one row for each id, `[rows, d]`.
    pub(crate) fn embed(&self, ids: &[u32], positions: Vec<usize>, pass: &Pass) -> Tensor<2> {
        let words = rows(vec![self.words.weight.val()], Arc::new(ids.iter().map(|&id| id as usize).collect()));
        let table = self.positions.weight.val() + self.types.row(0); //    every token has type 0
        pass.apply(self.norm.forward(sum(words, rows(vec![table], Arc::new(positions)))))
    }
}
