//! Names for the weights of an ONNX graph. An export keeps the names of biases and norms, but folds transposes into the matrices
//! of linear layers and gives them new names; the names of the nodes that use them still say what they are.

use std::collections::BTreeMap;

use ptu_checkpoint::{Checkpoint, Node};

use crate::place::Place;

/// What the names that the exporter of PyTorch makes up contain.
const ANONYMOUS: &str = "::";

/// Removes constants of the computation, and names anonymous weights by the nodes that use them: the matrix of `/a/b/MatMul` becomes
/// `a.b.weight`, transposed; the positions of an embedding, which are split into that of the class token and those of the patches,
/// become `position_embeddings`.
pub(crate) fn name_weights(checkpoint: &Checkpoint, places: &mut BTreeMap<String, Place>) {
    places.retain(|name, _| !name.starts_with('/') && !name.contains(ANONYMOUS));
    let (mut class, mut patches) = (None, None);
    for node in checkpoint.nodes() {
        let Some(tensor) = node.inputs.iter().find(|input| input.contains(ANONYMOUS)) else { continue };
        let Some(info) = checkpoint.info(tensor).filter(|info| info.dtype.is_float()) else { continue };
        let Some(module) = module(node) else { continue };
        match (node.op_type.as_str(), info.shape.as_slice()) {
            ("MatMul", [_, _]) => {
                places.insert(format!("{module}.weight"), Place { parts: vec![tensor.clone()], transposed: true });
            }
            ("Concat", [1, 1, _]) if module.ends_with("embeddings") => class = Some((module, tensor)),
            ("Reshape", [1, _, _]) if module.ends_with("embeddings") => patches = Some((module, tensor)),
            _ => {}
        }
    }
    if let (Some((module, class)), Some((other, patches))) = (class, patches)
        && module == other
    {
        let parts = vec![class.clone(), patches.clone()];
        places.insert(format!("{module}.position_embeddings"), Place { parts, transposed: false });
    }
}

/// The module that a node belongs to: `/encoder/layer.0/mlp/fc1/MatMul` is of `encoder.layer.0.mlp.fc1`.
fn module(node: &Node) -> Option<String> {
    let (module, _) = node.name.strip_prefix('/')?.rsplit_once('/')?;
    Some(module.replace('/', "."))
}
