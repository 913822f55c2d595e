//! Parquet tables whose columns have other types than texts and files: which are used, not used, or errors.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::{Float32Type, Int32Type, Int64Type, UInt8Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeListArray, Float64Array,
    Int64Array, ListArray, NullArray, RecordBatch, StringArray, StructArray, TimestampSecondArray,
};
use arrow_schema::{Field, Schema};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ptu_data::Inputs;

use super::*;
use crate::InputFiles;

type Column = (&'static str, ArrayRef);

fn column(name: &'static str, values: impl Array + 'static) -> Column {
    (name, Arc::new(values))
}

fn structs(fields: Vec<Column>) -> StructArray {
    let field = |(name, array): Column| (Arc::new(Field::new(name, array.data_type().clone(), true)), array);
    StructArray::from(fields.into_iter().map(field).collect::<Vec<_>>())
}

/// Images as `datasets` stores them: bytes, or a path.
fn images(bytes: Vec<Option<Vec<u8>>>, paths: Vec<Option<&str>>) -> StructArray {
    let bytes = bytes.iter().map(Option::as_deref).collect::<BinaryArray>();
    structs(vec![column("bytes", bytes), column("path", StringArray::from(paths))])
}

fn texts() -> Column {
    column("text", StringArray::from(vec!["Clear lungs.", "Small effusion.", "A mass."]))
}

impl TestFolder {
    /// Writes a table and prepares it.
    fn columns(&self, columns: Vec<Column>, options: &TableOptions) -> Result<(Manifest, Vec<Record>), String> {
        self.columns_with_features(columns, "{}", options)
    }

    /// Like `columns`, with the description of the columns that `datasets` stores in the file.
    fn columns_with_features(
        &self,
        columns: Vec<Column>,
        features: &str,
        options: &TableOptions,
    ) -> Result<(Manifest, Vec<Record>), String> {
        let path = self.here.path().join("t.parquet");
        write(&path, columns, features);
        self.prepare(&path, options)
    }
}

fn write(path: &Path, columns: Vec<Column>, features: &str) {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let features = format!("{{\"info\": {{\"features\": {features}}}}}");
    let metadata = HashMap::from([("huggingface".to_string(), features)]);
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The files of the records' images.
fn files(records: &[Record]) -> Vec<Option<Vec<u8>>> {
    records.iter().map(|record| Some(record.image.as_ref()?.bytes.clone())).collect()
}

fn pictures() -> Vec<Option<Vec<u8>>> {
    (0..3).map(|number| Some(png(number))).collect()
}

#[test]
fn images_are_taken_by_path_and_from_every_type_of_bytes() {
    let (fixture, all) = (TestFolder::new(), TableOptions::default());
    let paths = ["images/0.png", "images/1.png", "images/2.png"];
    let lists = || {
        ListArray::from_iter_primitive::<UInt8Type, _, _>(
            (0..3).map(|number| Some(png(number).into_iter().map(Some).collect::<Vec<_>>())),
        )
    };
    let codes: Vec<String> = (0..3).map(|number| BASE64_STANDARD.encode(png(number))).collect();
    let mixed = vec![Some(png(0)), None, Some(png(2))];
    let dictionary: DictionaryArray<Int32Type> = paths.into_iter().collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(images(vec![None; 3], paths.map(Some).to_vec())),
        Arc::new(images(mixed, vec![Some("a.png"), Some(paths[1]), None])),
        Arc::new(structs(vec![column("bytes", lists()), column("path", NullArray::new(3))])),
        Arc::new(structs(vec![column("path", StringArray::from(paths.to_vec()))])),
        Arc::new(lists()),
        Arc::new(BinaryArray::from_iter(pictures())),
        Arc::new(StringArray::from(codes.clone())),
        Arc::new(StringArray::from(
            codes.iter().map(|code| format!("data:image/png;base64,{code}")).collect::<Vec<_>>(),
        )),
        Arc::new(dictionary),
    ];
    for array in columns {
        let kind = array.data_type().clone();
        let (_, records) = fixture.columns(vec![("image", array), texts()], &all).unwrap();
        assert_eq!(files(&records), pictures(), "{kind}");
        assert!(records.iter().all(|record| record.texts.len() == 1), "{kind}");
        // `embed` reads the same.
        let inputs = InputFiles::find(&[fixture.here.path().join("t.parquet")], &[]).unwrap();
        let embedded: Vec<Record> = inputs.stream(0).map(|pending| pending.unwrap().load().unwrap().record).collect();
        assert_eq!((inputs.count(), files(&embedded)), (3, pictures()), "{kind}");
    }
    let table = fixture.table("t.csv", format!("image,text\n{},One.\n", codes[1]));
    assert_eq!(files(&fixture.prepare(&table, &all).unwrap().1), [Some(png(1))]);
}

#[test]
fn an_image_file_that_does_not_exist_is_an_error_and_a_missing_value_is_allowed() {
    let (fixture, all) = (TestFolder::new(), TableOptions::default());
    let some = vec![Some(png(0)), None, Some(png(2))];
    let gone = images(some.clone(), vec![None, Some("images/gone.png"), None]);
    let error = fixture.columns(vec![column("image", gone), texts()], &all).unwrap_err();
    assert!(error.contains("line 2") && error.contains("images/gone.png") && error.contains("not there"), "{error}");
    let empty = images(some.clone(), vec![None; 3]);
    let error = fixture.columns(vec![column("image", empty), texts()], &all).unwrap_err();
    assert!(error.contains("line 2") && error.contains("`image` is empty"), "{error}");
    let (fields, columns, _) = images(some, vec![None; 3]).into_parts();
    let null = StructArray::new(fields, columns, Some(vec![true, false, true].into()));
    let (_, records) = fixture.columns(vec![column("image", null), texts()], &all).unwrap();
    assert_eq!(files(&records), [Some(png(0)), None, Some(png(2))]);
}

#[test]
fn a_needed_column_that_cannot_be_read_is_an_error_with_its_name_and_type() {
    let (fixture, all) = (TestFolder::new(), TableOptions::default());
    let item = |array: ArrayRef| {
        let field = Arc::new(Field::new("item", array.data_type().clone(), true));
        ListArray::new(field, arrow_buffer::OffsetBuffer::from_lengths([1, 1, 1]), array, None)
    };
    let rows = ListArray::from_iter_primitive::<UInt8Type, _, _>([Some([Some(1)]), Some([Some(2)]), Some([Some(3)])]);
    let list = item(Arc::new(images(pictures(), vec![None; 3])));
    let boxes = || structs(vec![column("x", Int64Array::from(vec![1, 2, 3]))]);
    let image = || column("image", images(pictures(), vec![None; 3]));
    for (columns, name, part) in [
        (vec![column("image", list), texts()], "image", "a list of images, but only one image per record is used"),
        (vec![column("image", item(Arc::new(rows))), texts()], "image", "List(List(UInt8))"),
        (vec![column("image", boxes()), texts()], "image", "Struct("),
        (vec![column("image", BinaryArray::from_vec(vec![b"\xff\0"; 3])), texts()], "image", "Binary"),
        (vec![image(), texts(), column("patient", boxes())], "patient", "Struct("),
        (vec![image(), column("text", boxes())], "text", "Struct("),
    ] {
        let error = fixture.columns(columns, &all).unwrap_err();
        let kind = error.replace("non-null ", "").replace("List(Field", "List(");
        assert!(error.contains(&format!("`{name}`")) && error.contains("t.parquet"), "{error}");
        assert!(kind.contains(part) || error.contains(part.split('(').next().unwrap()), "{part}: {error}");
    }
}

#[test]
fn other_columns_are_no_error_and_are_kept_if_they_have_a_text() {
    let (fixture, all) = (TestFolder::new(), TableOptions::default());
    let sites: DictionaryArray<Int32Type> = ["x", "y", "x"].into_iter().collect();
    let vectors =
        FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>((0..3).map(|_| Some([Some(1.0), Some(2.0)])), 2);
    let doses = Decimal128Array::from(vec![150; 3]).with_precision_and_scale(5, 2).unwrap();
    let bytes = BinaryArray::from_vec(vec![b"\xff\0"; 3]);
    let columns = vec![
        column("image", images(pictures(), vec![None; 3])),
        texts(),
        column("site", sites),
        column("day", Date32Array::from(vec![18_263; 3])),
        column("time", TimestampSecondArray::from(vec![1_577_934_245; 3])),
        column("dose", doses),
        column("score", Float64Array::from(vec![Some(0.5), Some(f64::NAN), None])),
        column("none", NullArray::new(3)),
        column("vector", vectors),
        column("boxes", structs(vec![column("x", Int64Array::from(vec![1, 2, 3]))])),
        column("hash", bytes),
        column("mask", images(pictures(), vec![Some("m.png"); 3])),
    ];
    let (manifest, records) = fixture.columns(columns, &all).unwrap();
    assert_eq!(manifest.splits.values().map(|counts| counts.pairs).sum::<u64>(), 3);
    let fields = |record: &Record| {
        record.fields.iter().map(|field| format!("{}={}", field.name, field.value)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(fields(&records[0]), "site=x day=2020-01-02 time=2020-01-02T03:04:05 dose=1.50 score=0.5");
    assert_eq!(fields(&records[1]), "site=y day=2020-01-02 time=2020-01-02T03:04:05 dose=1.50");
    assert_eq!(files(&records), pictures());
}

#[test]
fn class_numbers_are_read_as_names_and_nan_as_missing() {
    let (fixture, all) = (TestFolder::new(), TableOptions::default());
    let image = || column("image", images(pictures(), vec![None; 3]));
    let classes = r#"{"label": {"names": ["normal", "mass"], "_type": "ClassLabel"}}"#;
    let labels = |records: &[Record]| {
        let one = |record: &Record| record.labels.iter().map(|label| label.value.clone()).collect::<Vec<_>>().join("|");
        records.iter().map(one).collect::<Vec<_>>()
    };
    let numbers = column("label", Int64Array::from(vec![1, -1, 0]));
    let (_, records) = fixture.columns_with_features(vec![image(), texts(), numbers], classes, &all).unwrap();
    assert_eq!(labels(&records), ["mass", "", "normal"]);
    let lists = [Some(vec![Some(1), Some(0)]), Some(vec![]), None];
    let lists = column("label", ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
    let (_, records) = fixture.columns_with_features(vec![image(), texts(), lists], classes, &all).unwrap();
    assert_eq!(labels(&records), ["mass|normal", "", ""]);
    let unknown = column("label", Int64Array::from(vec![1, 2, 0]));
    let error = fixture.columns_with_features(vec![image(), texts(), unknown], classes, &all).unwrap_err();
    assert!(error.contains("line 2") && error.contains("`label` holds 2, but the file's metadata name 2"), "{error}");
    let missing = column("label", Float64Array::from(vec![Some(1.0), Some(f64::NAN), None]));
    let patients = column("patient_id", Float64Array::from(vec![10_000_032.0, 2.0, 3.0]));
    let (_, records) = fixture.columns(vec![image(), texts(), missing, patients], &all).unwrap();
    assert_eq!((labels(&records).concat(), records[0].patient.as_str()), ("1".into(), "10000032"));
    let blurred = column("patient_id", Float64Array::from(vec![1.0, 1e16, 1e21]));
    let error = fixture.columns(vec![image(), texts(), blurred], &all).unwrap_err();
    assert!(error.contains("line 2: `patient_id` is the float 10000000000000000, too large"), "{error}");
}

#[test]
fn doubtful_and_unreadable_values_are_reported() {
    let (fixture, all) = (TestFolder::new(), TableOptions { allow_missing: true, ..TableOptions::default() });
    let doses = || column("dose", Float64Array::from(vec![1e308, 1.5, 1e22]));
    let times = |name| column(name, TimestampSecondArray::from(vec![0, i64::MAX, 1]));
    let (manifest, records) = fixture.columns(vec![texts(), doses(), times("taken")], &all).unwrap();
    let fields: Vec<&str> =
        records.iter().flat_map(|record| &record.fields).map(|field| field.value.as_str()).collect();
    assert_eq!(fields, ["1e308", "1970-01-01T00:00:00", "1.5", "1e22", "1970-01-01T00:00:01"]);
    let reports = |part: &str| manifest.remarks.iter().any(|sentence| sentence.contains(part));
    let doubtful = "2 values of `dose` are kept, but doubtful, the first on line 1: it is the float";
    assert!(reports(doubtful), "{manifest:?}");
    let lost = "1 value of `taken` is not kept, the first on line 2: it holds a time beyond the calendar";
    assert!(reports(lost), "{:?}", manifest.remarks);
    let error = fixture.columns(vec![texts(), times("patient")], &all).unwrap_err();
    assert!(error.contains("line 2: `patient` holds a time beyond the calendar"), "{error}");
}

/// One file has the names of classes, another file only their numbers.
#[test]
fn one_class_must_not_have_two_values() {
    let classes = r#"{"label": {"names": ["normal", "mass"], "_type": "ClassLabel"}}"#;
    let fixture = TestFolder::new();
    let folder = fixture.here.path().join("copy");
    fs::create_dir(&folder).unwrap();
    let rows = || {
        let image = column("image", BinaryArray::from_vec(vec![&png(1)]));
        let text = column("text", StringArray::from(vec!["Words."]));
        vec![image, text, column("label", Int64Array::from(vec![1]))]
    };
    let both = |train: &str, test: &str| {
        write(&folder.join("train-0.parquet"), rows(), train);
        write(&folder.join("test-0.parquet"), rows(), test);
        fixture.prepare(&folder, &TableOptions::default())
    };
    for (train, test) in [(classes, "{}"), ("{}", classes)] {
        let error = both(train, test).unwrap_err();
        assert!(error.contains("`label` has names of classes in the metadata of"), "{error}");
        assert!(error.contains("write the names into both"), "{error}");
    }
    let (_, records) = both(classes, classes).unwrap();
    assert!(records.iter().all(|record| record.labels[0].value == "mass"));
}

#[test]
fn files_of_a_folder_may_have_a_column_in_several_types() {
    let fixture = TestFolder::new();
    let folder = fixture.here.path().join("copy");
    fs::create_dir(&folder).unwrap();
    let image = |number: u8| column("image", BinaryArray::from_vec(vec![&png(number)]));
    let rest = |label, patient| vec![column("text", StringArray::from(vec!["Words."])), label, patient];
    let train = rest(column("label", Int64Array::from(vec![3])), column("patient", StringArray::from(vec!["7"])));
    let test = rest(column("label", StringArray::from(vec!["mass"])), column("patient", Float64Array::from(vec![8.0])));
    write(&folder.join("train-0.parquet"), [vec![image(0)], train].concat(), "{}");
    write(
        &folder.join("test-0.parquet"),
        [vec![column("image", StringArray::from(vec!["../images/1.png"]))], test].concat(),
        "{}",
    );
    let (_, records) = fixture.prepare(&folder, &TableOptions::default()).unwrap();
    let values = |record: &Record| (record.patient.clone(), record.labels[0].value.clone());
    let mut values: Vec<_> = records.iter().map(values).collect();
    values.sort();
    assert_eq!(values, [("7".into(), "3".into()), ("8".into(), "mass".into())]);
    assert_eq!(files(&records), [Some(png(0)), Some(png(1))]);
    let boxes = structs(vec![column("x", Int64Array::from(vec![1]))]);
    let test = rest(column("label", boxes), column("patient", Int64Array::from(vec![8])));
    write(&folder.join("test-0.parquet"), [vec![image(1)], test].concat(), "{}");
    let error = fixture.prepare(&folder, &TableOptions::default()).unwrap_err();
    assert!(error.contains("test-0.parquet") && error.contains("`label` is of type Struct"), "{error}");
}
