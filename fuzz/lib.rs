//! A temporary folder, in memory if the system has such a folder. A fuzz target writes its input and its output there.

use std::fs;
use std::path::{Path, PathBuf};

/// A folder that is deleted when this value is dropped.
pub struct TemporaryFolder(tempfile::TempDir);

impl Default for TemporaryFolder {
    fn default() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self(folder.expect("a folder"))
    }
}

impl TemporaryFolder {
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, bytes).expect("a file");
        path
    }
}
