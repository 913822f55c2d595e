//! Layers of the text encoder and of the fusion: post-norm, GELU with erf (specification, section 1).

use burn::module::Module;
use burn::tensor::Device;
use ptu_kernels::{Packed, Pass, gelu};

use super::{Attention, LayerNorm, Linear};

/// `LN(x + dropout(W2 gelu(W1 x)))`, four times as wide inside.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `[d, 4d]`.
    pub inner: Linear,
    /// `[4d, d]`.
    pub outer: Linear,
    /// Norm of the sum.
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

    fn forward(&self, x: &Packed, pass: &Pass) -> Packed {
        let inner = gelu(self.inner.forward(x.tokens.clone(), pass)); //                          [rows, 4d]
        x.with(self.norm.forward_sum(x.tokens.clone(), self.outer.forward(inner, pass), pass))
    }
}

/// A layer of the text encoder.
#[derive(Module, Debug)]
pub struct BertLayer {
    /// Attention of the text to itself.
    pub attention: Attention,
    /// The rest.
    pub feed_forward: FeedForward,
}

impl BertLayer {
    /// A layer of width `d`.
    pub fn new(d: usize, heads: usize, eps: f64, device: &Device) -> Self {
        Self { attention: Attention::new(d, heads, eps, device), feed_forward: FeedForward::new(d, eps, device) }
    }

    /// `[rows, d] -> [rows, d]`.
    pub fn forward(&self, x: &Packed, pass: &Pass) -> Packed {
        self.feed_forward.forward(&self.attention.self_attention(x, pass), pass)
    }
}

/// A fusion layer of one stream: it attends to itself, then to the other stream.
#[derive(Module, Debug)]
pub struct CrossLayer {
    /// Attention of the stream to itself.
    pub attention: Attention,
    /// Attention of the stream to the other one.
    pub cross: Attention,
    /// The rest.
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

    /// New states of a stream; `other` is the other stream as it was before the layer.
    pub fn forward(&self, own: &Packed, other: &Packed, pass: &Pass) -> Packed {
        self.cross_attention_and_feed_forward(self.attention.self_attention(own, pass), other, pass)
    }

    /// New states of some tokens of a stream only: those that a head reads.
    pub fn forward_some(&self, some: &Packed, own: &Packed, other: &Packed, pass: &Pass) -> Packed {
        self.cross_attention_and_feed_forward(self.attention.cross_attention(some, own, pass), other, pass)
    }

    /// How much each token of a stream attends to each of the other stream: [`Attention::weights`].
    pub fn cross_weights(&self, own: &Packed, other: &Packed) -> Vec<Vec<f32>> {
        self.cross.weights(&self.attention.self_attention(own, &Pass::off()), other)
    }

    /// The rest of the layer, once the stream has attended to itself.
    pub fn cross_attention_and_feed_forward(&self, x: Packed, other: &Packed, pass: &Pass) -> Packed {
        self.feed_forward.forward(&self.cross.cross_attention(&x, other, pass), pass)
    }
}
