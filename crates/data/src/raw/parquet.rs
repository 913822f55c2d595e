//! Rows of a parquet file, such as `datasets` (Hugging Face) writes: texts, numbers, lists of them, and images within.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::row::{Bad, Cell, Column, Holds, InlineImage, Row};
use crate::error::DataError;
use crate::guard::held;

/// Of a file on which the decoder gave up.
const CRAFTED: &str = "its contents contradict each other";

/// Rows that are held at once.
const HELD: usize = 16;

/// The rows of a parquet file.
pub struct Parquet {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    /// Within the batch.
    next: usize,
    /// Rows before, of all.
    before: u64,
    total: u64,
}

impl Parquet {
    /// Opens a file; returns its columns too.
    ///
    /// # Errors
    /// When it cannot be read, or is no parquet file.
    pub fn open(path: &Path) -> Result<(Self, Vec<Column>), DataError> {
        let wrong = |error: &dyn std::fmt::Display| DataError::Table {
            path: path.to_path_buf(),
            cause: format!("it is no parquet file ({error})"),
        };
        let file = File::open(path).map_err(DataError::io("open", path))?;
        let builder = held(|| ParquetRecordBatchReaderBuilder::try_new(file)).ok_or_else(|| wrong(&CRAFTED))?;
        let builder = builder.map_err(|error| wrong(&error))?;
        let columns = builder.schema().fields().iter().map(|field| column(field)).collect();
        let total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let reader = held(|| builder.with_batch_size(HELD).build()).ok_or_else(|| wrong(&CRAFTED))?;
        let reader = reader.map_err(|error| wrong(&error))?;
        Ok((Self { path: path.to_path_buf(), reader, batch: None, next: 0, before: 0, total }, columns))
    }

    /// The next row; its line is its number, from 1.
    ///
    /// # Errors
    /// When the file cannot be read on.
    pub fn next(&mut self) -> Result<Option<Row>, DataError> {
        while self.batch.as_ref().is_none_or(|batch| self.next == batch.num_rows()) {
            let wrong = |error: &dyn std::fmt::Display| DataError::Table {
                path: self.path.clone(),
                cause: format!("it cannot be read on after row {} ({error})", self.before),
            };
            let batch = held(|| self.reader.next()).ok_or_else(|| wrong(&CRAFTED))?;
            let Some(batch) = batch.transpose().map_err(|error| wrong(&error))? else { return Ok(None) };
            (self.batch, self.next) = (Some(batch), 0);
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        let (row, line) = (self.next, self.before + 1);
        self.next += 1;
        self.before += 1;
        let mut images = vec![];
        let schema = batch.schema();
        let columns = batch.columns().iter().zip(schema.fields()).enumerate();
        let cells = columns.map(|(column, (array, field))| {
            if let Some(found) = inline_image(array, row) {
                images.push(InlineImage { column, bytes: found.0, named: found.1.is_some() });
                return Ok(vec![found.1.unwrap_or_else(|| format!("row-{line}"))]);
            }
            cell(array, row).map_err(|kind| Bad {
                line,
                cause: format!("column `{}` is of type {kind}, which is not read; write it as text", field.name()),
            })
        });
        let cells = cells.collect::<Result<Vec<Cell>, Bad>>();
        Ok(Some(Row { line, cells, images, unread: vec![] }))
    }

    /// Share of the rows that were read.
    pub fn share(&self) -> f64 {
        self.before as f64 / self.total.max(1) as f64
    }
}

/// A column, as far as its type says what it holds.
fn column(field: &Field) -> Column {
    let is_image = matches!(field.data_type(), DataType::Struct(fields) if fields.find("bytes").is_some());
    Column { name: field.name().clone(), holds: if is_image { Holds::Images } else { Holds::Values } }
}

/// Bytes and path of an image as `datasets` stores it. `None` for anything else.
fn inline_image(array: &ArrayRef, row: usize) -> Option<(Vec<u8>, Option<String>)> {
    let image = array.as_struct_opt()?;
    let bytes = image.column_by_name("bytes")?;
    if image.is_null(row) || bytes.is_null(row) {
        return None;
    }
    let bytes = match bytes.data_type() {
        DataType::Binary => bytes.as_binary::<i32>().value(row).to_vec(),
        DataType::LargeBinary => bytes.as_binary::<i64>().value(row).to_vec(),
        _ => return None,
    };
    Some((bytes, image.column_by_name("path").and_then(|path| scalar(path, row).ok()?)))
}

/// A value as texts: none of a null, several of a list. The type, where it is another.
fn cell(array: &ArrayRef, row: usize) -> Result<Cell, String> {
    if array.is_null(row) {
        return Ok(vec![]);
    }
    let items = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        // An image that is not there.
        DataType::Struct(_) if array.as_struct().column_by_name("bytes").is_some() => return Ok(vec![]),
        _ => return Ok(scalar(array, row)?.into_iter().collect()),
    };
    (0..items.len()).filter_map(|item| scalar(&items, item).transpose()).collect()
}

fn scalar(array: &ArrayRef, row: usize) -> Result<Option<String>, String> {
    if array.is_null(row) {
        return Ok(None);
    }
    Ok(Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_string(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).to_string(),
        DataType::Utf8View => array.as_string_view().value(row).to_string(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).to_string(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).to_string(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).to_string(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).to_string(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string(),
        other => return Err(other.to_string()),
    }))
}
