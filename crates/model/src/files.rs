//! Reading with a limit, writing all or nothing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

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

/// Writes a file under a temporary name in the same folder, syncs it and renames it: whoever opens `path` finds the old
/// file or the whole new one, whatever happens in between.
///
/// # Errors
/// When the folder is not writable or full; the old file is still there then.
pub fn write_atomically(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), ModelError> {
    let all = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?.into_temp_path();
        write(&temporary)?;
        File::open(&temporary)?.sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        // The name is as safe as the bytes only once the folder is synced.
        File::open(folder)?.sync_all()
    };
    all().map_err(|source| ModelError::File { action: "write", path: path.into(), source })
}

/// [`write_atomically`] for bytes at hand.
///
/// # Errors
/// As there.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    write_atomically(path, |temporary| fs::write(temporary, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        write_bytes(&path, b"old").unwrap();
        let failed = write_atomically(&path, |temporary| {
            fs::write(temporary, b"half")?;
            Err(io::Error::other("no space left"))
        });
        assert!(failed.unwrap_err().to_string().contains("no space left"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the half-written file is gone");
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
