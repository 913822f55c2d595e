//! Writing of one parquet file of records.

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

/// A row group ends after this many records or bytes. The writer keeps one row group in memory, and a reader of a column
/// reads one row group at a time.
const GROUP_RECORDS: usize = 256;
const GROUP_BYTES: usize = 32 << 20;

/// The number of records per page. Reading one record reads a whole page, so pages are small.
const PAGE_RECORDS: usize = 8;

/// A parquet file that is being written.
pub struct OpenShard {
    path: PathBuf,
    split: Split,
    writer: ArrowWriter<HashingWriter>,
    buffered: Vec<Record>,
    buffered_bytes: usize,
    records: u64,
}

impl OpenShard {
    /// Starts the file with this number for a split in a folder.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(folder: &Path, split: Split, number: usize) -> Result<Self, DataError> {
        let path = folder.join(format!("{split}-{number:05}.parquet"));
        let file = File::create(&path).map_err(DataError::io("create", &path))?;
        let hashed = HashingWriter { file: BufWriter::new(file), hash: Sha256::new(), bytes: 0 };
        let options = ArrowWriterOptions::new().with_properties(properties());
        let writer = ArrowWriter::try_new_with_options(hashed, Arc::new(schema::schema()), options)
            .map_err(|error| cannot_write(&path, error))?;
        Ok(Self { path, split, writer, buffered: vec![], buffered_bytes: 0, records: 0 })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, record: Record) -> Result<(), DataError> {
        self.buffered_bytes += record.image.as_ref().map_or(0, |image| image.bytes.len());
        self.buffered_bytes += record.texts.iter().map(String::len).sum::<usize>();
        self.buffered.push(record);
        self.records += 1;
        if self.buffered.len() >= GROUP_RECORDS || self.buffered_bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DataError> {
        if self.buffered.is_empty() {
            return Ok(());
        }
        let batch = schema::to_batch(&self.buffered).map_err(|error| cannot_write(&self.path, error.into()))?;
        self.buffered.clear();
        self.buffered_bytes = 0;
        self.writer.write(&batch).and_then(|()| self.writer.flush()).map_err(|error| cannot_write(&self.path, error))
    }

    /// The number of bytes so far, including records in memory.
    pub fn size(&self) -> usize {
        self.writer.bytes_written() + self.buffered_bytes
    }

    /// Finishes the file and syncs it to the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn close(mut self) -> Result<Shard, DataError> {
        self.flush()?;
        let Self { path, split, writer, records, .. } = self;
        let HashingWriter { file, hash, bytes } = writer.into_inner().map_err(|error| cannot_write(&path, error))?;
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
        // Image files are already compressed: compressing them again would need time and save no space.
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

/// Writes to a file, and hashes and counts the written bytes.
struct HashingWriter {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for HashingWriter {
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
