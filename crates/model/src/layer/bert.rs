//! Layers of the text encoder and of the fusion: post-norm, GELU with erf (specification, section 1).

use burn::module::Module;
use burn::tensor::Device;
use ptu_kernels::{Packed, Pass, gelu};

use super::{Attention, LayerNorm, Linear};

/// Feed-forward network with residual connection: `LN(x + dropout(W2 gelu(W1 x)))`. The inner width is 4d.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// First linear layer, `[d, 4d]`.
    pub inner: Linear,
    /// Second linear layer, `[4d, d]`.
    pub outer: Linear,
    /// Layer norm after the residual connection.
    pub norm: LayerNorm,
}

impl FeedForward {
    fn new(d: usize, eps: f64, device: &Device) -> Self {
        Self {
            inner: Linear::new(d, 4 * d, device),
            outer: Linear::new(4 * d, d, device),
            norm: LayerNorm::new(d, eps, device),
        }
    }

    /// Runs the network: `[rows, d] -> [rows, d]`.
    pub fn forward(&self, x: &Packed, pass: &Pass) -> Packed {
        let inner = gelu(self.inner.forward(x.tokens.clone(), pass)); //                          [rows, 4d]
        x.with(self.norm.forward_sum(x.tokens.clone(), self.outer.forward(inner, pass), pass))
    }
}

/// A transformer layer of the text encoder.
#[derive(Module, Debug)]
pub struct BertLayer {
    /// Self-attention.
    pub attention: Attention,
    /// Feed-forward network.
    pub feed_forward: FeedForward,
}

impl BertLayer {
    /// A layer of width `d`.
    pub fn new(d: usize, heads: usize, eps: f64, device: &Device) -> Self {
        Self { attention: Attention::new(d, heads, eps, device), feed_forward: FeedForward::new(d, eps, device) }
    }

    /// Runs the layer: `[rows, d] -> [rows, d]`.
    pub fn forward(&self, x: &Packed, pass: &Pass) -> Packed {
        self.feed_forward.forward(&self.attention.self_attention(x, pass), pass)
    }

    /// Runs the layer for other tokens, which attend to the sequences of `x` without being attended to.
    pub fn forward_some(&self, some: &Packed, x: &Packed, pass: &Pass) -> Packed {
        self.feed_forward.forward(&self.attention.cross_attention(some, x, pass), pass)
    }
}

/// A fusion layer of one stream: self-attention, cross-attention to the other stream, feed-forward network. A layer of the
/// decoder has the same parts; its other stream is what the decoder attends to.
#[derive(Module, Debug)]
pub struct CrossLayer {
    /// Self-attention of the stream.
    pub attention: Attention,
    /// Cross-attention to the other stream.
    pub cross: Attention,
    /// Feed-forward network.
    pub feed_forward: FeedForward,
}

impl CrossLayer {
    /// A layer of width `d`.
    pub fn new(d: usize, heads: usize, eps: f64, device: &Device) -> Self {
        Self {
            attention: Attention::new(d, heads, eps, device),
            cross: Attention::new(d, heads, eps, device),
            feed_forward: FeedForward::new(d, eps, device),
        }
    }

    /// Runs the layer on a stream; `other` is the other stream as it was before this layer.
    pub fn forward(&self, own: &Packed, other: &Packed, pass: &Pass) -> Packed {
        self.cross_attention_and_feed_forward(self.attention.self_attention(own, pass), other, pass)
    }

    /// Runs the layer with causal self-attention, as a layer of the decoder that attends to `memory`.
    pub fn forward_causal(&self, own: &Packed, memory: &Packed, pass: &Pass) -> Packed {
        self.cross_attention_and_feed_forward(self.attention.causal_self_attention(own, pass), memory, pass)
    }

    /// Runs the layer only for some tokens of a stream: those that a head reads.
    pub fn forward_some(&self, some: &Packed, own: &Packed, other: &Packed, pass: &Pass) -> Packed {
        self.cross_attention_and_feed_forward(self.attention.cross_attention(some, own, pass), other, pass)
    }

    /// Cross-attention weights of each token of a stream over the tokens of the other stream: see [`Attention::weights`].
    pub fn cross_weights(&self, own: &Packed, other: &Packed) -> Vec<Vec<f32>> {
        self.cross.weights(&self.attention.self_attention(own, &Pass::off()), other)
    }

    /// The part of the layer after self-attention.
    pub fn cross_attention_and_feed_forward(&self, x: Packed, other: &Packed, pass: &Pass) -> Packed {
        self.feed_forward.forward(&self.cross.cross_attention(&x, other, pass), pass)
    }
}
