//! Writes files for tests byte by byte, so that they can be as wrong as a test needs.

pub mod pickle;
pub mod protobuf;
pub mod zip;

use std::path::{Path, PathBuf};

use ptu_checkpoint::{Checkpoint, CheckpointError};

pub use pickle::Pickle;
pub use protobuf::Message;
pub use zip::Zip;

/// A folder that is deleted at the end of a test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// Opens these bytes as a file.
pub fn open(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let folder = Folder::new();
    // The mapping stays valid after the file is deleted.
    Checkpoint::open(&folder.write("file", bytes))
}

/// The message with which a file is refused.
pub fn refusal(bytes: &[u8]) -> String {
    match open(bytes) {
        Err(error) => error.to_string(),
        Ok(checkpoint) => panic!("it was opened, with {:?}", checkpoint.names().collect::<Vec<_>>()),
    }
}

/// These numbers as little-endian bytes.
pub fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A safetensors file with this header.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}
