//! Memory-mapped files: bytes are read when they are first accessed, and they are not copied.
#![expect(unsafe_code, reason = "mapping a file is unsafe, because another program might change it")]

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

use crate::ModelError;

/// Maps a file into memory and returns its bytes. Slices of these bytes keep the mapping alive.
///
/// # Errors
/// When the file cannot be opened or mapped.
pub fn map(path: &Path) -> Result<Bytes, ModelError> {
    let error = |source| ModelError::File { action: "read", path: path.into(), source };
    let file = File::open(path).map_err(error)?;
    if file.metadata().map_err(error)?.len() == 0 {
        return Ok(Bytes::new()); // nothing to map
    }
    // SAFETY: the bytes must not change while they are mapped. This program never changes them: it writes a new file under
    // another name and renames it, so a process that mapped the old file keeps the old bytes. If another program writes into
    // a weight file in the meantime, only numbers change, because every bit pattern is a valid f32.
    let map = unsafe { Mmap::map(&file) }.map_err(error)?;
    Ok(Bytes::from_owner(map))
}
