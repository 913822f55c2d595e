//! Scaled dot-product attention, and the post-norm attention of BERT.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Dropout, LayerNorm, Linear, Mask};
use crate::kernel::masked_softmax;

/// Every query mixes the values of the keys it agrees with, head by head.
///
/// # Shapes
/// `query [b, t, d]`, `key` and `value [b, k, d]` -> `[b, t, d]`; `mask` hides padded keys.
pub fn attend(
    [query, key, value]: [Tensor<3>; 3],
    heads: usize,
    mask: Option<&Mask>,
    dropout: &Dropout,
) -> Tensor<3> {
    let [b, t, d] = query.dims();
    let split = |x: Tensor<3>| {
        let k = x.dims()[1];
        x.reshape([b, k, heads, d / heads]).swap_dims(1, 2) //                             [b, h, k, e]
    };
    let scale = ((d / heads) as f64).powf(-0.5);
    let scores = split(query).mul_scalar(scale).matmul(split(key).swap_dims(2, 3)); //     [b, h, t, k]
    let weights = dropout.apply(masked_softmax(scores, mask.and_then(Mask::hidden))); //   [b, h, t, k]
    weights.matmul(split(value)).swap_dims(1, 2).reshape([b, t, d]) //                     [b, t, d]
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
        self.norm.forward(x + dropout.apply(self.output.forward(mixed)))
    }
}
