//! The columns of a shard, and the conversion between records and columns.
//!
//! | column | type | note |
//! |---|---|---|
//! | `id`, `patient`, `source` | Utf8 | |
//! | `image` | `struct<bytes: Binary, path: Utf8>`, nullable | the feature `Image` of `datasets`, which loads other layouts as a dict |
//! | `texts`, `sections` | `list<Utf8>` | of equal length |
//! | `labels`, `fields` | `list<struct<name: Utf8, value: Utf8>>` | |
//! | `questions` | `list<struct<id, question, answer, category: Utf8, closed: Boolean>>` | |
//! | `sentences` | `struct<premise: Utf8, hypothesis: Utf8>`, nullable | |
//! | `marks` | `list<struct<kind: Utf8, start: UInt32, end: UInt32>>` | of the first text |
//!
//! The split is given by the file, as in `datasets`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, ListArray, RecordBatch, StringArray, StructArray, UInt32Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};

use crate::error::DataError;
use crate::record::{Label, Mark, Question, Record, RecordImage, Section, SentencePair, Split};

/// The metadata entry that tells `datasets` that the column `image` contains images.
const HUGGINGFACE: (&str, &str) = ("huggingface", r#"{"info":{"features":{"image":{"_type":"Image"}}}}"#);

fn string_fields(names: &[&str]) -> Fields {
    names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect()
}

fn image_fields() -> Fields {
    Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

fn label_fields() -> Fields {
    string_fields(&["name", "value"])
}

fn question_fields() -> Fields {
    let closed = Arc::new(Field::new("closed", DataType::Boolean, true));
    string_fields(&["id", "question", "answer", "category"]).iter().cloned().chain([closed]).collect()
}

fn sentence_fields() -> Fields {
    string_fields(&["premise", "hypothesis"])
}

fn mark_fields() -> Fields {
    let number = |name: &str| Arc::new(Field::new(name, DataType::UInt32, true));
    string_fields(&["kind"]).iter().cloned().chain([number("start"), number("end")]).collect()
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// The type of a column of labels.
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
        Field::new("sections", list(DataType::Utf8), false),
        Field::new("labels", label_list(), false),
        Field::new("questions", list(DataType::Struct(question_fields())), false),
        Field::new("sentences", DataType::Struct(sentence_fields()), true),
        Field::new("marks", list(DataType::Struct(mark_fields())), false),
        Field::new("fields", label_list(), false),
        Field::new("source", DataType::Utf8, false),
    ];
    // The entry is in the arrow schema and not in parquet's own metadata: if there is an arrow schema, pyarrow uses only its
    // metadata.
    let (key, value) = HUGGINGFACE;
    Schema::new_with_metadata(fields, HashMap::from([(key.to_string(), value.to_string())]))
}

/// Refuses a file whose columns differ from [`schema`]; the error names the first column that differs.
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

/// Converts records to one batch of columns.
pub fn to_batch(records: &[Record]) -> Result<RecordBatch, ArrowError> {
    let column = |of: fn(&Record) -> &str| strings(records.iter().map(of));
    let sections = |record: &Record| {
        let padded = record.sections.iter().copied().chain(std::iter::repeat(Section::Text));
        padded.take(record.texts.len()).map(Section::name).collect::<Vec<_>>()
    };
    RecordBatch::try_new(
        Arc::new(schema()),
        vec![
            column(|record| &record.id),
            column(|record| &record.patient),
            images(records),
            lists(records.iter().map(|record| record.texts.as_slice()), |texts| {
                strings(texts.iter().map(|text| &***text))
            }),
            lists(records.iter().map(sections).collect::<Vec<_>>().iter().map(Vec::as_slice), |all| {
                strings(all.iter().map(|section| **section))
            }),
            labels(records.iter().map(|record| record.labels.as_slice())),
            questions(records),
            sentences(records),
            marks(records),
            labels(records.iter().map(|record| record.fields.as_slice())),
            column(|record| &record.source),
        ],
    )
}

fn strings<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// A list column: `column` converts the items of all rows, one after another, and offsets mark where each row ends.
fn lists<'a, T: 'a>(rows: impl Iterator<Item = &'a [T]>, column: impl FnOnce(&[&'a T]) -> ArrayRef) -> ArrayRef {
    let (mut items, mut lengths) = (vec![], vec![]);
    for row in rows {
        lengths.push(row.len());
        items.extend(row);
    }
    let values = column(&items);
    let item = Arc::new(Field::new("item", values.data_type().clone(), true));
    Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(lengths), values, None))
}

fn images(records: &[Record]) -> ArrayRef {
    let of = |record: &Record| record.image.is_some();
    let bytes = records.iter().map(|record| record.image.as_ref().map(|image| image.bytes.as_slice()));
    let paths = records.iter().map(|record| record.image.as_ref()?.path.as_deref());
    let columns: Vec<ArrayRef> =
        vec![Arc::new(bytes.collect::<BinaryArray>()), Arc::new(paths.collect::<StringArray>())];
    Arc::new(StructArray::new(image_fields(), columns, Some(records.iter().map(of).collect::<NullBuffer>())))
}

/// A column of labels, one list per row.
pub fn labels<'a>(rows: impl Iterator<Item = &'a [Label]>) -> ArrayRef {
    lists(rows, |all| {
        let columns = vec![
            strings(all.iter().map(|label| label.name.as_str())),
            strings(all.iter().map(|label| label.value.as_str())),
        ];
        Arc::new(StructArray::new(label_fields(), columns, None))
    })
}

fn questions(records: &[Record]) -> ArrayRef {
    lists(records.iter().map(|record| record.questions.as_slice()), |all| {
        let column = |of: fn(&Question) -> &str| strings(all.iter().map(|question| of(question)));
        let closed = all.iter().map(|question| Some(question.closed)).collect::<BooleanArray>();
        let columns = vec![
            column(|question| &question.id),
            column(|question| &question.question),
            column(|question| &question.answer),
            column(|question| &question.category),
            Arc::new(closed),
        ];
        Arc::new(StructArray::new(question_fields(), columns, None))
    })
}

fn sentences(records: &[Record]) -> ArrayRef {
    let column = |of: fn(&SentencePair) -> &str| -> ArrayRef {
        let values = records.iter().map(|record| record.sentences.as_ref().map(of));
        Arc::new(values.collect::<StringArray>())
    };
    let present = records.iter().map(|record| record.sentences.is_some()).collect::<NullBuffer>();
    let columns = vec![column(|pair| &pair.premise), column(|pair| &pair.hypothesis)];
    Arc::new(StructArray::new(sentence_fields(), columns, Some(present)))
}

fn marks(records: &[Record]) -> ArrayRef {
    lists(records.iter().map(|record| record.marks.as_slice()), |all| {
        let number = |of: fn(&Mark) -> u32| -> ArrayRef {
            Arc::new(UInt32Array::from_iter_values(all.iter().map(|mark| of(mark))))
        };
        let kinds = strings(all.iter().map(|mark| mark.kind.as_str()));
        let columns = vec![kinds, number(|mark| mark.start), number(|mark| mark.end)];
        Arc::new(StructArray::new(mark_fields(), columns, None))
    })
}

/// Converts one row of a batch to a record. `None` when a column does not have the type of [`schema`].
pub fn to_record(batch: &RecordBatch, row: usize, split: Split) -> Option<Record> {
    let word = |name: &str| Some(as_strings(batch.column_by_name(name)?)?.value(row).to_string());
    let list = |name: &str| list_at(batch, name, row);
    let sections = to_strings(&list("sections")?)?.iter().map(|word| Section::of(word)).collect::<Option<Vec<_>>>()?;
    let known = sections.iter().rposition(|section| *section != Section::Text).map_or(0, |last| last + 1);
    let sections = sections.into_iter().take(known).collect();
    Some(Record {
        id: word("id")?,
        patient: word("patient")?,
        image: image_of(batch, row)?,
        texts: to_strings(&list("texts")?)?,
        sections,
        target: None,
        labels: to_labels(&list("labels")?)?,
        questions: questions_of(&list("questions")?)?,
        sentences: sentences_of(batch, row)?,
        marks: marks_of(&list("marks")?)?,
        fields: to_labels(&list("fields")?)?,
        split,
        source: word("source")?,
    })
}

/// The image of a row. The inner `None`: there is no image, or its column was not read. The outer `None`: the column has a
/// wrong type.
fn image_of(batch: &RecordBatch, row: usize) -> Option<Option<RecordImage>> {
    let Some(image) = batch.column_by_name("image") else { return Some(None) };
    let image = as_struct(image)?;
    let bytes = image.column_by_name("bytes")?.as_any().downcast_ref::<BinaryArray>()?;
    let path = as_strings(image.column_by_name("path")?)?;
    let present = image.is_valid(row) && bytes.is_valid(row);
    Some(present.then(|| RecordImage {
        bytes: bytes.value(row).to_vec(),
        path: path.is_valid(row).then(|| path.value(row).to_string()),
    }))
}

/// The labels of one row. `None` when the column does not have the type of [`label_list`].
pub fn to_labels(row: &ArrayRef) -> Option<Vec<Label>> {
    let [names, values] = string_columns(row, ["name", "value"])?;
    Some(names.into_iter().zip(values).map(|(name, value)| Label { name, value }).collect())
}

fn questions_of(row: &ArrayRef) -> Option<Vec<Question>> {
    let [ids, questions, answers, categories] = string_columns(row, ["id", "question", "answer", "category"])?;
    let closed = as_struct(row)?.column_by_name("closed")?.as_any().downcast_ref::<BooleanArray>()?;
    let strings = ids.into_iter().zip(questions).zip(answers.into_iter().zip(categories));
    let all = strings.zip(closed).map(|(((id, question), (answer, category)), closed)| Question {
        id,
        question,
        answer,
        closed: closed.unwrap_or_default(),
        category,
    });
    Some(all.collect())
}

fn sentences_of(batch: &RecordBatch, row: usize) -> Option<Option<SentencePair>> {
    let pairs = as_struct(batch.column_by_name("sentences")?)?;
    let word = |name: &str| Some(as_strings(pairs.column_by_name(name)?)?.value(row).to_string());
    match pairs.is_valid(row) {
        true => Some(Some(SentencePair { premise: word("premise")?, hypothesis: word("hypothesis")? })),
        false => Some(None),
    }
}

fn marks_of(row: &ArrayRef) -> Option<Vec<Mark>> {
    let [kinds] = string_columns(row, ["kind"])?;
    let marks = as_struct(row)?;
    let numbers = |name: &str| marks.column_by_name(name)?.as_any().downcast_ref::<UInt32Array>();
    let (starts, ends) = (numbers("start")?, numbers("end")?);
    let places = starts.values().iter().zip(ends.values());
    Some(kinds.into_iter().zip(places).map(|(kind, (&start, &end))| Mark { kind, start, end }).collect())
}

/// The string columns with these names, from a list of structs.
fn string_columns<const N: usize>(row: &ArrayRef, names: [&str; N]) -> Option<[Vec<String>; N]> {
    let columns = as_struct(row)?;
    let column = |name: &str| to_strings(columns.column_by_name(name)?);
    let all: Option<Vec<_>> = names.into_iter().map(column).collect();
    all?.try_into().ok()
}

fn as_struct(array: &ArrayRef) -> Option<&StructArray> {
    array.as_any().downcast_ref()
}

fn as_strings(array: &ArrayRef) -> Option<&StringArray> {
    array.as_any().downcast_ref()
}

fn to_strings(array: &ArrayRef) -> Option<Vec<String>> {
    Some(as_strings(array)?.iter().map(|word| word.unwrap_or_default().to_string()).collect())
}

fn list_at(batch: &RecordBatch, column: &str, row: usize) -> Option<ArrayRef> {
    Some(batch.column_by_name(column)?.as_any().downcast_ref::<ListArray>()?.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::record;

    #[test]
    fn records_are_the_same_after_conversion_to_columns_and_back() {
        let mut records = vec![record("a"), record("b"), record("c")];
        records[0].image = None;
        records[1].texts.clear();
        records[1].labels = vec![
            Label { name: "finding".into(), value: "effusion".into() },
            Label { name: "side".into(), value: String::new() },
        ];
        records[2].image = Some(RecordImage { bytes: vec![], path: None });
        records[2].sections = vec![Section::Findings];
        records[2].questions = vec![
            Question {
                id: "q1".into(),
                question: "Is it?".into(),
                answer: "no".into(),
                closed: true,
                category: "organ".into(),
            },
            Question { question: "Where?".into(), ..Question::default() },
        ];
        records[0].sentences = Some(SentencePair { premise: "A.".into(), hypothesis: "B.".into() });
        records[1].marks = vec![Mark { kind: "GENE".into(), start: 3, end: 7 }];
        records[1].fields = vec![Label::new("age", "70")];
        let batch = to_batch(&records).unwrap();
        for (row, record) in records.iter().enumerate() {
            assert_eq!(to_record(&batch, row, record.split).as_ref(), Some(record));
        }
    }

    #[test]
    fn a_column_that_differs_is_named() {
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
