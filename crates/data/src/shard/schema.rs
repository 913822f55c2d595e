//! The columns of a shard, to and from records.
//!
//! | column | type | note |
//! |---|---|---|
//! | `id`, `patient`, `source` | Utf8 | |
//! | `image` | `struct<bytes: Binary, path: Utf8>`, nullable | what `datasets` calls `Image`; other layouts load as a dict there |
//! | `texts` | `list<Utf8>` | |
//! | `labels` | `list<struct<name: Utf8, value: Utf8>>` | |
//!
//! The split is the file's, as `datasets` has it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, ListBuilder, StringBuilder, StructBuilder};
use arrow_array::{Array, ArrayRef, BinaryArray, ListArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};

use crate::error::DataError;
use crate::record::{Label, Record, RecordImage, Split};

/// The metadata entry by which `datasets` knows that `image` holds images.
const HUGGINGFACE: (&str, &str) = ("huggingface", r#"{"info":{"features":{"image":{"_type":"Image"}}}}"#);

fn image_fields() -> Fields {
    Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

fn label_fields() -> Fields {
    Fields::from(vec![Field::new("name", DataType::Utf8, true), Field::new("value", DataType::Utf8, true)])
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// Type of a column of labels.
pub fn label_list() -> DataType {
    list(DataType::Struct(label_fields()))
}

/// The schema of every shard.
pub fn schema() -> Schema {
    let fields = vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("patient", DataType::Utf8, false),
        Field::new("image", DataType::Struct(image_fields()), true),
        Field::new("texts", list(DataType::Utf8), false),
        Field::new("labels", label_list(), false),
        Field::new("source", DataType::Utf8, false),
    ];
    // Not in parquet's own metadata: pyarrow takes that of the arrow schema alone, where there is one.
    let (key, value) = HUGGINGFACE;
    Schema::new_with_metadata(fields, HashMap::from([(key.to_string(), value.to_string())]))
}

/// Refuses a file whose columns are not ours, naming the first that differs.
pub fn check(found: &Schema, path: &Path) -> Result<(), DataError> {
    let differs = |column: &str, found: String, wanted: String| DataError::Schema {
        path: path.to_path_buf(),
        column: column.to_string(),
        found,
        wanted,
    };
    for wanted in schema().fields() {
        match found.field_with_name(wanted.name()) {
            Err(_) => return Err(differs(wanted.name(), "absent".into(), wanted.data_type().to_string())),
            Ok(field) if field.data_type() != wanted.data_type() => {
                return Err(differs(wanted.name(), field.data_type().to_string(), wanted.data_type().to_string()));
            }
            Ok(_) => {}
        }
    }
    match found.fields().iter().find(|field| schema().field_with_name(field.name()).is_err()) {
        Some(field) => Err(differs(field.name(), field.data_type().to_string(), "expected at all".into())),
        None => Ok(()),
    }
}

/// Records as one batch of columns.
pub fn to_batch(records: &[Record]) -> Result<RecordBatch, ArrowError> {
    let column =
        |of: fn(&Record) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(records.iter().map(of))) };
    RecordBatch::try_new(
        Arc::new(schema()),
        vec![
            column(|record| &record.id),
            column(|record| &record.patient),
            images(records),
            texts(records),
            labels(records.iter().map(|record| record.labels.as_slice())),
            column(|record| &record.source),
        ],
    )
}

fn images(records: &[Record]) -> ArrayRef {
    let (mut bytes, mut paths) = (BinaryBuilder::new(), StringBuilder::new());
    for record in records {
        bytes.append_option(record.image.as_ref().map(|image| &image.bytes));
        paths.append_option(record.image.as_ref().and_then(|image| image.path.as_ref()));
    }
    let present: NullBuffer = records.iter().map(|record| record.image.is_some()).collect::<Vec<bool>>().into();
    Arc::new(StructArray::new(image_fields(), vec![Arc::new(bytes.finish()), Arc::new(paths.finish())], Some(present)))
}

fn texts(records: &[Record]) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for record in records {
        record.texts.iter().for_each(|text| builder.values().append_value(text));
        builder.append(true);
    }
    Arc::new(builder.finish())
}

/// A column of labels, a list a row.
pub fn labels<'a>(rows: impl Iterator<Item = &'a [Label]>) -> ArrayRef {
    let columns: Vec<Box<dyn arrow_array::builder::ArrayBuilder>> =
        vec![Box::new(StringBuilder::new()), Box::new(StringBuilder::new())];
    let mut builder = ListBuilder::new(StructBuilder::new(label_fields(), columns));
    for row in rows {
        for label in row {
            for (place, word) in [&label.name, &label.value].into_iter().enumerate() {
                if let Some(column) = builder.values().field_builder::<StringBuilder>(place) {
                    column.append_value(word);
                }
            }
            builder.values().append(true);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

/// One row of a batch as a record. `None` when a column is not of [`schema`]'s type.
pub fn to_record(batch: &RecordBatch, row: usize, split: Split) -> Option<Record> {
    let word = |name: &str| Some(strings(batch.column_by_name(name)?)?.value(row).to_string());
    let image = batch.column_by_name("image")?.as_any().downcast_ref::<StructArray>()?;
    let bytes = image.column_by_name("bytes")?.as_any().downcast_ref::<BinaryArray>()?;
    let path = strings(image.column_by_name("path")?)?;
    let image = (image.is_valid(row) && bytes.is_valid(row)).then(|| RecordImage {
        bytes: bytes.value(row).to_vec(),
        path: path.is_valid(row).then(|| path.value(row).to_string()),
    });
    let texts = items(batch, "texts", row)?;
    let texts = strings(&texts)?.iter().flatten().map(str::to_string).collect();
    let labels = to_labels(&items(batch, "labels", row)?)?;
    Some(Record { id: word("id")?, patient: word("patient")?, image, texts, labels, split, source: word("source")? })
}

/// The labels of one row. `None` when they are not of [`label_list`]'s type.
pub fn to_labels(row: &ArrayRef) -> Option<Vec<Label>> {
    let labels = row.as_any().downcast_ref::<StructArray>()?;
    let (names, values) = (strings(labels.column_by_name("name")?)?, strings(labels.column_by_name("value")?)?);
    let pairs = names.iter().zip(values);
    Some(pairs.filter_map(|(name, value)| Some(Label { name: name?.into(), value: value?.into() })).collect())
}

fn strings(array: &ArrayRef) -> Option<&StringArray> {
    array.as_any().downcast_ref()
}

fn items(batch: &RecordBatch, column: &str, row: usize) -> Option<ArrayRef> {
    Some(batch.column_by_name(column)?.as_any().downcast_ref::<ListArray>()?.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::record;

    #[test]
    fn records_survive_the_columns() {
        let mut records = vec![record("a"), record("b"), record("c")];
        records[0].image = None;
        records[1].texts.clear();
        records[1].labels = vec![
            Label { name: "finding".into(), value: "effusion".into() },
            Label { name: "side".into(), value: String::new() },
        ];
        records[2].image = Some(RecordImage { bytes: vec![], path: None });
        let batch = to_batch(&records).unwrap();
        for (row, record) in records.iter().enumerate() {
            assert_eq!(to_record(&batch, row, record.split).as_ref(), Some(record));
        }
    }

    #[test]
    fn a_foreign_column_is_named() {
        let path = Path::new("x.parquet");
        check(&schema(), path).unwrap();
        let mut fields: Vec<_> = schema().fields().iter().cloned().collect();
        fields[2] = Arc::new(Field::new("image", DataType::Binary, true));
        let error = check(&Schema::new(fields.clone()), path).unwrap_err().to_string();
        assert!(error.contains("`x.parquet`") && error.contains("`image` is Binary, not Struct"), "{error}");
        fields.remove(2);
        let error = check(&Schema::new(fields), path).unwrap_err().to_string();
        assert!(error.contains("`image` is absent"), "{error}");
        let mut fields: Vec<_> = schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("extra", DataType::Utf8, true)));
        let error = check(&Schema::new(fields), path).unwrap_err().to_string();
        assert!(error.contains("`extra` is Utf8, not expected"), "{error}");
    }
}
