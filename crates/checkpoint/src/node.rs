//! Nodes of an ONNX graph, with their attributes.

use std::collections::BTreeMap;

/// A node of an ONNX graph: an operation on named values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    /// Its name; may be empty.
    pub name: String,
    /// The operation, such as `MatMul` or `Gemm`.
    pub op_type: String,
    /// Names of the values it takes: initializers, or outputs of other nodes. An optional input that is left out is empty.
    pub inputs: Vec<String>,
    /// Names of the values it gives.
    pub outputs: Vec<String>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, Attribute>,
}

/// A constant attribute of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// A text.
    Text(String),
    /// Several integers, such as the order of axes.
    Ints(Vec<i64>),
    /// Several floats.
    Floats(Vec<f32>),
    /// What is not read: tensors (those of `Constant` nodes are tensors of the checkpoint, under the name of their output),
    /// subgraphs, lists of texts.
    Other,
}
