//! What the reader of each format finds in a file.

use std::collections::BTreeMap;

use crate::tensor::Stored;
use crate::{Node, Value};

/// The format of a file of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A safetensors file.
    Safetensors,
    /// The zip archive of `torch.save` since PyTorch 1.6.
    Torch,
    /// What `torch.save` wrote before.
    TorchLegacy,
    /// An ONNX model.
    Onnx,
}

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) tensors: BTreeMap<String, Stored>,
    pub(crate) values: BTreeMap<String, Value>,
    pub(crate) nodes: Vec<Node>,
}
