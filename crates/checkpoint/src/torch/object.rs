//! What a pickle makes: objects in one list that name each other by their place in it. No object owns another, so that an
//! object that contains itself, or a deep nesting, is freed like any other.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;

use super::global::Global;
use crate::Dtype;

/// The place of an object in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(pub(super) u32);

/// An object of a pickle. Ranges are bytes of the pickle.
#[derive(Debug, Clone)]
pub(super) enum Object {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits.
    Long,
    Float(f64),
    Text(Range<usize>),
    Bytes,
    /// A list, or a set, which is made from one.
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>, DictKind),
    /// An `argparse.Namespace`, with the dictionary of its values once it has one.
    Namespace(Option<Id>),
    Global(Global),
    Storage(Storage),
    Tensor(Tensor),
    /// What is made from an opaque class; the object is that class.
    Opaque(Id),
}

/// Whether a dictionary may have attributes besides its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DictKind {
    /// `dict`, which has none.
    Plain,
    /// A class of its own, such as `OrderedDict`; its attributes (`_metadata` of a state dict) are not read.
    Subclass,
}

/// A storage: a record of the file that tensors share.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    /// Its key, a text of the pickle.
    pub(super) key: Range<usize>,
    /// Type of the elements; `None` if they are bytes.
    pub(super) dtype: Option<Dtype>,
    /// Number of elements.
    pub(super) elements: usize,
}

/// A view of a storage as the pickle describes it; not checked yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tensor {
    pub(super) storage: Id,
    /// First element.
    pub(super) offset: Id,
    pub(super) shape: Id,
    pub(super) strides: Id,
    /// Type of the elements, if the storage does not know it.
    pub(super) dtype: Option<Dtype>,
}

/// A pickle that was read.
pub(super) struct Pickle {
    pub(super) bytes: Bytes,
    pub(super) objects: Vec<Object>,
    pub(super) root: Id,
    /// The first byte after it.
    pub(super) end: usize,
}

impl Pickle {
    pub(super) fn get(&self, id: Id) -> &Object {
        &self.objects[id.0 as usize]
    }

    /// A text of the pickle. It was checked to be UTF-8 when it was read.
    pub(super) fn text(&self, range: &Range<usize>) -> &str {
        std::str::from_utf8(&self.bytes[range.clone()]).unwrap_or_default()
    }

    /// The first bytes of a text, at most `length`. Shorter than to check a whole text, which can be named very often.
    pub(super) fn start(&self, range: &Range<usize>, length: usize) -> String {
        let end = range.end.min(range.start.saturating_add(length));
        String::from_utf8_lossy(&self.bytes[range.start..end]).into_owned()
    }

    /// The value of a key of a dictionary.
    pub(super) fn entry(&self, dictionary: Id, key: &str) -> Option<Id> {
        let Object::Dict(entries, _) = self.get(dictionary) else { return None };
        let named = |id| matches!(self.get(id), Object::Text(range) if self.bytes[range.clone()] == *key.as_bytes());
        entries.iter().rev().find(|(name, _)| named(*name)).map(|(_, value)| *value)
    }

    /// An integer that is not negative.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Object::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A tuple of integers that are not negative, at most as many as a tensor may have dimensions.
    pub(super) fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        match self.get(id) {
            Object::Tuple(items) if items.len() <= crate::tensor::MAX_DIMENSIONS => {
                items.iter().map(|item| self.size(*item)).collect()
            }
            _ => None,
        }
    }

    /// The storages that the pickle names, by key; two if it gives a storage two types or sizes.
    pub(super) fn storages(&self) -> HashMap<&str, Vec<&Storage>> {
        let mut found: HashMap<&str, Vec<&Storage>> = HashMap::new();
        for object in &self.objects {
            if let Object::Storage(storage) = object {
                let same = found.entry(self.text(&storage.key)).or_default();
                let known = |one: &&Storage| one.dtype == storage.dtype && one.elements == storage.elements;
                // Two are enough to see that they differ.
                if same.len() < 2 && !same.iter().any(known) {
                    same.push(storage);
                }
            }
        }
        found
    }
}
