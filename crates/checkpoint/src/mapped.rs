//! Memory-mapped files: bytes are read when they are first accessed, and they are not copied.
#![expect(unsafe_code, reason = "mapping a file is unsafe, because another program might change it")]

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

use crate::CheckpointError;

/// Maps a file into memory and returns its bytes. Slices of these bytes keep the mapping alive.
///
/// # Errors
/// When the path is no regular file (a pipe would wait for its writer), or when it cannot be opened or mapped.
pub fn map(path: &Path) -> Result<Bytes, CheckpointError> {
    let error = |action| move |source| CheckpointError::File { action, path: path.into(), source };
    let known = std::fs::metadata(path).map_err(error("open"))?;
    if !known.is_file() {
        return Err(CheckpointError::Unrecognised { path: path.into(), found: "no regular file" });
    }
    let file = File::open(path).map_err(error("open"))?;
    if file.metadata().map_err(error("read"))?.len() == 0 {
        return Ok(Bytes::new()); // nothing to map
    }
    // SAFETY: the bytes must not change while they are mapped. This program never changes a file in place: it writes a new one
    // under another name and renames it, so a process that mapped the old file keeps the old bytes. If another program writes
    // into the file in the meantime, only numbers change: texts and positions are checked where they are used, and every bit
    // pattern is a valid number.
    let map = unsafe { Mmap::map(&file) }.map_err(error("map"))?;
    Ok(Bytes::from_owner(map))
}
