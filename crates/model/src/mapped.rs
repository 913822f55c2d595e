//! Files as memory: nothing is read before it is looked at, and nothing is copied.
#![expect(unsafe_code, reason = "mapping a file is unsafe, because another program might change it")]

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

use crate::ModelError;

/// The bytes of a file. Slices of them keep the mapping alive.
///
/// # Errors
/// When the file cannot be opened or mapped.
pub fn map(path: &Path) -> Result<Bytes, ModelError> {
    let error = |source| ModelError::File { action: "read", path: path.into(), source };
    let file = File::open(path).map_err(error)?;
    if file.metadata().map_err(error)?.len() == 0 {
        return Ok(Bytes::new()); // nothing to map
    }
    // SAFETY: the bytes must not change while they are mapped. Files of ours never do: they are written under another name and
    // renamed, so whoever has the old file mapped keeps it. Whatever another program writes into a file of weights in
    // the meantime changes numbers only; every bit pattern is an f32.
    let map = unsafe { Mmap::map(&file) }.map_err(error)?;
    Ok(Bytes::from_owner(map))
}
