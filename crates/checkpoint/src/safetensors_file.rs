//! Safetensors files: a header in JSON, then the elements of all tensors. The format cannot contain code.

use std::collections::BTreeMap;

use bytes::Bytes;
use safetensors::SafeTensors;
use serde::de::IgnoredAny;

use crate::contents::Contents;
use crate::error::{Problem, damaged, unsupported};
use crate::tensor::Stored;
use crate::unique::UniqueMap;
use crate::{Dtype, TensorInfo};

/// The longest header in bytes; one of a thousand tensors has 100,000.
const MAX_HEADER: usize = 16 << 20;

/// Whether the file begins with the length of a header and the header.
pub(crate) fn is_safetensors(file: &[u8]) -> bool {
    // A length over 4 GB is no length of a header.
    matches!(file, [_, _, _, _, 0, 0, 0, 0, b'{', ..])
}

/// Finds the tensors of a safetensors file.
///
/// # Errors
/// When the header is no JSON, too long, or names a tensor twice; when the tensors do not fill the file without overlap.
pub(crate) fn open(file: &Bytes) -> Result<Contents, Problem> {
    let header = header(file)?;
    serde_json::from_slice::<UniqueMap<IgnoredAny>>(header).map_err(|error| damaged("header", error.to_string()))?;
    let tensors = SafeTensors::deserialize(file).map_err(|error| damaged("header", error.to_string()))?;
    let mut found = BTreeMap::new();
    for (name, view) in tensors.iter() {
        let info = TensorInfo { shape: view.shape().to_vec(), dtype: dtype(view.dtype()) };
        let stored = Stored::contiguous(name, info, file.slice_ref(view.data()))?;
        found.insert(name.to_owned(), stored);
    }
    Ok(Contents { tensors: found, values: BTreeMap::new(), nodes: vec![] })
}

fn header(file: &[u8]) -> Result<&[u8], Problem> {
    let (length, rest) = file.split_first_chunk::<8>().ok_or_else(|| damaged("header", "the file ends early"))?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let header = rest.get(..length).ok_or_else(|| damaged("header", "the file ends early"))?;
    if length > MAX_HEADER {
        return Err(unsupported("header", format!("it has {length} bytes; at most {MAX_HEADER} are read")));
    }
    Ok(header)
}

fn dtype(dtype: safetensors::Dtype) -> Dtype {
    match dtype {
        safetensors::Dtype::F64 => Dtype::F64,
        safetensors::Dtype::F32 => Dtype::F32,
        safetensors::Dtype::F16 => Dtype::F16,
        safetensors::Dtype::BF16 => Dtype::BF16,
        safetensors::Dtype::I64 => Dtype::I64,
        safetensors::Dtype::I32 => Dtype::I32,
        safetensors::Dtype::I16 => Dtype::I16,
        safetensors::Dtype::I8 => Dtype::I8,
        safetensors::Dtype::U64 => Dtype::U64,
        safetensors::Dtype::U32 => Dtype::U32,
        safetensors::Dtype::U16 => Dtype::U16,
        safetensors::Dtype::U8 => Dtype::U8,
        safetensors::Dtype::BOOL => Dtype::Bool,
        safetensors::Dtype::C64 => Dtype::C64,
        _ => Dtype::Other,
    }
}
