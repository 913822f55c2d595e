//! Rows of a parquet file, such as pandas or `datasets` (Hugging Face) write: texts, numbers, lists of them, and images within.

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
use ptu_data::guard::{check_pages, held};

use super::row::{Column, InlineImage, Row, Unread};
use column::Reading;
use features::Features;
use images::{Sight, sight};
use values::place;

/// Rows that are held at once.
const HELD: usize = 16;

/// How Arrow marks a column of UUIDs.
const EXTENSION: (&str, &str) = ("ARROW:extension:name", "arrow.uuid");

/// The rows of a parquet file.
pub struct Parquet {
    path: PathBuf,
    loaded: ArrowReaderMetadata,
    reader: ParquetRecordBatchReader,
    columns: Vec<Reading>,
    batch: Option<RecordBatch>,
    /// Within the batch.
    next: usize,
    /// Rows before, of all.
    before: u64,
    total: u64,
}

impl Parquet {
    /// Opens a file; returns its columns too, and what is worth to be told of them, each a sentence. Columns of bytes are looked through: only their values tell what they are.
    ///
    /// # Errors
    /// When it cannot be read, or is no parquet file.
    pub fn open(path: &Path) -> Result<(Self, Vec<Column>, Vec<String>), DataError> {
        let wrong = |cause: String| DataError::Table { path: path.to_path_buf(), cause };
        let refused = |cause| wrong(format!("it cannot be read ({cause})"));
        let file = || File::open(path).map_err(DataError::io("open", path));
        let first = file()?;
        let loaded = caught(|| ArrowReaderMetadata::load(&first, ArrowReaderOptions::new()));
        let loaded = loaded.map_err(|cause| wrong(format!("it is no parquet file ({cause})")))?;
        if let Some(packing) = packing(&loaded) {
            return Err(wrong(format!(
                "its columns are compressed with {packing}, which is not read; write it again with \
                 `compression=\"snappy\"`, as pandas, polars and pyarrow take it"
            )));
        }
        caught(|| check_pages(&first, loaded.metadata())).map_err(refused)?;
        let mut columns = caught(|| Ok(readings(&loaded))).map_err(refused)?;
        let schema = loaded.schema();
        for (column, (reading, field)) in columns.iter_mut().zip(schema.fields()).enumerate() {
            if reading.is_open(field) {
                let file = file()?;
                *reading = Reading::seen(field, caught(|| look(file, &loaded, column)).map_err(refused)?);
            }
        }
        let reader = caught(|| reader(first, &loaded, None)).map_err(refused)?;
        let listed = columns.iter().zip(schema.fields());
        let listed = listed.map(|(column, field)| Column {
            name: field.name().clone(),
            holds: column.holds(),
            numbers: column.numbers(field),
        });
        let listed = listed.collect();
        let notices = columns.iter().zip(schema.fields()).filter_map(|(column, field)| column.notice(field)).collect();
        let total = u64::try_from(loaded.metadata().file_metadata().num_rows()).unwrap_or(0);
        let path = path.to_path_buf();
        Ok((Self { path, loaded, reader, columns, batch: None, next: 0, before: 0, total }, listed, notices))
    }

    /// The row of this number, from 1, without those before it; `None` where there are fewer.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn row(&self, line: u64) -> Result<Option<Row>, DataError> {
        let wrong = |cause: String| DataError::Table {
            path: self.path.clone(),
            cause: format!("its row {line} cannot be read ({cause})"),
        };
        let Some(mut rest) = line.checked_sub(1) else { return Ok(None) };
        for (group, about) in self.loaded.metadata().row_groups().iter().enumerate() {
            let rows = u64::try_from(about.num_rows()).unwrap_or(0);
            if rest >= rows {
                rest -= rows;
                continue;
            }
            let file = File::open(&self.path).map_err(DataError::io("open", &self.path))?;
            let read = || {
                let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.loaded.clone());
                let offset = usize::try_from(rest).unwrap_or(usize::MAX);
                let batch = builder.with_row_groups(vec![group]).with_offset(offset).with_limit(1).build()?.next();
                let batch = batch.transpose()?.filter(|batch| batch.num_rows() > 0);
                Ok(batch.map(|batch| row(&self.columns, &batch, (0, line))))
            };
            return caught(read).map_err(wrong);
        }
        Ok(None)
    }

    /// The next row; its line is its number, from 1.
    ///
    /// # Errors
    /// When the file cannot be read on.
    pub fn next(&mut self) -> Result<Option<Row>, DataError> {
        let wrong = |cause: String| DataError::Table {
            path: self.path.clone(),
            cause: format!("it cannot be read on after row {} ({cause})", self.before),
        };
        while self.batch.as_ref().is_none_or(|batch| self.next == batch.num_rows()) {
            let batch = caught(|| Ok(self.reader.next().transpose()?)).map_err(wrong)?;
            let Some(batch) = batch else { return Ok(None) };
            (self.batch, self.next) = (Some(batch), 0);
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        let (place, line) = (self.next, self.before + 1);
        let row = caught(|| Ok(row(&self.columns, batch, (place, line)))).map_err(wrong)?;
        self.next += 1;
        self.before += 1;
        Ok(Some(row))
    }

    /// Share of the rows that were read.
    pub fn share(&self) -> f64 {
        self.before as f64 / self.total.max(1) as f64
    }
}

/// What `decode` returns, or why it fails; of a crafted file it may give up.
fn caught<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match held(decode) {
        None => Err("its contents contradict each other".into()),
        Some(decoded) => decoded.map_err(|error| error.to_string()),
    }
}

/// The first compression of a column that is not read; which are is a matter of the features of the `parquet` crate.
fn packing(loaded: &ArrowReaderMetadata) -> Option<String> {
    let mut columns = loaded.metadata().row_groups().iter().flat_map(|group| group.columns());
    let read = |packing: &Compression| matches!(packing, Compression::UNCOMPRESSED | Compression::SNAPPY);
    let other = columns.find_map(|column| Some(column.compression()).filter(|packing| !read(packing)))?;
    // With its level, which says nothing here: `ZSTD(ZstdLevel(1))`.
    Some(other.to_string().split('(').next().unwrap_or_default().to_string())
}

/// How each column is read, as far as its type and the metadata tell.
fn readings(loaded: &ArrowReaderMetadata) -> Vec<Reading> {
    let (schema, features) = (loaded.schema(), Features::of(loaded.schema()));
    let logical = loaded.parquet_schema().root_schema().get_fields();
    let fields = schema.fields().iter().enumerate();
    let reading = fields.map(|(place, field)| {
        let told = logical.get(place).and_then(|told| told.get_basic_info().logical_type_ref());
        let marked = field.metadata().get(EXTENSION.0).is_some_and(|name| name == EXTENSION.1);
        Reading::of(field, marked || told == Some(&LogicalType::Uuid), &features)
    });
    reading.collect()
}

/// A reader of all columns, or of one.
fn reader(
    file: File,
    loaded: &ArrowReaderMetadata,
    column: Option<usize>,
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, loaded.clone()).with_batch_size(HELD);
    match column {
        Some(column) => {
            let only = ProjectionMask::roots(builder.parquet_schema(), [column]);
            builder.with_projection(only).build()
        }
        None => builder.build(),
    }
}

/// What the values of a column of bytes look like: that of the first image, else what is the furthest from a text.
fn look(file: File, loaded: &ArrowReaderMetadata, column: usize) -> Result<Option<Sight>, ParquetError> {
    let mut seen = None;
    for batch in reader(file, loaded, Some(column))? {
        let batch = batch?;
        let Some(array) = batch.columns().first() else { break };
        let values = (0..array.len()).filter_map(|row| place(array, row));
        seen = seen.max(values.map(|(array, row)| sight(array, row)).max());
        if seen == Some(Sight::Image) {
            break;
        }
    }
    Ok(seen)
}

/// A row of a batch, which is a line of the file.
fn row(columns: &[Reading], batch: &RecordBatch, (place, line): (usize, u64)) -> Row {
    let mut row = Row { line, cells: Ok(vec![]), images: vec![], unread: vec![] };
    let mut cells = vec![];
    for (column, (reading, array)) in columns.iter().zip(batch.columns()).enumerate() {
        let mut taken = reading.take(array, place);
        if let Some((bytes, name)) = taken.image {
            row.images.push(InlineImage { column, bytes, named: name.is_some() });
            taken.cell = vec![name.unwrap_or_else(|| format!("row-{line}"))];
        }
        row.unread.extend(taken.unread.map(|cause| Unread { column, cause }));
        cells.push(taken.cell);
    }
    row.cells = Ok(cells);
    row
}

#[cfg(test)]
mod tests;
