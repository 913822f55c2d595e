//! Which tensors of a pickle are the weights, and by which names; and the plain values beside them.
//!
//! The rule: if the outermost dictionary has one of the keys of [`WRAPPERS`] whose value is a dictionary that holds tensors,
//! the entries of the first such key are the names. Otherwise all tensors below the outermost dictionary (or list) are
//! taken. Levels below are joined by dots: `encoder.layer.0.weight`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::global::Global;
use super::object::{Id, Object, Pickle, Tensor};
use crate::contents::Contents;
use crate::error::{Problem, damaged, unsupported};
use crate::tensor::{Stored, TensorInfo, View};
use crate::{Dtype, Value};

/// Keys under which training programs keep the state dict, in order of preference.
const WRAPPERS: &[&str] = &["state_dict", "model_state_dict", "model", "module", "net"];
/// The most levels of containers in each other.
const MAX_DEPTH: usize = 32;
/// The most values that are visited. A shared container is visited wherever it occurs.
const MAX_VISITED: usize = 1 << 20;
/// The most tensors of one file.
const MAX_TENSORS: usize = 1 << 17;
/// The longest name of a tensor in bytes.
const MAX_NAME: usize = 512;

/// Finds weights and values. `storage` gives the bytes of a storage by its key.
///
/// # Errors
/// When there is no tensor, a name occurs twice, containers nest too deeply (or contain themselves), or a tensor does not
/// fit its storage.
pub(super) fn contents(pickle: &Pickle, storage: &dyn Fn(&str) -> Option<Bytes>) -> Result<Contents, Problem> {
    let mut walk = Walk { pickle, visited: 0 };
    let mut found = Vec::new();
    let mut chosen = None;
    for key in WRAPPERS {
        if let Some(inner) = pickle.entry(pickle.root, key)
            && matches!(pickle.get(inner), Object::Dict(..))
        {
            walk.tensors(inner, "", 0, &mut found)?;
            if !found.is_empty() {
                chosen = Some(*key);
                break;
            }
        }
    }
    if chosen.is_none() {
        walk.tensors(pickle.root, "", 0, &mut found)?;
    }
    if found.is_empty() {
        return Err(unsupported("the pickle", "it holds no tensors with a name"));
    }
    let mut tensors = BTreeMap::new();
    for (name, tensor) in found {
        let stored = resolve(pickle, &name, &tensor, storage)?;
        if tensors.insert(name.clone(), stored).is_some() {
            return Err(damaged(format!("tensor `{name}`"), "the name occurs twice"));
        }
    }
    Ok(Contents { tensors, values: walk.values(chosen)?, nodes: vec![] })
}

/// The tensor that a pickle describes, checked against its storage.
fn resolve(
    pickle: &Pickle,
    name: &str,
    tensor: &Tensor,
    storages: &dyn Fn(&str) -> Option<Bytes>,
) -> Result<Stored, Problem> {
    let wrong = |cause: &str| damaged(format!("tensor `{name}`"), cause);
    let Object::Storage(storage) = pickle.get(tensor.storage) else { return Err(wrong("it has no storage")) };
    let offset = pickle.size(tensor.offset).ok_or_else(|| wrong("its offset is no number, or negative"))?;
    let sizes =
        |id| pickle.sizes(id).ok_or_else(|| wrong("its shape or strides are negative, or no short tuple of numbers"));
    let (shape, strides) = (sizes(tensor.shape)?, sizes(tensor.strides)?);
    let dtype = tensor.dtype.or(storage.dtype).unwrap_or(Dtype::U8);
    let bytes = storages(pickle.text(&storage.key)).ok_or_else(|| wrong("its storage is not in the file"))?;
    let size = storage.dtype.map_or(Some(1), Dtype::size);
    let declared = size.and_then(|size| size.checked_mul(storage.elements));
    if declared != Some(bytes.len()) {
        let cause = format!("its storage is said to have {} elements, but has {} bytes", storage.elements, bytes.len());
        return Err(wrong(&cause));
    }
    Stored::strided(name, TensorInfo { shape, dtype }, View { storage: bytes, offset, strides })
}

struct Walk<'a> {
    pickle: &'a Pickle,
    visited: usize,
}

impl Walk<'_> {
    fn visit(&mut self, depth: usize) -> Result<(), Problem> {
        self.visited = self.visited.saturating_add(1);
        if depth > MAX_DEPTH {
            let cause = format!("it has more than {MAX_DEPTH} containers in each other, or one that contains itself");
            return Err(unsupported("the pickle", cause));
        }
        if self.visited > MAX_VISITED {
            return Err(unsupported("the pickle", format!("it has more than {MAX_VISITED} values")));
        }
        Ok(())
    }

    /// Collects the tensors below an object, with their names.
    fn tensors(&mut self, id: Id, name: &str, depth: usize, found: &mut Vec<(String, Tensor)>) -> Result<(), Problem> {
        self.visit(depth)?;
        match self.pickle.get(id) {
            Object::Tensor(tensor) if !name.is_empty() => {
                if found.len() >= MAX_TENSORS {
                    return Err(unsupported("the pickle", format!("it has more than {MAX_TENSORS} tensors")));
                }
                found.push((name.to_owned(), *tensor));
            }
            Object::Dict(entries, _) => {
                for (key, value) in entries {
                    let name = join(name, &self.key(*key))?;
                    self.tensors(*value, &name, depth + 1, found)?;
                }
            }
            Object::List(items) | Object::Tuple(items) => {
                for (index, item) in items.iter().enumerate() {
                    let name = join(name, &index.to_string())?;
                    self.tensors(*item, &name, depth + 1, found)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The values of the outermost dictionary, without the weights.
    fn values(&mut self, weights: Option<&str>) -> Result<BTreeMap<String, Value>, Problem> {
        let mut values = BTreeMap::new();
        let Object::Dict(entries, _) = self.pickle.get(self.pickle.root) else { return Ok(values) };
        for (key, id) in entries {
            let key = self.key(*key);
            if weights == Some(&key) {
                continue;
            }
            // Without a key for the weights, what holds tensors was taken already.
            let mut tensors = Vec::new();
            if weights.is_none() {
                self.tensors(*id, &key, 1, &mut tensors)?;
            }
            if tensors.is_empty() {
                let value = self.value(*id, 1)?;
                values.insert(key, value);
            }
        }
        Ok(values)
    }

    fn value(&mut self, id: Id, depth: usize) -> Result<Value, Problem> {
        self.visit(depth)?;
        Ok(match self.pickle.get(id) {
            Object::None => Value::Null,
            Object::Bool(value) => Value::Bool(*value),
            Object::Int(value) => Value::Int(*value),
            Object::Float(value) => Value::Float(*value),
            Object::Text(range) => {
                self.copied(range.len())?;
                Value::Text(self.pickle.text(range).to_owned())
            }
            Object::List(items) | Object::Tuple(items) => {
                Value::List(items.iter().map(|item| self.value(*item, depth + 1)).collect::<Result<_, _>>()?)
            }
            Object::Dict(entries, _) => {
                let mut entry = |(key, value): &(Id, Id)| {
                    let key = self.key(*key);
                    self.copied(key.len())?;
                    Ok((key, self.value(*value, depth + 1)?))
                };
                Value::Map(entries.iter().map(&mut entry).collect::<Result<_, Problem>>()?)
            }
            Object::Namespace(Some(state)) => self.value(*state, depth + 1)?,
            Object::Namespace(None) => Value::Map(vec![]),
            _ => Value::NotPlain(self.class(id)),
        })
    }

    /// A text is copied wherever it occurs, so a long one counts as many values.
    fn copied(&mut self, length: usize) -> Result<(), Problem> {
        self.visited = self.visited.saturating_add(length / 64);
        self.visit(0)
    }

    /// A key of a dictionary as a part of a name. Long keys are cut, which no state dict has.
    fn key(&self, id: Id) -> String {
        match self.pickle.get(id) {
            Object::Text(range) => self.pickle.start(range, MAX_NAME + 1),
            Object::Int(value) => value.to_string(),
            Object::Bool(value) => value.to_string(),
            _ => format!("({})", self.class(id)),
        }
    }

    fn class(&self, id: Id) -> String {
        match self.pickle.get(id) {
            Object::Long => "an integer of more than 64 bits".to_owned(),
            Object::Bytes => "bytes".to_owned(),
            Object::Tensor(_) => "a tensor".to_owned(),
            Object::Storage(_) => "a storage".to_owned(),
            Object::Opaque(class) => self.class(*class),
            Object::Global(Global::Opaque(name) | Global::Named(name)) => name.to_string(),
            Object::Global(Global::Dtype(dtype)) => format!("torch.{dtype}"),
            Object::Global(_) => "a class of PyTorch or Python".to_owned(),
            _ => "a value that is not plain".to_owned(),
        }
    }
}

fn join(name: &str, key: &str) -> Result<String, Problem> {
    let joined = if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    if joined.len() > MAX_NAME {
        return Err(unsupported("the pickle", format!("it has a name of more than {MAX_NAME} bytes")));
    }
    Ok(joined)
}
