//! The transformer block of a vision transformer: pre-norm, no dropout (specification, section 1).

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use ptu_kernels::{AttentionPlan, Packed, Pass, Visible, gelu, gelu_tanh, quick_gelu, self_attention};

use super::{LayerNorm, Linear, constant};
use crate::config::{ImageActivation, ImageConfig};

/// A pre-norm transformer block: `x + attention(ln_1(x))`, then `x + mlp(ln_2(x))`. With LayerScale the outputs of attention and MLP
/// are multiplied by a learned vector before they are added.
#[derive(Module, Debug)]
pub struct VitBlock {
    /// Layer norm before self-attention.
    pub norm_1: LayerNorm,
    /// Query, key and value projections as one linear layer, `[d, 3d]`.
    pub attention_input: Linear,
    /// Output projection of self-attention.
    pub attention_output: Linear,
    /// LayerScale of self-attention, `[d]`.
    pub scale_1: Option<Param<Tensor<1>>>,
    /// Layer norm before the MLP.
    pub norm_2: LayerNorm,
    /// First linear layer of the MLP, `[d, mlp_width]`.
    pub inner: Linear,
    /// Second linear layer of the MLP, `[mlp_width, d]`.
    pub outer: Linear,
    /// LayerScale of the MLP, `[d]`.
    pub scale_2: Option<Param<Tensor<1>>>,
    heads: usize,
    #[module(skip)]
    activation: ImageActivation,
}

impl VitBlock {
    /// A block with the configured sizes and style.
    pub fn new(config: &ImageConfig, device: &Device) -> Self {
        let &ImageConfig { width: d, eps, .. } = config;
        let scale = || config.layer_scale.then(|| constant(1.0, [d], device));
        Self {
            norm_1: LayerNorm::new(d, eps, device),
            attention_input: Linear::new(d, 3 * d, device),
            attention_output: Linear::new(d, d, device),
            scale_1: scale(),
            norm_2: LayerNorm::new(d, eps, device),
            inner: Linear::new(d, config.mlp_width(), device),
            outer: Linear::new(config.mlp_width(), d, device),
            scale_2: scale(),
            heads: config.heads(),
            activation: config.activation,
        }
    }

    /// Runs the block: `[rows, d] -> [rows, d]`.
    pub fn forward(&self, x: &Packed, pass: &Pass) -> Packed {
        let joined = self.attention_input.forward(self.norm_1.forward(x.tokens.clone()), pass); //   [rows, 3d]
        let lengths = || Arc::clone(&x.lengths);
        let plan = AttentionPlan {
            heads: self.heads,
            queries: lengths(),
            keys: lengths(),
            visible: Visible::All,
            mask: None,
            precision: pass.precision,
            record: pass.record(false),
        };
        let mixed = self_attention(joined, plan);
        let tokens = added(x.tokens.clone(), mixed, (&self.attention_output, self.scale_1.as_ref()), pass);
        let inner = self.inner.forward(self.norm_2.forward(tokens.clone()), pass); //                [rows, mlp_width]
        let inner = match self.activation {
            ImageActivation::QuickGelu => quick_gelu(inner),
            ImageActivation::Gelu => gelu(inner),
            ImageActivation::GeluTanh => gelu_tanh(inner),
        };
        x.with(added(tokens, inner, (&self.outer, self.scale_2.as_ref()), pass))
    }
}

/// `residual + scale * map(x)`.
fn added(
    residual: Tensor<2>,
    x: Tensor<2>,
    (map, scale): (&Linear, Option<&Param<Tensor<1>>>),
    pass: &Pass,
) -> Tensor<2> {
    match scale {
        None => map.forward_onto(residual, x, pass),
        Some(scale) => residual + map.forward(x, pass) * scale.val().unsqueeze::<2>(),
    }
}
