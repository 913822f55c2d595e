//! Protection against manipulated parquet files, because the parquet crate does not check all bytes itself.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parquet::column::page::PageReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

/// The number of values that a column of a row group may always have, also in few bytes: repeated values use nearly no bytes.
const VALUES: usize = 1 << 24;

/// The number of further values that each byte of the column allows.
const VALUES_A_BYTE: usize = 1 << 10;

/// Calls `decode` and returns its result; `None` if it panicked.
///
/// The parquet crate has assertions that fail on a manipulated file (found by the fuzz target `shard`). After a panic,
/// nothing that `decode` worked on is used.
pub fn catch_panic<T>(decode: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(decode)).ok()
}

/// Refuses a parquet file whose pages claim more values than a file of this size can reasonably have. A few bytes can claim
/// billions of values, and reading them would take hours. Only the headers of the pages are read.
///
/// # Errors
/// When a column claims too many values, or when a header cannot be read.
pub fn check_pages(file: &File, metadata: &ParquetMetaData) -> Result<(), ParquetError> {
    let file = Arc::new(file.try_clone()?);
    for group in metadata.row_groups() {
        let rows = usize::try_from(group.num_rows()).unwrap_or(usize::MAX);
        for column in group.columns() {
            let (_, bytes) = column.byte_range();
            let most =
                VALUES.saturating_add(VALUES_A_BYTE.saturating_mul(usize::try_from(bytes).unwrap_or(usize::MAX)));
            let mut pages = SerializedPageReader::new(Arc::clone(&file), column, rows, None)?;
            let mut values = 0usize;
            while let Some(page) = pages.peek_next_page()? {
                values = values.saturating_add(page.num_levels.or(page.num_rows).unwrap_or(0));
                if values > most {
                    let cause = format!(
                        "column `{}` claims more than {most} values in {bytes} bytes",
                        column.column_path().string()
                    );
                    return Err(ParquetError::General(cause));
                }
                pages.skip_next_page()?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{ArrayRef, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ArrowReaderMetadata;

    use super::*;

    /// Checks a file with one row: a list of so many null values, which use only a few bytes.
    fn row_of(values: usize) -> Result<(), String> {
        let mut list = ListBuilder::new(StringBuilder::new());
        (0..values).for_each(|_| list.values().append_null());
        list.append(true);
        let batch = RecordBatch::try_from_iter([("texts", Arc::new(list.finish()) as ArrayRef)]).unwrap();
        let file = tempfile::tempfile().unwrap();
        let mut writer = ArrowWriter::try_new(file.try_clone().unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let metadata = ArrowReaderMetadata::load(&file, Default::default()).unwrap();
        check_pages(&file, metadata.metadata()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_few_bytes_cannot_claim_millions_of_values() {
        assert_eq!(row_of(1000), Ok(()));
        let refused = row_of(VALUES + (1 << 22)).unwrap_err();
        assert!(refused.contains("column `texts.list.item` claims more than"), "{refused}");
    }
}
