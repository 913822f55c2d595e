//! Reads the rows of a parquet file, as pandas or `datasets` (Hugging Face) write it: texts, numbers, lists of them, and images.

mod column;
mod features;
mod images;
mod values;

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::{Array, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, LogicalType};
use parquet::errors::ParquetError;
use ptu_data::DataError;
use ptu_data::guard::{catch_panic, check_pages};

use super::row::{Column, InlineImage, Row, Unread};
use column::ColumnReader;
use features::Features;
use images::{BytesKind, bytes_kind};
use values::resolve;

/// The number of rows that are in memory at once.
const BATCH_SIZE: usize = 16;

/// The metadata entry with which Arrow marks a column of UUIDs.
const UUID_EXTENSION: (&str, &str) = ("ARROW:extension:name", "arrow.uuid");

/// A reader of the rows of a parquet file.
pub struct Parquet {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    reader: ParquetRecordBatchReader,
    columns: Vec<ColumnReader>,
    batch: Option<RecordBatch>,
    /// The position of the next row in the batch.
    next: usize,
    /// The number of rows that were read.
    rows_read: u64,
    /// The number of all rows.
    total: u64,
}

impl Parquet {
    /// Opens a file; returns the reader, the columns, and the notices about them, one sentence each. All values of columns of bytes
    /// are read once, because only the values show whether they are images or texts.
    ///
    /// # Errors
    /// When it cannot be read, or when it is not a parquet file.
    pub fn open(path: &Path) -> Result<(Self, Vec<Column>, Vec<String>), DataError> {
        let wrong = |cause: String| DataError::Table { path: path.to_path_buf(), cause };
        let refused = |cause| wrong(format!("it cannot be read ({cause})"));
        let file = || File::open(path).map_err(DataError::io("open", path));
        let first = file()?;
        let metadata = catch_panics(|| ArrowReaderMetadata::load(&first, ArrowReaderOptions::new()));
        let metadata = metadata.map_err(|cause| wrong(format!("it is not a parquet file ({cause})")))?;
        if let Some(compression) = unsupported_compression(&metadata) {
            return Err(wrong(format!(
                "its columns are compressed with {compression}, which is not supported; write it again with \
                 `compression=\"snappy\"`, an argument of pandas, polars and pyarrow"
            )));
        }
        catch_panics(|| check_pages(&first, metadata.metadata())).map_err(refused)?;
        let mut columns = catch_panics(|| Ok(column_readers(&metadata))).map_err(refused)?;
        let schema = metadata.schema();
        for (column, (column_reader, field)) in columns.iter_mut().zip(schema.fields()).enumerate() {
            if column_reader.needs_values(field) {
                let file = file()?;
                let kind = catch_panics(|| scan_bytes_column(file, &metadata, column)).map_err(refused)?;
                *column_reader = ColumnReader::from_values(field, kind);
            }
        }
        let reader = catch_panics(|| reader(first, &metadata, None)).map_err(refused)?;
        let listed = columns.iter().zip(schema.fields());
        let listed = listed.map(|(column, field)| Column {
            name: field.name().clone(),
            holds: column.holds(),
            numbers: column.numbers(field),
        });
        let listed = listed.collect();
        let notices = columns.iter().zip(schema.fields()).filter_map(|(column, field)| column.notice(field)).collect();
        let total = u64::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
        let path = path.to_path_buf();
        Ok((Self { path, metadata, reader, columns, batch: None, next: 0, rows_read: 0, total }, listed, notices))
    }

    /// Reads only the row with this number, from 1; `None` if the file has fewer rows.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn row(&self, line: u64) -> Result<Option<Row>, DataError> {
        let wrong = |cause: String| DataError::Table {
            path: self.path.clone(),
            cause: format!("its row {line} cannot be read ({cause})"),
        };
        let Some(mut rest) = line.checked_sub(1) else { return Ok(None) };
        for (group, group_metadata) in self.metadata.metadata().row_groups().iter().enumerate() {
            let rows = u64::try_from(group_metadata.num_rows()).unwrap_or(0);
            if rest >= rows {
                rest -= rows;
                continue;
            }
            let file = File::open(&self.path).map_err(DataError::io("open", &self.path))?;
            let read = || {
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
                let offset = usize::try_from(rest).unwrap_or(usize::MAX);
                let batch = builder.with_row_groups(vec![group]).with_offset(offset).with_limit(1).build()?.next();
                let batch = batch.transpose()?.filter(|batch| batch.num_rows() > 0);
                Ok(batch.map(|batch| row(&self.columns, &batch, 0, line)))
            };
            return catch_panics(read).map_err(wrong);
        }
        Ok(None)
    }

    /// The next row; its line is its number, from 1.
    ///
    /// # Errors
    /// When the file cannot be read further.
    pub fn next(&mut self) -> Result<Option<Row>, DataError> {
        let wrong = |cause: String| DataError::Table {
            path: self.path.clone(),
            cause: format!("it cannot be read after row {} ({cause})", self.rows_read),
        };
        while self.batch.as_ref().is_none_or(|batch| self.next == batch.num_rows()) {
            let batch = catch_panics(|| Ok(self.reader.next().transpose()?)).map_err(wrong)?;
            let Some(batch) = batch else { return Ok(None) };
            (self.batch, self.next) = (Some(batch), 0);
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        let (position, line) = (self.next, self.rows_read + 1);
        let row = catch_panics(|| Ok(row(&self.columns, batch, position, line))).map_err(wrong)?;
        self.next += 1;
        self.rows_read += 1;
        Ok(Some(row))
    }

    /// The share of the rows that were read, from 0 to 1.
    pub fn share(&self) -> f64 {
        self.rows_read as f64 / self.total.max(1) as f64
    }
}

/// The result of `decode`, or why it failed. A manipulated file can make the parquet crate panic; this becomes an error, too.
fn catch_panics<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_panic(decode) {
        None => Err("its contents contradict each other".into()),
        Some(decoded) => decoded.map_err(|error| error.to_string()),
    }
}

/// The name of the first compression in the file that is not supported. The features of the `parquet` crate decide which are.
fn unsupported_compression(metadata: &ArrowReaderMetadata) -> Option<String> {
    let mut columns = metadata.metadata().row_groups().iter().flat_map(|group| group.columns());
    let is_supported =
        |compression: &Compression| matches!(compression, Compression::UNCOMPRESSED | Compression::SNAPPY);
    let other =
        columns.find_map(|column| Some(column.compression()).filter(|compression| !is_supported(compression)))?;
    // The text contains the level, which is removed: `ZSTD(ZstdLevel(1))` becomes `ZSTD`.
    Some(other.to_string().split('(').next().unwrap_or_default().to_string())
}

/// How each column is read, according to its type and the metadata.
fn column_readers(metadata: &ArrowReaderMetadata) -> Vec<ColumnReader> {
    let (schema, features) = (metadata.schema(), Features::of(metadata.schema()));
    let logical = metadata.parquet_schema().root_schema().get_fields();
    let fields = schema.fields().iter().enumerate();
    let readers = fields.map(|(position, field)| {
        let logical = logical.get(position).and_then(|column| column.get_basic_info().logical_type_ref());
        let marked = field.metadata().get(UUID_EXTENSION.0).is_some_and(|name| name == UUID_EXTENSION.1);
        ColumnReader::of(field, marked || logical == Some(&LogicalType::Uuid), &features)
    });
    readers.collect()
}

/// A reader of all columns, or of a single one.
fn reader(
    file: File,
    metadata: &ArrowReaderMetadata,
    column: Option<usize>,
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let builder =
        ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone()).with_batch_size(BATCH_SIZE);
    match column {
        Some(column) => {
            let only = ProjectionMask::roots(builder.parquet_schema(), [column]);
            builder.with_projection(only).build()
        }
        None => builder.build(),
    }
}

/// Finds what the values of a column of bytes are: images if at least one value is an image file, otherwise texts if all values are
/// texts. `None` if the column has no values.
fn scan_bytes_column(
    file: File,
    metadata: &ArrowReaderMetadata,
    column: usize,
) -> Result<Option<BytesKind>, ParquetError> {
    let mut kind = None;
    for batch in reader(file, metadata, Some(column))? {
        let batch = batch?;
        let Some(array) = batch.columns().first() else { break };
        let values = (0..array.len()).filter_map(|row| resolve(array, row));
        kind = kind.max(values.map(|(array, row)| bytes_kind(array, row)).max());
        if kind == Some(BytesKind::Image) {
            break;
        }
    }
    Ok(kind)
}

/// The row at a position of a batch; `line` is its number in the file.
fn row(columns: &[ColumnReader], batch: &RecordBatch, position: usize, line: u64) -> Row {
    let mut row = Row { line, cells: Ok(vec![]), images: vec![], unread: vec![] };
    let mut cells = vec![];
    for (column, (column_reader, array)) in columns.iter().zip(batch.columns()).enumerate() {
        let mut content = column_reader.read_cell(array, position);
        if let Some((bytes, name)) = content.image {
            row.images.push(InlineImage { column, bytes, named: name.is_some() });
            content.cell = vec![name.unwrap_or_else(|| format!("row-{line}"))];
        }
        row.unread.extend(content.unread.map(|cause| Unread { column, cause }));
        cells.push(content.cell);
    }
    row.cells = Ok(cells);
    row
}

#[cfg(test)]
mod tests;
