//! Atomic writing: a file is written completely or not at all, also if the process is killed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The prefix of the names of files that are being written. After a process was killed, such a file may remain.
pub const TEMPORARY: &str = ".writing-";

/// Writes a file under a temporary name in the same folder, syncs it and renames it. So `path` is always the old file or the
/// complete new file.
///
/// # Errors
/// When the folder is not writable or the disk is full. Then the old file is unchanged.
pub fn write_atomically(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let folder = parent(path);
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(TEMPORARY);
    // By default, only the owner can read a temporary file. The finished file gets the usual permissions, as the umask sets them.
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = temporary.tempfile_in(folder)?.into_temp_path();
    let usual = fs::metadata(&temporary)?.permissions();
    write(&temporary)?;
    let file = File::options().write(true).open(&temporary)?;
    // `write` may have replaced the file by a temporary file of its own, as safetensors does.
    if cfg!(unix) {
        file.set_permissions(usual)?;
    }
    file.sync_all()?;
    drop(file);
    temporary.persist(path).map_err(|error| error.error)?;
    // The bytes are already synced. The new name is durable only after the folder is synced too.
    sync_folder(folder)
}

/// Checks whether files can be written into a folder, by writing a temporary file, which is removed again.
///
/// # Errors
/// When the folder does not exist or is not writable, or when the disk is full.
pub fn try_folder(folder: &Path) -> io::Result<()> {
    tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder)?.write_all(b"x")
}

/// Removes unfinished files of killed processes from a folder. If the folder does not exist, nothing is done.
///
/// # Errors
/// When the folder cannot be listed or a file cannot be removed.
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

/// Syncs the names within a folder to the disk. Only on Unix can a folder be opened and synced; elsewhere nothing is done.
///
/// # Errors
/// When the folder does not exist, or when the disk fails.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The folder that contains a path; `.` for a plain file name, so that it can be opened.
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
    fn the_file_has_the_usual_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        fs::write(folder.path().join("plain"), "").unwrap();
        write_atomically(&folder.path().join("whole"), |temporary| fs::write(temporary, "")).unwrap();
        assert_eq!(mode("whole"), mode("plain"));
        // The function that writes may replace the file by another one.
        write_atomically(&folder.path().join("replaced"), |temporary| {
            tempfile::NamedTempFile::new_in(folder.path())?.persist(temporary)?;
            Ok(())
        })
        .unwrap();
        assert_eq!(mode("replaced"), mode("plain"));
    }

    #[test]
    fn files_of_a_killed_process_are_removed() {
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
    fn a_plain_file_name_is_in_the_working_folder() {
        assert_eq!(parent(Path::new("a")), Path::new("."));
        assert_eq!(parent(Path::new("a/b")), Path::new("a"));
    }
}
