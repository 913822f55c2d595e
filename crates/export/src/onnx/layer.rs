//! Layers as operations of a graph. Shapes: B sequences, T tokens, d wide.

use ptu_model::config::ImageActivation;

use super::graph::{Attribute, Graph, Value};
use super::proto::element;
use crate::ExportError;

/// An end of a slice that is behind every last element.
pub const END: i64 = i64::MAX;
/// Epsilon of the layer norms of heads (specification, section 1.5).
pub const HEAD_EPS: f64 = 1e-5;

impl Graph<'_, '_> {
    pub fn add(&mut self, x: &Value, y: &Value) -> Value {
        self.op("Add", &[x, y], &[])
    }

    pub fn multiply(&mut self, x: &Value, y: &Value) -> Value {
        self.op("Mul", &[x, y], &[])
    }

    pub fn concat(&mut self, values: &[&Value], axis: i64) -> Value {
        match values {
            [value] => (*value).clone(),
            _ => self.op("Concat", values, &[Attribute::Int("axis", axis)]),
        }
    }

    /// Elements `start..end` of one axis.
    pub fn slice(&mut self, x: &Value, axis: i64, start: i64, end: i64) -> Value {
        let [start, end, axis] = [start, end, axis].map(|number| self.ints(&[number]));
        self.op("Slice", &[x, &start, &end, &axis], &[])
    }

    pub fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.op("Reshape", &[x, &shape], &[])
    }

    pub fn transpose(&mut self, x: &Value, order: &[i64]) -> Value {
        self.op("Transpose", &[x], &[Attribute::Ints("perm", order)])
    }

    pub fn cast(&mut self, x: &Value, element: i32) -> Value {
        self.op("Cast", &[x], &[Attribute::Int("to", element.into())])
    }

    /// A value of shape `[1, ..]`, once for each of the sequences of `like`.
    pub fn repeated(&mut self, value: &Value, like: &Value, rest: &[i64]) -> Value {
        let shape = self.op("Shape", &[like], &[]);
        let (count, rest) = (self.slice(&shape, 0, 0, 1), self.ints(rest));
        let shape = self.concat(&[&count, &rest], 0);
        self.op("Expand", &[value, &shape], &[])
    }

    /// A linear layer; without a bias if the model has none.
    pub fn linear(&mut self, x: &Value, name: &str) -> Result<Value, ExportError> {
        let (matrix, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        self.product(x, &matrix, &bias)
    }

    /// A linear layer with these names.
    pub fn product(&mut self, x: &Value, matrix: &str, bias: &str) -> Result<Value, ExportError> {
        let matrix = self.transposed(matrix)?;
        let product = self.op("MatMul", &[x, &matrix], &[]);
        if !self.weights.has(bias) {
            return Ok(product);
        }
        let bias = self.weight(bias)?;
        Ok(self.add(&product, &bias))
    }

    /// A layer norm over the last axis.
    pub fn norm(&mut self, x: &Value, name: &str, eps: f64) -> Result<Value, ExportError> {
        let [scale, bias] = [self.weight(&format!("{name}.weight"))?, self.weight(&format!("{name}.bias"))?];
        let options = [Attribute::Int("axis", -1), Attribute::Float("epsilon", eps as f32)];
        Ok(self.op("LayerNormalization", &[x, &scale, &bias], &options))
    }

    /// `x / 2 (1 + erf(x / sqrt 2))`.
    pub fn gelu(&mut self, x: &Value) -> Value {
        let [root, half, one] = [std::f32::consts::FRAC_1_SQRT_2, 0.5, 1.0].map(|number| self.float(number));
        let scaled = self.multiply(x, &root);
        let erf = self.op("Erf", &[&scaled], &[]);
        let (sum, half) = (self.add(&erf, &one), self.multiply(x, &half));
        self.multiply(&half, &sum)
    }

    pub fn activation(&mut self, x: &Value, activation: ImageActivation) -> Value {
        match activation {
            ImageActivation::Gelu => self.gelu(x),
            ImageActivation::QuickGelu => {
                let factor = self.float(1.702);
                let scaled = self.multiply(x, &factor);
                let gate = self.op("Sigmoid", &[&scaled], &[]);
                self.multiply(x, &gate)
            }
            ImageActivation::GeluTanh => {
                // x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
                let root = (2.0 / std::f32::consts::PI).sqrt();
                let [cubic, root, half, one] = [0.044_715, root, 0.5, 1.0].map(|number| self.float(number));
                let square = self.multiply(x, x);
                let cube = self.multiply(&square, x);
                let cube = self.multiply(&cube, &cubic);
                let sum = self.add(x, &cube);
                let inner = self.multiply(&sum, &root);
                let tanh = self.op("Tanh", &[&inner], &[]);
                let (sum, half) = (self.add(&tanh, &one), self.multiply(x, &half));
                self.multiply(&half, &sum)
            }
        }
    }

    /// Multi-head attention of projected queries, keys and values; `mask` is added to the scores, `[B, 1, 1, T]`.
    pub fn attend(
        &mut self,
        [query, key, value]: [&Value; 3],
        mask: Option<&Value>,
        (heads, width): (usize, usize),
    ) -> Value {
        let split = |graph: &mut Self, x: &Value, order: [i64; 4]| {
            let x = graph.reshape(x, &[0, 0, heads as i64, (width / heads) as i64]);
            graph.transpose(&x, &order)
        };
        let query = split(self, query, [0, 2, 1, 3]);
        let key = split(self, key, [0, 2, 3, 1]);
        let value = split(self, value, [0, 2, 1, 3]);
        let scale = self.float(((width / heads) as f32).sqrt().recip());
        let query = self.multiply(&query, &scale);
        let mut scores = self.op("MatMul", &[&query, &key], &[]);
        if let Some(mask) = mask {
            scores = self.add(&scores, mask);
        }
        let shares = self.op("Softmax", &[&scores], &[Attribute::Int("axis", -1)]);
        let mixed = self.op("MatMul", &[&shares, &value], &[]);
        let mixed = self.transpose(&mixed, &[0, 2, 1, 3]);
        self.reshape(&mixed, &[0, 0, width as i64])
    }

    /// Attention of a post-norm layer, with its residual connection.
    pub fn attention(
        &mut self,
        (x, other): (&Value, &Value),
        mask: Option<&Value>,
        name: &str,
        sizes: &PostNorm,
    ) -> Result<Value, ExportError> {
        let query = self.linear(x, &format!("{name}.self.query"))?;
        let [key, value] =
            [self.linear(other, &format!("{name}.self.key"))?, self.linear(other, &format!("{name}.self.value"))?];
        let mixed = self.attend([&query, &key, &value], mask, (sizes.heads, sizes.width));
        self.residual(&mixed, x, &format!("{name}.output"), sizes.eps)
    }

    /// The MLP of a post-norm layer, with its residual connection.
    pub fn feed_forward(&mut self, x: &Value, name: &str, eps: f64) -> Result<Value, ExportError> {
        let inner = self.linear(x, &format!("{name}.intermediate.dense"))?;
        let inner = self.gelu(&inner);
        self.residual(&inner, x, &format!("{name}.output"), eps)
    }

    fn residual(&mut self, inner: &Value, x: &Value, name: &str, eps: f64) -> Result<Value, ExportError> {
        let outer = self.linear(inner, &format!("{name}.dense"))?;
        let sum = self.add(x, &outer);
        self.norm(&sum, &format!("{name}.LayerNorm"), eps)
    }

    /// The mean over tokens where `mask` `[B, T, 1]` is 1, `[B, 1, d]`.
    pub fn mean(&mut self, x: &Value, mask: Option<&Value>) -> Value {
        let axes = [Attribute::Ints("axes", &[1]), Attribute::Int("keepdims", 1)];
        match mask {
            None => self.op("ReduceMean", &[x], &axes),
            Some(mask) => {
                let masked = self.multiply(x, mask);
                let axis = self.ints(&[1]);
                let sums = [&masked, mask].map(|x| self.op("ReduceSum", &[x, &axis], &[Attribute::Int("keepdims", 1)]));
                self.op("Div", &[&sums[0], &sums[1]], &[])
            }
        }
    }

    /// 1 where a token counts and 0 at padding, `[B, T, 1]`, and what is added to scores, `[B, 1, 1, T]`.
    pub fn masks(&mut self, attention_mask: &Value) -> Masks {
        let (counts, last, middle) = (self.cast(attention_mask, element::FLOAT), self.ints(&[2]), self.ints(&[1, 2]));
        let is_word = self.cast(attention_mask, element::BOOL);
        let [zero, lowest] = [self.float(0.0), self.float(f32::MIN)];
        let added = self.op("Where", &[&is_word, &zero, &lowest], &[]);
        Masks {
            counts: self.op("Unsqueeze", &[&counts, &last], &[]),
            added: self.op("Unsqueeze", &[&added, &middle], &[]),
        }
    }
}

/// Sizes of a post-norm layer.
pub struct PostNorm {
    pub width: usize,
    pub heads: usize,
    pub eps: f64,
}

/// Which tokens of texts are words.
#[derive(Clone)]
pub struct Masks {
    pub counts: Value,
    pub added: Value,
}
