//! Scaled dot-product attention, and the post-norm attention of BERT.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Dropout, LayerNorm, Linear, Mask};
use crate::kernel::{attention, sum};

/// Every query mixes the values of the keys it agrees with, head by head.
///
/// # Shapes
/// `query [b, t, d]`, `key` and `value [b, k, d]` -> `[b, t, d]`; `mask` hides padded keys.
pub fn attend(parts: [Tensor<3>; 3], heads: usize, mask: Option<&Mask>, dropout: &Dropout) -> Tensor<3> {
    let ([b, t, _], k) = (parts[0].dims(), parts[1].dims()[1]);
    let kept = dropout.mask(b * heads * t * k).map(Arc::new);
    attention(parts, heads, mask.and_then(Mask::hidden), kept)
}

/// Post-norm attention of BERT: `LN(x + Wo attention(x, y))`.
#[derive(Module, Debug)]
pub struct Attention {
    /// Query map.
    pub query: Linear,
    /// Key map.
    pub key: Linear,
    /// Value map.
    pub value: Linear,
    /// Output map.
    pub output: Linear,
    /// Norm of the sum.
    pub norm: LayerNorm,
    heads: usize,
}

impl Attention {
    /// Attention of width `d`.
    pub fn new(d: usize, heads: usize, eps: f64, device: &Device) -> Self {
        let linear = || Linear::new(d, d, device);
        Self {
            query: linear(),
            key: linear(),
            value: linear(),
            output: linear(),
            norm: LayerNorm::new(d, eps, device),
            heads,
        }
    }

    /// `x [b, t, d]` attends to `y [b, k, d]`, whose padding `mask` hides.
    pub fn forward(&self, x: Tensor<3>, y: Tensor<3>, mask: Option<&Mask>, dropout: &Dropout) -> Tensor<3> {
        let parts = [self.query.forward(x.clone()), self.key.forward(y.clone()), self.value.forward(y)];
        let mixed = attend(parts, self.heads, mask, dropout);
        self.norm.forward(sum(x, dropout.apply(self.output.forward(mixed))))
    }
}
