//! Files from outside, read within a bound.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

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

/// The bytes of a file. What a path names is looked at before it is opened: to open a pipe would wait for ever.
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
pub fn sha256(mut reader: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut reader, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}
