//! Writing all or nothing, whatever happens in between.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// How the names of files begin that are being written. After a kill one may stay behind.
pub const TEMPORARY: &str = ".writing-";

/// Writes a file under a temporary name in the same folder, syncs it and renames it: whoever opens `path` finds the old
/// file or the whole new one.
///
/// # Errors
/// When the folder is not writable or full; the old file is still there then.
pub fn write_atomically(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let folder = parent(path);
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(TEMPORARY);
    // A temporary file can be read by its owner only. The finished file gets the usual permissions, as the umask sets them.
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = temporary.tempfile_in(folder)?.into_temp_path();
    let usual = fs::metadata(&temporary)?.permissions();
    write(&temporary)?;
    let file = File::options().write(true).open(&temporary)?;
    // A library may have put a temporary file of its own in this one's place: safetensors does.
    if cfg!(unix) {
        file.set_permissions(usual)?;
    }
    file.sync_all()?;
    drop(file);
    temporary.persist(path).map_err(|error| error.error)?;
    // The name is as safe as the bytes only once the folder is synced.
    sync_folder(folder)
}

/// Tries whether files can be written into a folder: something is written, and nothing of it stays.
///
/// # Errors
/// When the folder is not there, not writable or full.
pub fn try_folder(folder: &Path) -> io::Result<()> {
    tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder)?.write_all(b"x")
}

/// Removes what killed processes left half-written in a folder; nothing where there is no folder.
///
/// # Errors
/// When it cannot be listed or a file not be removed.
pub fn remove_unfinished(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes the names within a folder durable. Only Unix lets a folder be opened and synced.
///
/// # Errors
/// When it is not there, or the disk fails.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The folder that a path lies in, as one that can be opened.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        write_atomically(&path, |temporary| fs::write(temporary, b"old")).unwrap();
        let failed = write_atomically(&path, |temporary| {
            fs::write(temporary, b"half")?;
            Err(io::Error::other("no space left"))
        });
        assert!(failed.unwrap_err().to_string().contains("no space left"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the half-written file is gone");
    }

    #[test]
    #[cfg(unix)]
    fn others_may_read_it_as_any_other_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        fs::write(folder.path().join("plain"), "").unwrap();
        write_atomically(&folder.path().join("whole"), |temporary| fs::write(temporary, "")).unwrap();
        assert_eq!(mode("whole"), mode("plain"));
        // Whoever writes may put another file in its place.
        write_atomically(&folder.path().join("replaced"), |temporary| {
            tempfile::NamedTempFile::new_in(folder.path())?.persist(temporary)?;
            Ok(())
        })
        .unwrap();
        assert_eq!(mode("replaced"), mode("plain"));
    }

    #[test]
    fn what_a_killed_process_left_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".writing-1", "kept"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        remove_unfinished(folder.path()).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["kept"]);
        remove_unfinished(&folder.path().join("absent")).unwrap();
    }

    #[test]
    fn a_bare_name_lies_in_the_folder_of_work() {
        assert_eq!(parent(Path::new("a")), Path::new("."));
        assert_eq!(parent(Path::new("a/b")), Path::new("a"));
    }
}
