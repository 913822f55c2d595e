//! The transformer block of CLIP's image encoder: pre-norm, QuickGELU, no dropout (specification, section 1).

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use ptu_kernels::{AttentionPlan, Packed, Pass, Visible, quick_gelu, self_attention};

use super::{LayerNorm, Linear};

/// Width of one attention head in CLIP.
const HEAD: usize = 64;

/// A pre-norm transformer block: `x + attention(ln_1(x))`, then `x + mlp(ln_2(x))`.
#[derive(Module, Debug)]
pub struct ClipBlock {
    /// Layer norm before self-attention.
    pub norm_1: LayerNorm,
    /// Query, key and value projections as one linear layer, `[d, 3d]`.
    pub attention_input: Linear,
    /// Output projection of self-attention.
    pub attention_output: Linear,
    /// Layer norm before the MLP.
    pub norm_2: LayerNorm,
    /// First linear layer of the MLP, `[d, 4d]`.
    pub inner: Linear,
    /// Second linear layer of the MLP, `[4d, d]`.
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

    /// Runs the block: `[rows, d] -> [rows, d]`.
    pub fn forward(&self, x: &Packed, pass: &Pass) -> Packed {
        let d = x.tokens.dims()[1];
        let joined = self.attention_input.forward(self.norm_1.forward(x.tokens.clone()), pass); //   [rows, 3d]
        let lengths = || Arc::clone(&x.lengths);
        let plan = AttentionPlan {
            heads: d / HEAD,
            queries: lengths(),
            keys: lengths(),
            visible: Visible::All,
            mask: None,
            precision: pass.precision,
        };
        let tokens = self.attention_output.forward_onto(x.tokens.clone(), self_attention(joined, plan), pass);
        let inner = quick_gelu(self.inner.forward(self.norm_2.forward(tokens.clone()), pass)); //    [rows, 4d]
        x.with(self.outer.forward_onto(tokens, inner, pass))
    }
}
