//! Reads files up to a size limit, and writes files completely or not at all.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use ptu_input::files::{parent, try_folder, write_atomically};

use crate::ModelError;

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// When the file cannot be read or is larger.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let error = |source| ModelError::File { action: "read", path: path.into(), source };
    let file = File::open(path).map_err(error)?;
    let size = file.metadata().map_err(error)?.len();
    if size > limit {
        return Err(error(io::Error::other(format!("it has {size} bytes, but at most {limit} bytes are accepted"))));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limit).read_to_end(&mut bytes).map_err(error)?;
    Ok(bytes)
}

/// Writes bytes to a file, completely or not at all.
///
/// # Errors
/// When the folder is not writable or the disk is full; the old file then stays unchanged.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    write_atomically(path, |temporary| fs::write(temporary, bytes)).map_err(write_error(path))
}

/// Checks, before a long computation, that [`write_bytes`] can write a file: a temporary file is written to its folder and
/// removed.
///
/// # Errors
/// When the folder does not exist or is not writable, or when the path is a folder.
pub fn check_writable(path: &Path) -> Result<(), ModelError> {
    if path.is_dir() {
        return Err(write_error(path)(io::Error::other("it is a folder; give the path of a file")));
    }
    if !parent(path).is_dir() {
        return Err(write_error(path)(io::Error::other(
            "its folder does not exist; create it, or choose another path",
        )));
    }
    try_folder(parent(path)).map_err(write_error(path))
}

/// The error for a file that could not be written; for `map_err`.
pub(crate) fn write_error(path: &Path) -> impl FnOnce(io::Error) -> ModelError {
    move |source| ModelError::File { action: "write", path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_cannot_be_written_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let fails = |path: &Path, with: &str| {
            let error = check_writable(path).unwrap_err().to_string();
            assert!(error.contains(with) && error.contains(&path.display().to_string()), "{error}");
        };
        fails(folder.path(), "is a folder");
        fails(&folder.path().join("absent/page.html"), "folder does not exist");
        fs::write(folder.path().join("file"), "").unwrap();
        fails(&folder.path().join("file/page.html"), "folder does not exist");
        check_writable(&folder.path().join("page.html")).unwrap();
        check_writable(&folder.path().join("file")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the temporary file is removed");
        #[cfg(target_os = "linux")]
        fails(Path::new("/proc/page.html"), "cannot write");
    }

    #[test]
    fn a_file_over_the_size_limit_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        write_bytes(&path, &[0; 100]).unwrap();
        assert!(read(&path, 99).unwrap_err().to_string().contains("100 bytes"));
        assert_eq!(read(&path, 100).unwrap().len(), 100);
    }
}
