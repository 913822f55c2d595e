//! The transformer block of a vision transformer: pre-norm, no dropout (specification, section 1).

use std::ops::Range;
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use ptu_kernels::{
    AttentionPlan, Packed, Pass, Visible, cross_attention, gelu, gelu_tanh, linear, quick_gelu, self_attention,
};

use super::{LayerNorm, Linear, attention_weights, constant};
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
        let mixed = self_attention(joined, self.plan(x, x, pass));
        self.after_attention(x, mixed, pass)
    }

    /// Runs the block for other tokens, which attend to the sequences of `x` without being attended to.
    pub fn forward_some(&self, some: &Packed, x: &Packed, pass: &Pass) -> Packed {
        let mixed = cross_attention(self.queries(some, pass), self.keys_and_values(x, pass), self.plan(some, x, pass));
        self.after_attention(some, mixed, pass)
    }

    /// Attention weights of each token over the tokens of its sequence: see [`super::Attention::weights`].
    pub fn weights(&self, x: &Packed) -> Vec<Vec<f32>> {
        let d = x.tokens.dims()[1];
        let keys = self.keys_and_values(x, &Pass::off()).narrow(1, 0, d);
        attention_weights((&x.with(self.queries(x, &Pass::off())), &x.with(keys)), self.heads)
    }

    /// Query projection: `[rows, d] -> [rows, d]`.
    fn queries(&self, x: &Packed, pass: &Pass) -> Tensor<2> {
        self.part_of_input(x, 0..1, pass)
    }

    /// Key and value projections: `[rows, d] -> [rows, 2d]`.
    fn keys_and_values(&self, x: &Packed, pass: &Pass) -> Tensor<2> {
        self.part_of_input(x, 1..3, pass)
    }

    /// Some of the projections of the normalised tokens: query, key, value.
    fn part_of_input(&self, x: &Packed, part: Range<usize>, pass: &Pass) -> Tensor<2> {
        let ((weight, bias), d) = (self.attention_input.parts(), x.tokens.dims()[1]);
        let (from, count) = (part.start * d, part.len() * d);
        let (weight, bias) = (weight.narrow(0, from, count), bias.narrow(0, from, count));
        linear(self.norm_1.forward(x.tokens.clone()), weight, Some(bias), pass.precision)
    }

    fn plan(&self, queries: &Packed, keys: &Packed, pass: &Pass) -> AttentionPlan {
        AttentionPlan {
            heads: self.heads,
            queries: Arc::clone(&queries.lengths),
            keys: Arc::clone(&keys.lengths),
            visible: Visible::All,
            mask: None,
            precision: pass.precision,
            record: pass.record(false),
        }
    }

    /// The block after attention: output projection, residual connections, MLP.
    fn after_attention(&self, x: &Packed, mixed: Tensor<2>, pass: &Pass) -> Packed {
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
