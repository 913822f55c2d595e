//! Reading of untrusted files with a limit on their size, hashes of files and names, and paths.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ptu_input::text::name_key;
use sha2::{Digest, Sha256};

use crate::error::DataError;

/// The largest image file, in bytes.
pub const IMAGE_LIMIT: u64 = 256 << 20;

/// The reason why a file cannot be read.
#[derive(Debug)]
pub enum Unread {
    /// The file does not exist.
    Absent,
    /// Any other reason, as words that continue a sentence after the file's name.
    Because(String),
}

impl Unread {
    /// The reason as words that continue a sentence after the file's name.
    pub fn cause(self) -> String {
        match self {
            Self::Absent => "is not there".into(),
            Self::Because(cause) => cause,
        }
    }
}

/// Reads a file of at most `limit` bytes. The path is checked before it is opened, because opening a named pipe could wait for
/// ever.
///
/// # Errors
/// When it does not exist, is not a file, is too large or cannot be read.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Unread> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unread::Absent,
        _ => Unread::Because(format!("cannot be read ({error})")),
    };
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Unread::Because("is not a file".into()));
    }
    let mut bytes = vec![];
    File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

/// The reason for a file of more than `limit` bytes.
pub fn too_large(limit: u64) -> Unread {
    let (size, unit) = if limit >> 20 > 0 { (limit >> 20, "MiB") } else { (limit, "bytes") };
    Unread::Because(format!("is larger than {size} {unit}; make it smaller"))
}

/// The SHA-256 of all bytes of a reader, in hexadecimal.
///
/// # Errors
/// When reading fails.
pub fn sha256(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut reader, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

/// The SHA-256 of some parts, in hexadecimal. The length of each part counts too, so that what ends one part and begins the next matters.
pub fn sha256_of_parts(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.as_ref().len() as u64).to_le_bytes());
        hash.update(part);
    }
    format!("{:x}", hash.finalize())
}

/// A 128-bit hash of a name of any length, so that a million names need only 32 MB. The probability that two of them are equal by
/// chance is about 1 in 1e26.
pub fn digest(name: impl AsRef<[u8]>) -> u128 {
    let hash = Sha256::digest(name);
    hash.iter().take(16).fold(0, |all, byte| all << 8 | u128::from(*byte))
}

/// The [`digest`] of a name. Names that look the same to people have the same digest (see [`name_key`]).
pub fn name_digest(name: &str) -> u128 {
    digest(name_key(name).as_bytes())
}

/// Whether a folder does not exist or is empty.
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

/// Makes a path absolute, so that it is valid from any working folder. A path that cannot be made absolute is returned unchanged.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Reads the bytes of an image file, at most [`IMAGE_LIMIT`].
///
/// # Errors
/// When it does not exist, is not a file, is too large or cannot be read.
pub fn read_image(path: &Path) -> Result<Vec<u8>, DataError> {
    image_bytes(path).map_err(|cause| DataError::Input { path: path.to_path_buf(), cause })
}

/// The same as [`read_image`], but its error is a text that continues a sentence after the file's name.
///
/// # Errors
/// As in [`read_image`].
pub fn image_bytes(path: &Path) -> Result<Vec<u8>, String> {
    read_bounded(path, IMAGE_LIMIT).map_err(Unread::cause)
}
