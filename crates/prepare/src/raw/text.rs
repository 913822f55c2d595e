//! The text of a file, however it is packed and written: from front to end, as UTF-8, without a mark at its start.

use std::io::{self, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ptu_data::DataError;
use ptu_input::{FileForm, Packing};

use super::Entry;
use super::utf16::Utf16;

/// How much of a text is looked at when it is opened, in bytes.
const START: u64 = 64 << 10;

/// A text that is being read.
pub struct Text {
    /// Where it lies, for messages.
    pub path: PathBuf,
    /// All of it, as UTF-8 where it is whole.
    pub reader: BufReader<Box<dyn Read + Send>>,
    /// Its first bytes, which the reader gives too.
    pub start: Vec<u8>,
    read: Arc<AtomicU64>,
    total: u64,
}

impl Text {
    /// Opens a file in UTF-8, or in UTF-16 with a mark.
    ///
    /// # Errors
    /// When it cannot be read, or is no text as its first bytes say.
    pub fn open(entry: &Entry) -> Result<Self, DataError> {
        let (path, read) = (entry.path(), Arc::new(AtomicU64::new(0)));
        let wrong = |cause: &str| DataError::Table { path: path.clone(), cause: cause.to_string() };
        let mut file = entry.counted(Arc::clone(&read))?;
        let first = beginning(&mut file, FileForm::ENOUGH as u64).map_err(DataError::io("read", &path))?;
        let (mark, encoding) = encoding(&first);
        let told = match encoding {
            Encoding::Utf8 => not_text(form(&first)),
            Encoding::Utf16 { .. } => None,
            Encoding::Utf32 => Some("it is UTF-32; save it as UTF-8".to_string()),
        };
        if let Some(cause) = told {
            return Err(wrong(&cause));
        }
        let all = Cursor::new(first[mark..].to_vec()).chain(file);
        let mut all: Box<dyn Read + Send> = match encoding {
            Encoding::Utf16 { big } => Box::new(Utf16::new(BufReader::new(all), big)),
            _ => Box::new(all),
        };
        let start = beginning(&mut all, START).map_err(DataError::io("read", &path))?;
        let reader: Box<dyn Read + Send> = Box::new(Cursor::new(start.clone()).chain(all));
        Ok(Self { path, reader: BufReader::with_capacity(START as usize, reader), start, read, total: entry.size() })
    }

    /// Share of the file that was read, as it lies there.
    pub fn share(&self) -> f64 {
        (self.read.load(Ordering::Relaxed) as f64 / self.total.max(1) as f64).min(1.0)
    }

    /// The first character that is no white space.
    pub fn first(&self) -> u8 {
        self.start.trim_ascii_start().first().copied().unwrap_or_default()
    }
}

enum Encoding {
    Utf8,
    Utf16 { big: bool },
    Utf32,
}

/// How a text is written, and the length of the mark that says so.
fn encoding(first: &[u8]) -> (usize, Encoding) {
    match first {
        [0xef, 0xbb, 0xbf, ..] => (3, Encoding::Utf8),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => (4, Encoding::Utf32),
        [0xff, 0xfe, ..] => (2, Encoding::Utf16 { big: false }),
        [0xfe, 0xff, ..] => (2, Encoding::Utf16 { big: true }),
        _ => (0, Encoding::Utf8),
    }
}

/// What a file is; a table of paths of git-annex is no pointer, which has one line.
pub fn form(first: &[u8]) -> FileForm {
    match FileForm::of(first) {
        FileForm::AnnexPointer if first.trim_ascii().contains(&b'\n') => FileForm::Text,
        form => form,
    }
}

/// Why a file of this form is no table, with a cure; `None` of one that may be text.
pub fn not_text(form: FileForm) -> Option<String> {
    Some(match form {
        FileForm::Empty | FileForm::Text | FileForm::Unknown => return None,
        FileForm::Utf16 => "it is UTF-16 without a mark at its start; save it as UTF-8".into(),
        FileForm::Picture(_) | FileForm::Dicom | FileForm::Volume(_) => {
            format!("it is {form}, no table; name the table in which its path stands")
        }
        FileForm::Packed(Packing::Gzip) => "it is packed with gzip, and within once more; unpack it".into(),
        FileForm::Columns("Parquet") => "it is Parquet; call it `.parquet`".into(),
        FileForm::Columns(name) => format!("it is {name}; save it as Parquet, CSV or JSON lines"),
        other => format!("it is {other}; {}", other.cure()),
    })
}

fn beginning(reader: &mut impl Read, bytes: u64) -> io::Result<Vec<u8>> {
    let mut start = vec![];
    reader.take(bytes).read_to_end(&mut start)?;
    Ok(start)
}

/// Counts what is read of a file.
pub struct Counted<R> {
    pub reader: R,
    pub read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
