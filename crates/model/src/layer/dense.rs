//! Linear maps, layer norm and tables. All start at zero (norm weights at one): `init.rs` fills them by name, `weights.rs` from
//! a file.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor};
use ptu_kernels::{Pass, layer_norm, linear, linear_onto, residual_norm};

/// A weight of one value throughout. It takes memory once it is looked at: what is filled before that never does.
pub fn constant<const D: usize>(value: f32, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    let make = move |device: &Device, tracked: bool| Tensor::full(shape, value, device).set_require_grad(tracked);
    Param::uninitialized(ParamId::new(), make, device.clone(), true, shape.into())
}

/// `x W^T + b`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[out, in]`, as in published files.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// A map with bias.
    pub fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        let bias = Some(constant(0.0, [outputs], device));
        Self { bias, ..Self::without_bias(inputs, outputs, device) }
    }

    /// A map without bias.
    pub fn without_bias(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self { weight: constant(0.0, [outputs, inputs], device), bias: None }
    }

    /// `[.., in] -> [.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>, pass: &Pass) -> Tensor<D> {
        linear(x, self.weight.val(), self.bias.as_ref().map(Param::val), pass.products)
    }

    /// `residual + forward(x)`: `[.., out]`, `[.., in] -> [.., out]`.
    pub fn forward_onto<const D: usize>(&self, residual: Tensor<D>, x: Tensor<D>, pass: &Pass) -> Tensor<D> {
        linear_onto(residual, x, self.weight.val(), self.bias.as_ref().map(Param::val), pass.products)
    }

    /// Weight and bias, to be applied beside those of other maps.
    ///
    /// # Panics
    /// If it has no bias.
    pub fn parts(&self) -> (Tensor<2>, Tensor<1>) {
        (self.weight.val(), self.bias.as_ref().expect("maps side by side have biases").val())
    }
}

/// Layer norm over the last axis.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[d]`.
    pub weight: Param<Tensor<1>>,
    /// `[d]`.
    pub bias: Param<Tensor<1>>,
    eps: f64,
}

impl LayerNorm {
    /// A norm of width `d`.
    pub fn new(d: usize, eps: f64, device: &Device) -> Self {
        Self { weight: constant(1.0, [d], device), bias: constant(0.0, [d], device), eps }
    }

    /// `[.., d] -> [.., d]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.weight.val(), self.bias.val(), self.eps)
    }

    /// Norm of `x + dropout(y)`, both `[rows, d]`.
    pub fn forward_sum(&self, x: Tensor<2>, y: Tensor<2>, pass: &Pass) -> Tensor<2> {
        residual_norm(x, y, [self.weight.val(), self.bias.val()], self.eps, pass.mask())
    }
}

/// A table of vectors, one a row.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[rows, d]`.
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
