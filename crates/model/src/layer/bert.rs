//! Layers of the text encoder and of the fusion: post-norm, GELU with erf (SPEC 1).

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Attention, Dropout, LayerNorm, Linear, Mask};
use crate::kernel::{gelu, sum};

/// `LN(x + W2 gelu(W1 x))`, four times as wide inside.
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

    fn forward(&self, x: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let inner = gelu(self.inner.forward(x.clone()));
        self.norm.forward(sum(x, dropout.apply(self.outer.forward(inner))))
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

    /// `[b, t, d] -> [b, t, d]`.
    pub fn forward(&self, x: Tensor<3>, mask: Option<&Mask>, dropout: &Dropout) -> Tensor<3> {
        let x = self.attention.forward(x.clone(), x, mask, dropout);
        self.feed_forward.forward(x, dropout)
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

/// One stream as the other one or itself sees it.
#[derive(Clone, Copy)]
pub struct Stream<'a> {
    /// `[b, k, d]`.
    pub tokens: &'a Tensor<3>,
    /// Padding; images have none.
    pub mask: Option<&'a Mask>,
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

    /// New states of those tokens of `own` that `queries [b, q, d]` holds (all of them, or the few that a head reads);
    /// `other` is the other stream as it was before the layer.
    pub fn forward(&self, queries: Tensor<3>, own: Stream, other: Stream, dropout: &Dropout) -> Tensor<3> {
        let x = self.attention.forward(queries, own.tokens.clone(), own.mask, dropout); //   [b, q, d]
        let x = self.cross.forward(x, other.tokens.clone(), other.mask, dropout); //         [b, q, d]
        self.feed_forward.forward(x, dropout)
    }
}
