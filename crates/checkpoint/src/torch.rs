//! Files of `torch.save`: a zip archive, or the legacy format before PyTorch 1.6. Both hold a pickle that describes tensors,
//! and the raw storages.

mod archive;
mod global;
mod legacy;
mod object;
mod pickle;
mod state_dict;
mod write;

pub use write::{WrittenTensor, write_torch};

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use crate::CheckpointError;
use crate::contents::{Contents, Format};
use crate::error::{Problem, damaged, unsupported};

/// The largest pickle of an archive, in bytes.
const MAX_PICKLE: usize = 256 << 20;

/// Whether the file begins as one of the two formats does.
pub(crate) fn format_of(file: &[u8]) -> Option<Format> {
    match file {
        [b'P', b'K', 3, 4, ..] => Some(Format::Torch),
        _ if legacy::is_legacy(file) => Some(Format::TorchLegacy),
        _ => None,
    }
}

/// Opens the zip archive of `torch.save`.
///
/// # Errors
/// When it is a TorchScript archive or no archive of PyTorch, when it is damaged, or when its pickle is refused.
pub(crate) fn open_archive(path: &Path, file: &Bytes) -> Result<Contents, CheckpointError> {
    let records = archive::records(file).map_err(|problem| problem.at(path))?;
    let mut roots = records.keys().filter_map(|name| name.strip_suffix("/data.pkl")).filter(|root| !root.contains('/'));
    match (roots.next(), roots.next()) {
        (Some(root), None) => read_records(root, &records).map_err(|problem| problem.at(path)),
        (Some(_), Some(_)) => Err(damaged("zip archive", "it has more than one `data.pkl`").at(path)),
        (None, _) => Err(CheckpointError::Unrecognised {
            path: path.into(),
            found: "a zip archive without PyTorch's `data.pkl`",
        }),
    }
}

/// Opens a file of the format before PyTorch 1.6.
///
/// # Errors
/// When it is damaged, or when one of its pickles is refused.
pub(crate) fn open_legacy(file: &Bytes) -> Result<Contents, Problem> {
    legacy::read(file)
}

fn read_records(root: &str, records: &BTreeMap<String, Bytes>) -> Result<Contents, Problem> {
    let record = |name: &str| records.get(&format!("{root}/{name}"));
    if record("byteorder").is_some_and(|order| order.as_ref() != b"little") {
        return Err(unsupported("record `byteorder`", "it was written by a machine that is not little-endian"));
    }
    let bytes = record("data.pkl").ok_or_else(|| damaged("zip archive", "it has no `data.pkl`"))?;
    if bytes.len() > MAX_PICKLE {
        let cause = format!("it has {} bytes; at most {MAX_PICKLE} are read", bytes.len());
        return Err(unsupported("record `data.pkl`", cause));
    }
    let pickle = pickle::read(bytes, 0)?;
    if pickle.end != bytes.len() {
        return Err(damaged("record `data.pkl`", "there are bytes after its pickle"));
    }
    state_dict::contents(&pickle, &|key| record(&format!("data/{key}")).cloned())
}
