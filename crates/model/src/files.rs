//! Reading with a limit, writing all or nothing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use ptu_input::files::{parent, try_folder, write_atomically};

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

/// Makes sure, before long work, that [`write_bytes`] can write a file: something is written beside it and removed.
///
/// # Errors
/// When the folder is not there or not writable, or the path is a folder itself.
pub fn check_writable(path: &Path) -> Result<(), ModelError> {
    if path.is_dir() {
        return Err(written(path)(io::Error::other("it is a folder; name a file in it")));
    }
    if !parent(path).is_dir() {
        return Err(written(path)(io::Error::other("its folder is not there; make it first, or name another file")));
    }
    try_folder(parent(path)).map_err(written(path))
}

/// Names a file that could not be written; for `map_err`.
pub(crate) fn written(path: &Path) -> impl FnOnce(io::Error) -> ModelError {
    move |source| ModelError::File { action: "write", path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let fails = |path: &Path, with: &str| {
            let error = check_writable(path).unwrap_err().to_string();
            assert!(error.contains(with) && error.contains(&path.display().to_string()), "{error}");
        };
        fails(folder.path(), "is a folder");
        fails(&folder.path().join("absent/page.html"), "folder is not there");
        fs::write(folder.path().join("file"), "").unwrap();
        fails(&folder.path().join("file/page.html"), "folder is not there");
        check_writable(&folder.path().join("page.html")).unwrap();
        check_writable(&folder.path().join("file")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing stays");
        #[cfg(target_os = "linux")]
        fails(Path::new("/proc/page.html"), "cannot write");
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        write_bytes(&path, &[0; 100]).unwrap();
        assert!(read(&path, 99).unwrap_err().to_string().contains("100 bytes"));
        assert_eq!(read(&path, 100).unwrap().len(), 100);
    }
}
