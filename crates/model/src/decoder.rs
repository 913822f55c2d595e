//! The decoder for reports and summaries: a RoBERTa decoder with cross-attention (specification, section 1.7).
//!
//! Shapes: `rows` is the number of tokens of all packed sequences, d is the width of the text encoder, v the vocabulary.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ptu_input::Texts;
use ptu_kernels::{Packed, Pass};

use crate::config::{ModelConfig, TextConfig};
use crate::head::HEAD_EPS;
use crate::layer::{CrossLayer, Embedding, LayerNorm, Linear};
use crate::text::EmbeddingTables;
use crate::{MlmHead, ModelError};

/// The decoder: from the states after the fusion and the tokens so far to logits of the next token.
#[derive(Module, Debug)]
pub struct Decoder {
    /// Projection of the states after the fusion to the width of the decoder (`clm_proj.0`).
    pub projection: Linear,
    /// Layer norm of the projected states (`clm_proj.1`).
    pub projection_norm: LayerNorm,
    /// Word embeddings, `[v, d]`.
    pub words: Embedding,
    /// Position embeddings, `[positions, d]`.
    pub positions: Embedding,
    /// Token type embeddings, `[1 or 2, d]`.
    pub types: Embedding,
    /// Layer norm of the sum of the embeddings.
    pub norm: LayerNorm,
    /// Layers with causal self-attention and cross-attention.
    pub layers: Vec<CrossLayer>,
    /// Output head, from hidden states to logits over the vocabulary.
    pub head: MlmHead,
    #[module(skip)]
    config: TextConfig,
}

impl Decoder {
    /// A decoder with the sizes of the text encoder; where that one has no layers, with as many as the fusion.
    pub(crate) fn new(config: &ModelConfig, device: &Device) -> Self {
        let text = &config.text;
        let d = text.width;
        Self {
            projection: Linear::new(config.fusion.width, d, device),
            projection_norm: LayerNorm::new(d, HEAD_EPS, device),
            words: Embedding::new(text.vocabulary, d, device),
            positions: Embedding::new(text.positions, d, device),
            types: Embedding::new(text.types(), d, device),
            norm: LayerNorm::new(d, text.eps, device),
            layers: (0..config.decoder_layers()).map(|_| CrossLayer::new(d, text.heads, text.eps, device)).collect(),
            head: MlmHead::new(d, text, device),
            config: *text,
        }
    }

    /// What the decoder attends to: the states after the fusion of all tokens of a record, projected and normalised. Sequence `i`
    /// of the result joins sequences `i` of all parts, in the order of the parts: image, text and, if padding is not masked,
    /// padding.
    ///
    /// # Panics
    /// If the parts differ in the number of sequences, or if there are more than five.
    pub fn memory(&self, parts: &[&Packed], pass: &Pass) -> Packed {
        let joined = Packed::join(parts);
        let projected = self.projection.forward(joined.tokens.clone(), pass); //                  [rows, d]
        joined.with(self.projection_norm.forward(projected))
    }

    /// Hidden states of all target tokens: target `i` attends to memory `i`, and each token to itself and to those before it.
    ///
    /// # Panics
    /// If the numbers of targets and memories differ, a target is empty, or the targets do not fit: see [`Self::check`].
    pub fn states(&self, memory: &Packed, targets: &Texts, pass: &Pass) -> Packed {
        let positions = targets.lengths.iter().flat_map(|&length| (0..length).map(|place| self.position(place)));
        let embedded = self.tables().embed(&targets.ids, positions.collect(), pass);
        let embedded = Packed::new(embedded, targets.lengths.clone());
        self.layers.iter().fold(embedded, |x, layer| {
            pass.block(layer, &[&x, memory], |layer, x, pass| layer.forward_causal(x[0], x[1], pass))
        })
    }

    /// Logits of every next token under teacher forcing, `[m, v]`, and the m tokens that they should predict: token `i + 1` of a
    /// target from its tokens 0 to `i`. The loss is the cross-entropy of the two. `None` if no target has a second token.
    ///
    /// # Panics
    /// As [`Self::states`].
    pub fn next_tokens(&self, memory: &Packed, targets: &Texts, pass: &Pass) -> Option<(Tensor<2>, Vec<usize>)> {
        let starts = targets.starts().zip(&targets.lengths).enumerate().filter(|(_, (_, length))| **length > 1);
        let used: Vec<(usize, &[u32])> =
            starts.map(|(which, (start, length))| (which, &targets.ids[start..start + length])).collect();
        if used.is_empty() {
            return None;
        }
        // The last token of a target predicts nothing, so it is not computed.
        let inputs = Texts::collect(used.iter().map(|(_, ids)| &ids[..ids.len() - 1]));
        let labels = used.iter().flat_map(|(_, ids)| ids[1..].iter().map(|id| *id as usize)).collect();
        let memory = memory.select(used.iter().map(|(which, _)| *which));
        let states = self.states(&memory, &inputs, pass);
        Some((self.head.forward(states.tokens, pass), labels))
    }

    /// Checks that the decoder can process targets: their length and their ids.
    ///
    /// # Errors
    /// [`ModelError::TextTooLong`], [`ModelError::UnknownToken`].
    pub fn check(&self, targets: &Texts) -> Result<(), ModelError> {
        self.config.check_texts(targets)
    }

    /// The largest number of tokens of a target.
    pub fn longest(&self) -> usize {
        self.config.longest()
    }

    /// Number of entries of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    /// The row of the position embeddings for the token with this number in its target.
    pub(crate) fn position(&self, place: usize) -> usize {
        self.config.first_position() + place
    }

    /// The embedding tables.
    pub(crate) fn tables(&self) -> EmbeddingTables<'_> {
        EmbeddingTables { words: &self.words, positions: &self.positions, types: &self.types, norm: &self.norm }
    }
}
