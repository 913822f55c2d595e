//! Reads a text file, plain or compressed, from the beginning to the end as UTF-8, without the byte order mark.

use std::io::{self, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ptu_data::DataError;
use ptu_input::{FileForm, Packing};

use super::Entry;
use super::utf16::Utf16;

/// The length of the beginning of a text that is read when it is opened, in bytes.
const PREFIX_SIZE: u64 = 64 << 10;

/// A text that is being read.
pub struct Text {
    /// The path of the file, for messages.
    pub path: PathBuf,
    /// Reads the whole text. The bytes are UTF-8 unless the file is damaged.
    pub reader: BufReader<Box<dyn Read + Send>>,
    /// The first bytes of the text; `reader` returns them, too.
    pub start: Vec<u8>,
    /// The number of bytes of the file that were read.
    read: Arc<AtomicU64>,
    /// The size of the file in bytes.
    total: u64,
}

impl Text {
    /// Opens a file in UTF-8, or in UTF-16 with a byte order mark.
    ///
    /// # Errors
    /// When it cannot be read, or when its first bytes show that it is not a text.
    pub fn open(entry: &Entry) -> Result<Self, DataError> {
        let (path, read) = (entry.path(), Arc::new(AtomicU64::new(0)));
        let wrong = |cause: &str| DataError::Table { path: path.clone(), cause: cause.to_string() };
        let mut file = entry.counted(Arc::clone(&read))?;
        let first = read_prefix(&mut file, FileForm::ENOUGH as u64).map_err(DataError::io("read", &path))?;
        let (mark, encoding) = encoding(&first);
        let problem = match encoding {
            Encoding::Utf8 => not_text(form(&first)),
            Encoding::Utf16 { .. } => None,
            Encoding::Utf32 => Some("it is UTF-32; save it as UTF-8".to_string()),
        };
        if let Some(cause) = problem {
            return Err(wrong(&cause));
        }
        let all = Cursor::new(first[mark..].to_vec()).chain(file);
        let mut all: Box<dyn Read + Send> = match encoding {
            Encoding::Utf16 { big_endian } => Box::new(Utf16::new(BufReader::new(all), big_endian)),
            _ => Box::new(all),
        };
        let start = read_prefix(&mut all, PREFIX_SIZE).map_err(DataError::io("read", &path))?;
        let reader: Box<dyn Read + Send> = Box::new(Cursor::new(start.clone()).chain(all));
        Ok(Self {
            path,
            reader: BufReader::with_capacity(PREFIX_SIZE as usize, reader),
            start,
            read,
            total: entry.size(),
        })
    }

    /// The share of the bytes of the file that were read, from 0 to 1.
    pub fn share(&self) -> f64 {
        (self.read.load(Ordering::Relaxed) as f64 / self.total.max(1) as f64).min(1.0)
    }

    /// The first byte that is not white space; 0 if there is none.
    pub fn first(&self) -> u8 {
        self.start.trim_ascii_start().first().copied().unwrap_or_default()
    }
}

enum Encoding {
    Utf8,
    Utf16 { big_endian: bool },
    Utf32,
}

/// The encoding of a text, and the length of its byte order mark in bytes.
fn encoding(first: &[u8]) -> (usize, Encoding) {
    match first {
        [0xef, 0xbb, 0xbf, ..] => (3, Encoding::Utf8),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => (4, Encoding::Utf32),
        [0xff, 0xfe, ..] => (2, Encoding::Utf16 { big_endian: false }),
        [0xfe, 0xff, ..] => (2, Encoding::Utf16 { big_endian: true }),
        _ => (0, Encoding::Utf8),
    }
}

/// The form of a file. A pointer of git-annex has one line, so a table with paths of git-annex is text.
pub fn form(first: &[u8]) -> FileForm {
    match FileForm::of(first) {
        FileForm::AnnexPointer if first.trim_ascii().contains(&b'\n') => FileForm::Text,
        form => form,
    }
}

/// Why a file of this form is not a text table, and what to do; `None` for a form that may be text.
pub fn not_text(form: FileForm) -> Option<String> {
    Some(match form {
        FileForm::Empty | FileForm::Text | FileForm::Unknown => return None,
        FileForm::Utf16 => "it is UTF-16 without a byte order mark at its start; save it as UTF-8".into(),
        FileForm::Picture(_) | FileForm::Dicom | FileForm::Volume(_) => {
            format!("it is {form}, not a table; name the table that contains its path")
        }
        FileForm::Packed(Packing::Gzip) => "it is compressed with gzip twice; unpack it".into(),
        FileForm::Columns("Parquet") => "it is Parquet; rename it so that it ends with `.parquet`".into(),
        FileForm::Columns(name) => format!("it is {name}; save it as Parquet, CSV or JSON lines"),
        other => format!("it is {other}; {}", other.cure()),
    })
}

/// Reads at most so many bytes.
fn read_prefix(reader: &mut impl Read, bytes: u64) -> io::Result<Vec<u8>> {
    let mut start = vec![];
    reader.take(bytes).read_to_end(&mut start)?;
    Ok(start)
}

/// A reader that counts the bytes that are read.
pub struct CountingReader<R> {
    pub reader: R,
    pub read: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
