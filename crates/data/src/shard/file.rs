//! One parquet file of records, written from front to end.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use super::schema;
use crate::error::DataError;
use crate::manifest::Shard;
use crate::record::{Record, Split};

/// A row group ends after so many records or bytes: what a writer holds in memory, and what a reader of columns reads.
const GROUP_RECORDS: usize = 256;
const GROUP_BYTES: usize = 32 << 20;

/// Records a page. A page is the least that a read at one position fetches, so pages are small.
const PAGE_RECORDS: usize = 8;

/// One parquet file being written.
pub struct OpenShard {
    path: PathBuf,
    split: Split,
    writer: ArrowWriter<Hashed>,
    waiting: Vec<Record>,
    waiting_bytes: usize,
    records: u64,
}

impl OpenShard {
    /// Starts a file of a split in a folder.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create(folder: &Path, split: Split, number: usize) -> Result<Self, DataError> {
        let path = folder.join(format!("{split}-{number:05}.parquet"));
        let file = File::create(&path).map_err(DataError::io("create", &path))?;
        let hashed = Hashed { file: BufWriter::new(file), hash: Sha256::new(), bytes: 0 };
        let options = ArrowWriterOptions::new().with_properties(properties());
        let writer = ArrowWriter::try_new_with_options(hashed, Arc::new(schema::schema()), options)
            .map_err(|error| cannot_write(&path, error))?;
        Ok(Self { path, split, writer, waiting: vec![], waiting_bytes: 0, records: 0 })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&mut self, record: Record) -> Result<(), DataError> {
        self.waiting_bytes += record.image.as_ref().map_or(0, |image| image.bytes.len());
        self.waiting_bytes += record.texts.iter().map(String::len).sum::<usize>();
        self.waiting.push(record);
        self.records += 1;
        if self.waiting.len() >= GROUP_RECORDS || self.waiting_bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DataError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let batch = schema::to_batch(&self.waiting).map_err(|error| cannot_write(&self.path, error.into()))?;
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.writer.write(&batch).and_then(|()| self.writer.flush()).map_err(|error| cannot_write(&self.path, error))
    }

    /// Bytes so far.
    pub fn size(&self) -> usize {
        self.writer.bytes_written() + self.waiting_bytes
    }

    /// Ends the file; what it holds is on the disk then.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn close(mut self) -> Result<Shard, DataError> {
        self.flush()?;
        let Self { path, split, writer, records, .. } = self;
        let Hashed { file, hash, bytes } = writer.into_inner().map_err(|error| cannot_write(&path, error))?;
        let synced = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        synced.map_err(DataError::io("write", &path))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Shard { file, split, records, bytes, sha256: format!("{:x}", hash.finalize()) })
    }
}

fn properties() -> WriterProperties {
    let image = ColumnPath::from(vec!["image".to_string(), "bytes".to_string()]);
    WriterProperties::builder()
        .set_created_by(concat!("ptu-data ", env!("CARGO_PKG_VERSION")).to_string())
        .set_compression(Compression::SNAPPY)
        // Images are compressed already: a second time costs time and gains nothing.
        .set_column_compression(image, Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(Some(GROUP_RECORDS))
        .set_data_page_row_count_limit(PAGE_RECORDS)
        .set_write_batch_size(PAGE_RECORDS)
        .build()
}

fn cannot_write(path: &Path, error: parquet::errors::ParquetError) -> DataError {
    DataError::Io { action: "write", path: path.to_path_buf(), source: io::Error::other(error) }
}

/// Hashes and counts what goes to the file.
struct Hashed {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
