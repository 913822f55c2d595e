//! The functions and classes that a pickle may name. This list is closed: every other name is refused, because with Python
//! it could run code. Nothing on the list is called either: the reader makes the result of each itself.

use crate::Dtype;

/// A function or class that a pickle may name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Global {
    /// `torch._utils._rebuild_tensor`, `_rebuild_tensor_v2`: a view of a storage.
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`: a view of untyped bytes, with the type of its elements.
    RebuildTypedTensor,
    /// `torch._utils._rebuild_parameter`: its first argument is the tensor.
    RebuildParameter,
    /// `torch.FloatStorage` and so on; `None` is `torch.storage.UntypedStorage`, whose elements are bytes.
    Storage(Option<Dtype>),
    /// `torch.float32` and so on.
    Dtype(Dtype),
    /// `collections.OrderedDict`.
    OrderedDict,
    /// The dictionary in which Lightning keeps hyper-parameters.
    AttributeDict,
    /// `argparse.Namespace`, a container of named values.
    Namespace,
    /// A container that is made from one plain container, which stands for it: `torch.Size`, `set`, `Counter` and so on.
    Container,
    /// A value whose content is not read, such as a number of NumPy. Only its name is told.
    Opaque(Box<str>),
    /// A class of Lightning, which keys of its checkpoints name. It may not be called.
    Named(Box<str>),
}

/// Starts of modules whose classes may be named, but not called.
const NAMED: &[&str] = &["pytorch_lightning.", "lightning.", "lightning_fabric."];

impl Global {
    /// The function or class of this module and name; `None` of one that is refused.
    pub(super) fn resolve(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v3") => Self::RebuildTypedTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch.storage", "UntypedStorage") | ("torch", "UntypedStorage") => Self::Storage(None),
            ("torch" | "torch.cuda", _) if name.ends_with("Storage") => Self::Storage(Some(storage_dtype(name)?)),
            ("torch", "Size") | ("builtins" | "__builtin__", "set" | "frozenset") => Self::Container,
            ("collections", "Counter") => Self::Container,
            ("torch", "device") => Self::opaque(module, name),
            ("torch", _) => Self::Dtype(torch_dtype(name)?),
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("argparse", "Namespace") => Self::Namespace,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct") => {
                Self::opaque(module, name)
            }
            ("numpy", "dtype" | "ndarray") | ("_codecs", "encode") => Self::opaque(module, name),
            ("pathlib", "PosixPath" | "WindowsPath") => Self::opaque(module, name),
            (_, "AttributeDict") if is_named(module) => Self::AttributeDict,
            _ if is_named(module) => Self::Named(full(module, name)),
            _ => return None,
        })
    }

    fn opaque(module: &str, name: &str) -> Self {
        Self::Opaque(full(module, name))
    }
}

fn is_named(module: &str) -> bool {
    NAMED.iter().any(|start| module.starts_with(start))
}

fn full(module: &str, name: &str) -> Box<str> {
    format!("{module}.{name}").into()
}

fn storage_dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "DoubleStorage" => Dtype::F64,
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::BF16,
        "LongStorage" => Dtype::I64,
        "IntStorage" => Dtype::I32,
        "ShortStorage" => Dtype::I16,
        "CharStorage" => Dtype::I8,
        "ByteStorage" => Dtype::U8,
        "BoolStorage" => Dtype::Bool,
        "ComplexFloatStorage" => Dtype::C64,
        "ComplexDoubleStorage" => Dtype::C128,
        _ => return None,
    })
}

fn torch_dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "float64" => Dtype::F64,
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::BF16,
        "int64" => Dtype::I64,
        "int32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint64" => Dtype::U64,
        "uint32" => Dtype::U32,
        "uint16" => Dtype::U16,
        "uint8" => Dtype::U8,
        "bool" => Dtype::Bool,
        "complex64" => Dtype::C64,
        "complex128" => Dtype::C128,
        _ if name.starts_with("float8") => Dtype::Other,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_run_code_is_not_on_the_list() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("builtins", "getattr"),
            ("__builtin__", "exec"),
            ("torch", "load"),
            ("torch", "hub.load"),
            ("torch.storage", "_load_from_bytes"),
            ("torch", "EvilStorage"),
            ("lightningx", "A"),
            ("numpy.testing._private.utils", "runstring"),
        ] {
            assert_eq!(Global::resolve(module, name), None, "{module}.{name}");
        }
    }

    #[test]
    fn storages_have_the_type_of_their_name() {
        assert_eq!(Global::resolve("torch", "HalfStorage"), Some(Global::Storage(Some(Dtype::F16))));
        assert_eq!(Global::resolve("torch.storage", "UntypedStorage"), Some(Global::Storage(None)));
        assert_eq!(Global::resolve("torch", "float8_e4m3fn"), Some(Global::Dtype(Dtype::Other)));
    }
}
