//! Vectors in parquet files. Row groups have a fixed number of rows, so equal rows give equal bytes, however they were added.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, ListArray, RecordBatch, StringArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::{Modality, VectorRow, VectorsHeader};
use crate::error::DataError;
use crate::guard::{catch_panic, check_pages};
use crate::picture::PictureLocation;
use crate::record::Split;
use crate::shard::schema as shard;

/// The number of rows of a row group. The writer keeps one group in memory.
const GROUP_ROWS: usize = 4096;

/// The key of the header in the metadata of the schema.
const HEADER: &str = "ptunifier";

/// Columns that are missing in files of older versions.
const FIELDS: &str = "fields";
const PATH: &str = "path";
const ROW: &str = "row";

/// The column that says what a vector was computed from.
const MODALITY: &str = "modality";

/// The name of this column in files of earlier versions.
const EARLIER_MODALITY: &str = "half";

/// The longest vector that is read.
const WIDTH_LIMIT: usize = 1 << 20;

/// The cause of the error for a file on which the parquet decoder panicked.
const DAMAGED: &str = "it is damaged; copy it again, or embed again";

fn schema(header: &VectorsHeader) -> Result<Schema, serde_json::Error> {
    let word = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let fields = vec![
        word("id", false),
        word(MODALITY, false),
        word("patient", false),
        word("source", false),
        word("split", true),
        Field::new("labels", shard::label_list(), false),
        Field::new(FIELDS, shard::label_list(), false),
        word("text", true),
        word("file", true),
        Field::new("record", DataType::UInt64, true),
        word(PATH, true),
        Field::new(ROW, DataType::UInt64, true),
        Field::new("vector", vector_type(header.width), false),
    ];
    Ok(Schema::new_with_metadata(fields, HashMap::from([(HEADER.into(), serde_json::to_string(header)?)])))
}

fn vector_type(width: usize) -> DataType {
    DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Float32, true)), width as i32)
}

/// A writer of rows of vectors, which needs constant memory.
pub struct VectorWriter {
    path: PathBuf,
    schema: Arc<Schema>,
    width: usize,
    writer: ArrowWriter<BufWriter<File>>,
    buffered: Vec<VectorRow>,
    rows: u64,
}

impl VectorWriter {
    /// Starts a file; an existing file is replaced.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path, header: &VectorsHeader) -> Result<Self, DataError> {
        let file = File::create(path).map_err(DataError::io("create", path))?;
        let other = |error: String| DataError::io("write", path)(io::Error::other(error));
        let schema = Arc::new(schema(header).map_err(|error| other(error.to_string()))?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_column_dictionary_enabled("vector.list.item".into(), false)
            .build();
        let writer = ArrowWriter::try_new(BufWriter::new(file), Arc::clone(&schema), Some(properties))
            .map_err(|error| other(error.to_string()))?;
        Ok(Self { path: path.into(), schema, width: header.width, writer, buffered: vec![], rows: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the file cannot be written.
    ///
    /// # Panics
    /// If the width of its vector differs from the header.
    pub fn write(&mut self, row: VectorRow) -> Result<(), DataError> {
        assert_eq!(row.vector.len(), self.width, "a vector has the width of its file");
        self.buffered.push(row);
        self.rows += 1;
        if self.buffered.len() == GROUP_ROWS { self.flush() } else { Ok(()) }
    }

    /// The number of rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Finishes the file and syncs it to the disk; `notes` are stored in its metadata (see [`VectorReader::note`]).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self, notes: &[(&str, String)]) -> Result<(), DataError> {
        if !self.buffered.is_empty() {
            self.flush()?;
        }
        for (key, value) in notes {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_string(), value.clone()));
        }
        let path = self.path;
        let other = |error: parquet::errors::ParquetError| DataError::io("write", &path)(io::Error::other(error));
        let mut file = self.writer.into_inner().map_err(other)?;
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(DataError::io("write", &path))
    }

    fn flush(&mut self) -> Result<(), DataError> {
        let rows = std::mem::take(&mut self.buffered);
        let batch = to_batch(&self.schema, &rows, self.width);
        let written = batch.map_err(parquet::errors::ParquetError::from).and_then(|batch| {
            self.writer.write(&batch)?;
            self.writer.flush()
        });
        written.map_err(|error| DataError::io("write", &self.path)(io::Error::other(error)))
    }
}

fn to_batch(schema: &Arc<Schema>, rows: &[VectorRow], width: usize) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let words = |of: &dyn Fn(&VectorRow) -> Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(rows.iter().map(of)))
    };
    let file = |row: &VectorRow| {
        row.picture.as_ref().map(|picture| match picture {
            PictureLocation::File(path) => path.to_string_lossy().into_owned(),
            PictureLocation::Shards { folder, .. } => folder.to_string_lossy().into_owned(),
            PictureLocation::Table { table, .. } => table.to_string_lossy().into_owned(),
        })
    };
    let table_row = |row: &VectorRow| match row.picture {
        Some(PictureLocation::Table { row, .. }) => Some(row),
        _ => None,
    };
    let record = |row: &VectorRow| match row.picture {
        Some(PictureLocation::Shards { record, .. }) => Some(record),
        _ => None,
    };
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        rows.iter().map(|row| Some(row.vector.iter().map(|value| Some(*value)))),
        width as i32,
    );
    RecordBatch::try_new(
        Arc::clone(schema),
        vec![
            words(&|row| Some(row.id.clone())),
            words(&|row| Some(row.modality.name().into())),
            words(&|row| Some(row.patient.clone())),
            words(&|row| Some(row.source.clone())),
            words(&|row| row.split.map(|split| split.name().into())),
            shard::labels(rows.iter().map(|row| row.labels.as_slice())),
            shard::labels(rows.iter().map(|row| row.fields.as_slice())),
            words(&|row| row.text.clone()),
            words(&file),
            Arc::new(UInt64Array::from_iter(rows.iter().map(record))),
            words(&|row| row.path.clone()),
            Arc::new(UInt64Array::from_iter(rows.iter().map(table_row))),
            Arc::new(vectors),
        ],
    )
}

/// A reader of rows of vectors, group by group.
pub struct VectorReader {
    path: PathBuf,
    header: VectorsHeader,
    notes: Vec<KeyValue>,
    rows: u64,
    reader: ParquetRecordBatchReader,
}

impl VectorReader {
    /// Opens a file of vectors.
    ///
    /// # Errors
    /// When it cannot be read, is not a parquet file, or was not written by `embed`.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let wrong = |cause: String| DataError::Vectors { path: path.into(), cause };
        let file = File::open(path).map_err(DataError::io("open", path))?;
        let pages = file.try_clone().map_err(DataError::io("open", path))?;
        let builder =
            catch_panic(|| ParquetRecordBatchReaderBuilder::try_new(file)).ok_or_else(|| wrong(DAMAGED.into()))?;
        let builder = builder
            .map_err(|error| wrong(format!("it is not a parquet file ({error}); name one that `embed` wrote")))?;
        let pages = catch_panic(|| check_pages(&pages, builder.metadata())).ok_or_else(|| wrong(DAMAGED.into()))?;
        pages.map_err(|error| wrong(format!("its pages cannot be read ({error}); copy it again, or embed again")))?;
        let header = builder.schema().metadata().get(HEADER);
        let header = header.ok_or_else(|| wrong("it has no vectors written by `ptunifier embed`".into()))?;
        let header: VectorsHeader =
            serde_json::from_str(header).map_err(|error| wrong(format!("its header cannot be read ({error})")))?;
        if header.width == 0 || header.width > WIDTH_LIMIT {
            return Err(wrong(format!("its vectors have {} elements; 1 to {WIDTH_LIMIT} are allowed", header.width)));
        }
        let expected = schema(&header).map_err(|error| wrong(error.to_string()))?;
        let may_lack = |name: &str| [FIELDS, PATH, ROW].contains(&name) && builder.schema().index_of(name).is_err();
        for field in expected.fields().iter().filter(|field| !may_lack(field.name())) {
            let named = |name: &str| builder.schema().field_with_name(name).map(|found| found.data_type().clone());
            let found = match named(field.name()) {
                Err(_) if field.name() == MODALITY => named(EARLIER_MODALITY),
                found => found,
            };
            if found.as_ref().ok() != Some(field.data_type()) {
                let found = found.map_or("absent".into(), |found| found.to_string());
                return Err(wrong(format!("column `{}` is {found}, not {}", field.name(), field.data_type())));
            }
        }
        let metadata = builder.metadata().file_metadata();
        let notes = metadata.key_value_metadata().cloned().unwrap_or_default();
        let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
        let reader = builder.with_batch_size(GROUP_ROWS).build().map_err(|error| wrong(error.to_string()))?;
        Ok(Self { path: path.into(), header, notes, rows, reader })
    }

    /// The header of the file.
    pub fn header(&self) -> &VectorsHeader {
        &self.header
    }

    /// The number of rows in the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The note that was stored under this key when the file was written.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.notes.iter().find(|note| note.key == key)?.value.as_deref()
    }
}

impl Iterator for VectorReader {
    type Item = Result<Vec<VectorRow>, DataError>;

    /// The next rows, some thousands at a time.
    fn next(&mut self) -> Option<Self::Item> {
        let wrong = |cause: String| DataError::Vectors { path: self.path.clone(), cause };
        let batch = match catch_panic(|| self.reader.next()) {
            Some(Some(Ok(batch))) => batch,
            Some(None) => return None,
            Some(Some(Err(error))) => {
                return Some(Err(wrong(format!("it is damaged ({error}); copy it again, or embed again"))));
            }
            None => return Some(Err(wrong(DAMAGED.into()))),
        };
        Some(to_rows(&batch).ok_or_else(|| wrong("a row has missing or invalid values; embed again".into())))
    }
}

/// Converts a batch to rows. `None` if a column does not have the type of the schema, or if a required value is missing.
fn to_rows(batch: &RecordBatch) -> Option<Vec<VectorRow>> {
    let column = |name: &str| batch.column_by_name(name);
    let words = |name: &str| column(name)?.as_any().downcast_ref::<StringArray>();
    let (ids, patients, sources) = (words("id")?, words("patient")?, words("source")?);
    let modalities = words(MODALITY).or_else(|| words(EARLIER_MODALITY))?;
    let (splits, texts, files) = (words("split")?, words("text")?, words("file")?);
    let labels = column("labels")?.as_any().downcast_ref::<ListArray>()?;
    let fields = column(FIELDS).map(|fields| fields.as_any().downcast_ref::<ListArray>());
    let paths = words(PATH);
    let numbers = |name: &str| column(name)?.as_any().downcast_ref::<UInt64Array>();
    let (records, table_rows) = (numbers("record")?, numbers(ROW));
    let vectors = column("vector")?.as_any().downcast_ref::<FixedSizeListArray>()?;
    let word = |array: &StringArray, row: usize| array.is_valid(row).then(|| array.value(row).to_string());
    let rows = (0..batch.num_rows()).map(|row| {
        let split = match word(splits, row) {
            Some(split) => Some(split.parse::<Split>().ok()?),
            None => None,
        };
        let picture = match (word(files, row), records.is_valid(row), split) {
            (Some(folder), true, Some(split)) => {
                Some(PictureLocation::Shards { folder: folder.into(), split, record: records.value(row) })
            }
            (Some(path), false, _) => match table_rows.filter(|rows| rows.is_valid(row)) {
                Some(rows) => Some(PictureLocation::Table { table: path.into(), row: rows.value(row) }),
                None => Some(PictureLocation::File(path.into())),
            },
            _ => None,
        };
        let vector = vectors.is_valid(row).then(|| vectors.value(row))?;
        let vector = vector.as_any().downcast_ref::<Float32Array>()?.values().to_vec();
        Some(VectorRow {
            id: word(ids, row)?,
            modality: Modality::parse(modalities.value(row))?,
            patient: word(patients, row)?,
            source: word(sources, row)?,
            split,
            labels: shard::to_labels(&labels.value(row))?,
            fields: match fields {
                Some(fields) => shard::to_labels(&fields?.value(row))?,
                None => vec![],
            },
            text: word(texts, row),
            picture,
            path: paths.and_then(|paths| word(paths, row)),
            vector,
        })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Label;
    use crate::vectors::Space;

    fn header() -> VectorsHeader {
        VectorsHeader { model: "ab".into(), space: Space::Contrast, width: 2, inputs: "cd".into(), version: "0".into() }
    }

    fn rows() -> Vec<VectorRow> {
        let label = |value: &str| Label { name: "finding".into(), value: value.into() };
        let row = |id: &str, modality, picture, text: Option<&str>| VectorRow {
            id: id.into(),
            modality,
            patient: format!("p{id}"),
            source: "s".into(),
            split: matches!(picture, Some(PictureLocation::Shards { .. })).then_some(Split::Test),
            labels: vec![label("effusion"), label("mass")],
            fields: vec![Label::new("age", "61")],
            path: text.map(|_| "x.png".into()),
            text: text.map(str::to_string),
            picture,
            vector: vec![0.6, f32::NAN],
        };
        let shards = PictureLocation::Shards { folder: "data/x".into(), split: Split::Test, record: 7 };
        vec![
            row("a", Modality::Image, Some(PictureLocation::File("x.png".into())), None),
            row("b", Modality::Pair, Some(shards), Some("Clear lungs.")),
            row("c", Modality::Text, None, Some("")),
            row("d", Modality::Image, Some(PictureLocation::Table { table: "t.parquet".into(), row: 3 }), None),
        ]
    }

    #[test]
    fn rows_and_notes_are_read_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        let mut writer = VectorWriter::create(&path, &header()).unwrap();
        let written: Vec<VectorRow> = (0..GROUP_ROWS).flat_map(|_| rows()).collect();
        written.iter().for_each(|row| writer.write(row.clone()).unwrap());
        assert_eq!(writer.rows(), written.len() as u64);
        writer.finish(&[("part", "3".into())]).unwrap();
        let reader = VectorReader::open(&path).unwrap();
        assert_eq!((reader.header(), reader.rows(), reader.note("part")), (&header(), 4 * 4096, Some("3")));
        let read: Vec<VectorRow> = reader.flat_map(Result::unwrap).collect();
        assert_eq!(format!("{read:?}"), format!("{written:?}"));
    }

    /// Files of earlier versions call the column `half`.
    #[test]
    fn a_file_of_an_earlier_version_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let [path, earlier] = ["v.parquet", "earlier.parquet"].map(|name| folder.path().join(name));
        let mut writer = VectorWriter::create(&path, &header()).unwrap();
        rows().into_iter().for_each(|row| writer.write(row).unwrap());
        writer.finish(&[]).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let schema = reader.schema().clone();
        let renamed = schema.fields().iter().map(|field| match field.name() == MODALITY {
            true => field.as_ref().clone().with_name(EARLIER_MODALITY),
            false => field.as_ref().clone(),
        });
        let renamed = Arc::new(Schema::new_with_metadata(renamed.collect::<Vec<_>>(), schema.metadata().clone()));
        let mut writer = ArrowWriter::try_new(File::create(&earlier).unwrap(), Arc::clone(&renamed), None).unwrap();
        for batch in reader.build().unwrap() {
            let columns = batch.unwrap().columns().to_vec();
            writer.write(&RecordBatch::try_new(Arc::clone(&renamed), columns).unwrap()).unwrap();
        }
        writer.close().unwrap();
        let read: Vec<VectorRow> = VectorReader::open(&earlier).unwrap().flat_map(Result::unwrap).collect();
        assert_eq!(format!("{read:?}"), format!("{:?}", rows()));
    }

    #[test]
    fn other_files_are_refused_with_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let fails = |path: &Path, with: &str| {
            let error = VectorReader::open(path).err().unwrap().to_string();
            assert!(error.contains(with) && error.contains(&path.display().to_string()), "{error}");
        };
        let path = folder.path().join("v.parquet");
        fails(&path, "cannot open");
        std::fs::write(&path, "not a parquet").unwrap();
        fails(&path, "not a parquet file");
        let shards = folder.path().join("shards");
        crate::tests::write_folder(&shards, vec![crate::tests::record("a")]);
        fails(&shards.join("train-00000.parquet"), "no vectors written by `ptunifier embed`");
    }
}
