//! What a pickle asks to be called. Nothing is: the result of the few functions and classes that a checkpoint needs is
//! written down here, and each other call is an error that names it.

use super::Machine;
use crate::Dtype;
use crate::error::Problem;
use crate::torch::global::Global;
use crate::torch::object::{DictKind, Id, Object, Storage, Tensor};

/// The longest key of a storage in bytes. PyTorch writes numbers.
const MAX_KEY: usize = 64;

impl Machine<'_> {
    /// `REDUCE`: a function or class and a tuple of arguments.
    pub(super) fn reduce(&mut self) -> Result<(), Problem> {
        let arguments = self.arguments()?;
        let class = self.pop()?;
        match (self.callable(class)?, &arguments[..]) {
            (Global::RebuildTensor, [storage, offset, shape, strides, ..]) => self.tensor(Tensor {
                storage: *storage,
                offset: *offset,
                shape: *shape,
                strides: *strides,
                dtype: None,
            }),
            (Global::RebuildTypedTensor, [storage, offset, shape, strides, _, _, dtype, ..]) => {
                let dtype = Some(self.dtype(*dtype)?);
                self.tensor(Tensor { storage: *storage, offset: *offset, shape: *shape, strides: *strides, dtype })
            }
            (Global::RebuildParameter, [tensor, ..]) if matches!(self.get(*tensor), Object::Tensor(_)) => {
                self.push_again(*tensor);
                Ok(())
            }
            (Global::OrderedDict | Global::AttributeDict, []) => self.push(Object::Dict(vec![], DictKind::Subclass)),
            (Global::OrderedDict, [pairs]) => self.dictionary_of(*pairs),
            (Global::Container, [content]) => self.container_of(*content),
            (Global::Opaque(_), _) => self.push(Object::Opaque(class)),
            (Global::Named(name), _) => Err(Problem::RunsCode(name.into())),
            (other, _) => Err(self.damaged(format!("it calls {other:?} with other arguments than PyTorch does"))),
        }
    }

    /// `NEWOBJ`: a class and a tuple of arguments; what is made stays empty until it is filled.
    pub(super) fn new_object(&mut self) -> Result<(), Problem> {
        let arguments = self.arguments()?;
        let class = self.pop()?;
        match (self.callable(class)?, &arguments[..]) {
            (Global::OrderedDict | Global::AttributeDict, []) => self.push(Object::Dict(vec![], DictKind::Subclass)),
            (Global::Namespace, []) => self.push(Object::Namespace(None)),
            (Global::Opaque(_), _) => self.push(Object::Opaque(class)),
            (Global::Named(name), _) => Err(Problem::RunsCode(name.into())),
            (other, _) => Err(self.damaged(format!("it makes an object of {other:?}"))),
        }
    }

    /// `BUILD`: attributes of the object below. Those of a namespace are its values, others are not read.
    pub(super) fn build(&mut self) -> Result<(), Problem> {
        let state = self.pop()?;
        let target = self.pop()?;
        self.push_again(target);
        match (self.get(target), self.get(state)) {
            (Object::Namespace(None), Object::Dict(..)) => {
                self.objects[target.0 as usize] = Object::Namespace(Some(state));
                Ok(())
            }
            (Object::Dict(_, DictKind::Subclass) | Object::Opaque(_), _) => Ok(()),
            _ => Err(self.damaged("it sets attributes of an object that has none")),
        }
    }

    /// `BINPERSID`: a storage, by a tuple of `storage`, its class, key, device and number of elements.
    pub(super) fn persistent(&mut self) -> Result<(), Problem> {
        let parts = self.arguments()?;
        let [kind, class, key, _, elements, view @ ..] = &parts[..] else {
            return Err(self.damaged("a storage has too few parts"));
        };
        let storage = matches!(self.get(*kind), Object::Text(kind) if self.bytes[kind.clone()] == *b"storage");
        if !storage {
            return Err(self.damaged("it names what is no storage"));
        }
        if view.iter().any(|part| !matches!(self.get(*part), Object::None)) {
            return Err(self.unsupported("a storage that is a view of another storage"));
        }
        let (Object::Global(Global::Storage(dtype)), Object::Text(key)) = (self.get(*class), self.get(*key)) else {
            return Err(self.damaged("the class or key of a storage is none"));
        };
        if key.len() > MAX_KEY {
            return Err(self.unsupported(format!("a storage with a key of more than {MAX_KEY} bytes")));
        }
        let Object::Int(elements) = self.get(*elements) else {
            return Err(self.damaged("the size of a storage is no number"));
        };
        let (key, dtype) = (key.clone(), *dtype);
        let elements = usize::try_from(*elements).map_err(|_| self.damaged("the size of a storage is negative"))?;
        self.push(Object::Storage(Storage { key, dtype, elements }))
    }

    fn arguments(&mut self) -> Result<Vec<Id>, Problem> {
        /// More than any of the known functions takes; longer tuples are not copied.
        const MOST: usize = 16;
        let arguments = self.pop()?;
        match self.get(arguments) {
            Object::Tuple(items) if items.len() <= MOST => Ok(items.clone()),
            Object::Tuple(items) => Err(self.damaged(format!("it calls something with {} arguments", items.len()))),
            _ => Err(self.damaged("the arguments of a call are no tuple")),
        }
    }

    fn callable(&self, id: Id) -> Result<Global, Problem> {
        match self.get(id) {
            Object::Global(global) => Ok(global.clone()),
            _ => Err(self.damaged("it calls what is no function or class")),
        }
    }

    fn tensor(&mut self, tensor: Tensor) -> Result<(), Problem> {
        match self.get(tensor.storage) {
            Object::Storage(_) => self.push(Object::Tensor(tensor)),
            _ => Err(self.damaged("a tensor has no storage")),
        }
    }

    fn dtype(&self, id: Id) -> Result<Dtype, Problem> {
        match self.get(id) {
            Object::Global(Global::Dtype(dtype)) => Ok(*dtype),
            _ => Err(self.damaged("the type of a tensor is none")),
        }
    }

    /// The one container from which a set, a size or a counter is made stands for it.
    fn container_of(&mut self, content: Id) -> Result<(), Problem> {
        match self.get(content) {
            Object::List(_) | Object::Tuple(_) | Object::Dict(..) => {
                self.push_again(content);
                Ok(())
            }
            _ => Err(self.damaged("a container is made of what is none")),
        }
    }

    /// An ordered dictionary from a list of pairs, as Python 2 wrote it.
    fn dictionary_of(&mut self, pairs: Id) -> Result<(), Problem> {
        let Object::List(pairs) = self.get(pairs) else {
            return Err(self.damaged("a dictionary is made of what is no list"));
        };
        let pair = |id: &Id| match self.get(*id) {
            Object::List(pair) | Object::Tuple(pair) => {
                pair.as_slice().try_into().ok().map(|[key, value]: [Id; 2]| (key, value))
            }
            _ => None,
        };
        let length = pairs.len();
        let entries: Option<Vec<_>> = pairs.iter().map(pair).collect();
        let entries = entries.ok_or_else(|| self.damaged("a dictionary is made of what are no pairs"))?;
        // The entries are copies: a short pickle could repeat them.
        self.charge(length)?;
        self.push(Object::Dict(entries, DictKind::Subclass))
    }
}
