//! ONNX models: the initializers of the graph, and its nodes, which tell where each is used.

mod node;
mod tensor;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use crate::CheckpointError;
use crate::contents::Contents;
use crate::error::{Problem, damaged, unsupported};
use crate::tensor::Stored;
use crate::wire::{Field, Fields};

/// The most nodes, texts, attributes and numbers of a graph together. A large language model has 50,000.
const MAX_ITEMS: usize = 1 << 21;
/// The longest name, in bytes.
const MAX_NAME: usize = 4096;

/// What may still be read of a graph, so that a small file cannot take much memory.
struct Budget(usize);

impl Budget {
    fn take(&mut self, items: usize) -> Result<(), Problem> {
        match self.0.checked_sub(items) {
            Some(left) => self.0 = left,
            None => {
                return Err(unsupported("graph", format!("it has more than {MAX_ITEMS} nodes, names and attributes")));
            }
        }
        Ok(())
    }
}

/// Whether the whole file is a list of fields of a model, with a graph. The format has no magic number.
pub(crate) fn is_model(file: &[u8]) -> bool {
    // A file that is cut off ends with an error, but begins as a model does: the version of the format, then texts.
    matches!(file, [8, 1..=64, ..]) || Fields(file).any(|field| matches!(field, Ok((7, Field::Bytes(_)))))
}

/// Finds the tensors and nodes of a model.
///
/// # Errors
/// When the file is damaged or over a limit, when a name occurs twice, or when elements are outside of the model's folder.
pub(crate) fn open(path: &Path, file: &Bytes) -> Result<Contents, CheckpointError> {
    graph(file).and_then(|graph| read(path, file, graph)).map_err(|problem| problem.at(path))
}

fn graph(file: &[u8]) -> Result<&[u8], Problem> {
    let mut graph = None;
    for field in Fields(file) {
        if let (7, Field::Bytes(bytes)) = field.map_err(|cause| damaged("model", cause))?
            && graph.replace(bytes).is_some()
        {
            return Err(damaged("model", "it has two graphs"));
        }
    }
    graph.ok_or_else(|| damaged("model", "it has no graph"))
}

fn read(path: &Path, file: &Bytes, graph: &[u8]) -> Result<Contents, Problem> {
    let mut budget = Budget(MAX_ITEMS);
    let mut external = tensor::External::new(path);
    let mut contents = Contents { tensors: BTreeMap::new(), values: BTreeMap::new(), nodes: vec![] };
    for field in Fields(graph) {
        let field = field.map_err(|cause| damaged("graph", cause))?;
        if matches!(field, (1 | 5, _)) {
            budget.take(4)?; // a node or a tensor takes more memory than a name
        }
        match field {
            (1, Field::Bytes(message)) => {
                let (node, constant) = node::read(message, &mut budget)?;
                if let (Some(message), Some(output)) = (constant, node.outputs.first()) {
                    let named = tensor::read(file, message, Some(output), &mut external, &mut budget)?;
                    insert(&mut contents.tensors, named)?;
                }
                contents.nodes.push(node);
            }
            (5, Field::Bytes(message)) => {
                let named = tensor::read(file, message, None, &mut external, &mut budget)?;
                insert(&mut contents.tensors, named)?;
            }
            (15, _) => return Err(unsupported("graph", "it has sparse initializers")),
            _ => {} // inputs, outputs, types of values between nodes, texts
        }
    }
    Ok(contents)
}

fn insert(tensors: &mut BTreeMap<String, Stored>, (name, stored): (String, Stored)) -> Result<(), Problem> {
    match tensors.insert(name.clone(), stored) {
        None => Ok(()),
        Some(_) => Err(damaged(format!("tensor `{name}`"), "the name occurs twice")),
    }
}

/// A name, which counts against the budget.
fn text(bytes: &[u8], what: &str, budget: &mut Budget) -> Result<String, Problem> {
    budget.take(1 + bytes.len() / 64)?;
    if bytes.len() > MAX_NAME {
        return Err(unsupported(what, format!("it has {} bytes; at most {MAX_NAME} are read", bytes.len())));
    }
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| damaged(what, "it is not UTF-8"))
}
