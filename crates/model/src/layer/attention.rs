//! Post-norm attention of BERT.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{LayerNorm, Linear, Pass};
use crate::Packed;
use crate::kernel::{AttentionPlan, cross_attention, linears, self_attention};

/// Post-norm attention of BERT: `LN(x + dropout(Wo attention(x, y)))`.
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

    /// Sequences attend to themselves.
    pub fn to_itself(&self, x: &Packed, pass: &Pass) -> Packed {
        let joined =
            linears(x.tokens.clone(), [self.query.parts(), self.key.parts(), self.value.parts()], pass.products); // [rows, 3d]
        let plan = self.plan(&x.lengths, &x.lengths, pass);
        self.finish(x, self_attention(joined, plan), pass)
    }

    /// Sequences attend to those of `y` with the same number.
    pub fn to(&self, x: &Packed, y: &Packed, pass: &Pass) -> Packed {
        let queries = self.query.forward(x.tokens.clone(), pass); //                              [rows of x, d]
        let joined = linears(y.tokens.clone(), [self.key.parts(), self.value.parts()], pass.products); // [rows of y, 2d]
        let plan = self.plan(&x.lengths, &y.lengths, pass);
        self.finish(x, cross_attention(queries, joined, plan), pass)
    }

    fn plan(&self, queries: &Arc<Vec<usize>>, keys: &Arc<Vec<usize>>, pass: &Pass) -> AttentionPlan {
        let (queries, keys) = (Arc::clone(queries), Arc::clone(keys));
        AttentionPlan { heads: self.heads, queries, keys, mask: pass.mask(), products: pass.products }
    }

    fn finish(&self, x: &Packed, mixed: Tensor<2>, pass: &Pass) -> Packed {
        x.with(self.norm.forward_sum(x.tokens.clone(), self.output.forward(mixed, pass), pass))
    }
}
