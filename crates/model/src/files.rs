//! Reading with a limit, writing all or nothing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use ptu_input::files::write_atomically;

use crate::ModelError;

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// When it cannot be read or is larger.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let error = |source| ModelError::File { action: "read", path: path.into(), source };
    let file = File::open(path).map_err(error)?;
    let size = file.metadata().map_err(error)?.len();
    if size > limit {
        return Err(error(io::Error::other(format!("it has {size} bytes, more than the {limit} that are accepted"))));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limit).read_to_end(&mut bytes).map_err(error)?;
    Ok(bytes)
}

/// Writes bytes to a file, all or nothing.
///
/// # Errors
/// When the folder is not writable or full; the old file is still there then.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    write_atomically(path, |temporary| fs::write(temporary, bytes)).map_err(written(path))
}

/// Names a file that could not be written; for `map_err`.
pub(crate) fn written(path: &Path) -> impl FnOnce(io::Error) -> ModelError {
    move |source| ModelError::File { action: "write", path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        write_bytes(&path, &[0; 100]).unwrap();
        assert!(read(&path, 99).unwrap_err().to_string().contains("100 bytes"));
        assert_eq!(read(&path, 100).unwrap().len(), 100);
    }
}
