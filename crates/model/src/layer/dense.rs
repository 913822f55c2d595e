//! Linear layers, layer norm and embeddings. All weights are first zero (norm weights one): `init.rs` initialises them by
//! name, and `weights.rs` loads them from a file.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor};
use ptu_kernels::{Pass, layer_norm, linear, linear_onto, residual_norm};

/// A weight with the same value everywhere. Memory is allocated when it is first read, so a weight that is replaced before never
/// allocates memory.
pub fn constant<const D: usize>(value: f32, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    let make = move |device: &Device, tracked: bool| Tensor::full(shape, value, device).set_require_grad(tracked);
    Param::uninitialized(ParamId::new(), make, device.clone(), true, shape.into())
}

/// A linear layer, `x W^T + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// Weight, `[out, in]`, as in published files.
    pub weight: Param<Tensor<2>>,
    /// Bias, `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// A linear layer with bias.
    pub fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        let bias = Some(constant(0.0, [outputs], device));
        Self { bias, ..Self::without_bias(inputs, outputs, device) }
    }

    /// A linear layer without bias.
    pub fn without_bias(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self { weight: constant(0.0, [outputs, inputs], device), bias: None }
    }

    /// Applies the layer: `[.., in] -> [.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, pass: &Pass) -> Tensor<D> {
        linear(x, self.weight.val(), self.bias.as_ref().map(Param::val), pass.precision)
    }

    /// Applies the layer and adds a residual: `residual + forward(x)`, with `residual [.., out]`, `x [.., in]` -> `[.., out]`.
    pub fn forward_onto<const D: usize>(&self, residual: Tensor<D>, x: Tensor<D>, pass: &Pass) -> Tensor<D> {
        linear_onto(residual, x, self.weight.val(), self.bias.as_ref().map(Param::val), pass.precision)
    }

    /// Weight and bias, for applying several layers to the same input at once.
    ///
    /// # Panics
    /// If the layer has no bias.
    pub fn parts(&self) -> (Tensor<2>, Tensor<1>) {
        (self.weight.val(), self.bias.as_ref().expect("layers that are applied together have biases").val())
    }
}

/// Layer norm over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Weight, `[d]`.
    pub weight: Param<Tensor<1>>,
    /// Bias, `[d]`.
    pub bias: Param<Tensor<1>>,
    eps: f64,
}

impl LayerNorm {
    /// A layer norm of width `d`.
    pub fn new(d: usize, eps: f64, device: &Device) -> Self {
        Self { weight: constant(1.0, [d], device), bias: constant(0.0, [d], device), eps }
    }

    /// Applies the norm: `[.., d] -> [.., d]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.weight.val(), self.bias.val(), self.eps)
    }

    /// Residual connection with dropout, then the norm: norm of `x + dropout(y)`, both `[rows, d]`.
    pub fn forward_sum(&self, x: Tensor<2>, y: Tensor<2>, pass: &Pass) -> Tensor<2> {
        residual_norm(x, y, [self.weight.val(), self.bias.val()], self.eps, pass.mask())
    }
}

/// An embedding table, one vector in each row.
#[derive(Module, Debug)]
pub struct Embedding {
    /// The table, `[rows, d]`.
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    /// A table of zeros.
    pub fn new(rows: usize, d: usize, device: &Device) -> Self {
        Self { weight: constant(0.0, [rows, d], device) }
    }

    /// One row, `[1, d]`.
    pub fn row(&self, row: usize) -> Tensor<2> {
        self.weight.val().narrow(0, row, 1)
    }
}
