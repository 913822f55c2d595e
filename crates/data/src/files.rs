//! Files from outside, read within a bound.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ptu_input::text::name_key;
use sha2::{Digest, Sha256};

use crate::error::DataError;

/// The largest image file, in bytes.
pub const IMAGE_LIMIT: u64 = 256 << 20;

/// Why a file cannot be read.
#[derive(Debug)]
pub enum Unread {
    /// It is not there.
    Absent,
    /// Anything else, as words that go on from its name.
    Because(String),
}

impl Unread {
    /// Words that go on from the name of the file.
    pub fn cause(self) -> String {
        match self {
            Self::Absent => "is not there".into(),
            Self::Because(cause) => cause,
        }
    }
}

/// The bytes of a file of at most `limit` bytes. What a path names is looked at before it is opened: to open a pipe would wait for ever.
///
/// # Errors
/// When it is not there, is no file, is too large or cannot be read.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Unread> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unread::Absent,
        _ => Unread::Because(format!("cannot be read ({error})")),
    };
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Unread::Because("is no file".into()));
    }
    let mut bytes = vec![];
    File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

/// For a file of more than `limit` bytes.
pub fn too_large(limit: u64) -> Unread {
    let (size, unit) = if limit >> 20 > 0 { (limit >> 20, "MiB") } else { (limit, "bytes") };
    Unread::Because(format!("is larger than {size} {unit}; make it smaller"))
}

/// SHA-256 of all that a reader gives, in hexadecimal.
///
/// # Errors
/// When it cannot be read on.
pub fn sha256(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut reader, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

/// 128 bits stand for a name of any length, so that a million names take 32 MB; equal by chance once in 1e26.
pub fn digest(name: impl AsRef<[u8]>) -> u128 {
    let hash = Sha256::digest(name);
    hash.iter().take(16).fold(0, |all, byte| all << 8 | u128::from(*byte))
}

/// [`digest`] of a name: names that people take for the same have one.
pub fn name_digest(name: &str) -> u128 {
    digest(name_key(name).as_bytes())
}

/// Whether a folder is not there, or holds nothing.
///
/// # Errors
/// When it cannot be listed.
pub fn is_absent_or_empty(folder: &Path) -> Result<bool, DataError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(DataError::io("list", folder)(error)),
    }
}

/// Of use from any folder; a path that cannot be made so stays.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The bytes of an image file.
///
/// # Errors
/// When it is not there, is no file, is too large or cannot be read.
pub fn read_image(path: &Path) -> Result<Vec<u8>, DataError> {
    image_bytes(path).map_err(|cause| DataError::Input { path: path.to_path_buf(), cause })
}

/// [`read_image`] with an error that goes on from the name of the file.
///
/// # Errors
/// As there.
pub fn image_bytes(path: &Path) -> Result<Vec<u8>, String> {
    read_bounded(path, IMAGE_LIMIT).map_err(Unread::cause)
}
