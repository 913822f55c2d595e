//! The block of CLIP's image encoder: pre-norm, QuickGELU, no dropout (SPEC 1).

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Dropout, LayerNorm, Linear, attend};
use crate::kernel::{quick_gelu, sum};

/// Width of an attention head in CLIP.
const HEAD: usize = 64;

/// `x + attention(ln_1(x))`, then `x + mlp(ln_2(x))`.
#[derive(Module, Debug)]
pub struct ClipBlock {
    /// Norm before attention.
    pub norm_1: LayerNorm,
    /// Query, key and value maps as one, `[d, 3d]`.
    pub attention_input: Linear,
    /// Output map of attention.
    pub attention_output: Linear,
    /// Norm before the MLP.
    pub norm_2: LayerNorm,
    /// `[d, 4d]`.
    pub inner: Linear,
    /// `[4d, d]`.
    pub outer: Linear,
}

impl ClipBlock {
    /// A block of width `d`, a multiple of 64.
    pub fn new(d: usize, eps: f64, device: &Device) -> Self {
        Self {
            norm_1: LayerNorm::new(d, eps, device),
            attention_input: Linear::new(d, 3 * d, device),
            attention_output: Linear::new(d, d, device),
            norm_2: LayerNorm::new(d, eps, device),
            inner: Linear::new(d, 4 * d, device),
            outer: Linear::new(4 * d, d, device),
        }
    }

    /// `[b, n, d] -> [b, n, d]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let d = x.dims()[2];
        let joined = self.attention_input.forward(self.norm_1.forward(x.clone())); //   [b, n, 3d]
        let part = |index: usize| joined.clone().narrow(2, index * d, d); //            [b, n, d]
        let mixed = attend([part(0), part(1), part(2)], d / HEAD, None, &Dropout::off());
        let x = sum(x, self.attention_output.forward(mixed));
        let inner = quick_gelu(self.inner.forward(self.norm_2.forward(x.clone())));
        sum(x, self.outer.forward(inner))
    }
}
