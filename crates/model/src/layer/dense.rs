//! Linear maps, layer norm and tables. All start at zero (norm weights at one): `init.rs` fills them by name.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, module};

use crate::kernel::{layer_norm, linear};

/// `x W + b`; the weight is `[in, out]` (published files hold `[out, in]`).
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// A map with bias.
    pub fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        let bias = Some(Param::from_tensor(Tensor::zeros([outputs], device)));
        Self { bias, ..Self::without_bias(inputs, outputs, device) }
    }

    /// A map without bias.
    pub fn without_bias(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self { weight: Param::from_tensor(Tensor::zeros([inputs, outputs], device)), bias: None }
    }

    /// `[.., in] -> [.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        linear(x, self.weight.val(), self.bias.as_ref().map(Param::val))
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
        let weight = Param::from_tensor(Tensor::ones([d], device));
        Self { weight, bias: Param::from_tensor(Tensor::zeros([d], device)), eps }
    }

    /// `[.., d] -> [.., d]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.weight.val(), self.bias.val(), self.eps)
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
        Self { weight: Param::from_tensor(Tensor::zeros([rows, d], device)) }
    }

    /// `[b, t]` row numbers `-> [b, t, d]`.
    pub fn forward(&self, rows: Tensor<2, Int>) -> Tensor<3> {
        module::embedding(self.weight.val(), rows)
    }

    /// One row, `[1, 1, d]`, to be added to every token.
    pub fn row(&self, row: usize) -> Tensor<3> {
        self.weight.val().narrow(0, row, 1).unsqueeze()
    }
}
