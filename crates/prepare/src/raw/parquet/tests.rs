//! Columns of every type are written to a parquet file and read as rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryDictionaryBuilder, FixedSizeListBuilder, Float32Builder, Int64Builder, LargeListBuilder, ListBuilder,
    ListViewBuilder, MapBuilder, StringBuilder, TimestampMillisecondBuilder,
};
use arrow_array::types::{Int8Type, Int32Type, Int64Type, UInt8Type};
use arrow_array::{
    ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Date64Array, Decimal32Array, Decimal128Array,
    Decimal256Array, DictionaryArray, DurationMillisecondArray, FixedSizeBinaryArray, Float16Array, Float32Array,
    Float64Array, Int8Array, Int16Array, Int64Array, LargeBinaryArray, LargeStringArray, ListArray, NullArray,
    StringArray, StringViewArray, StructArray, Time32SecondArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use parquet::arrow::ArrowWriter;

use super::*;
use crate::raw::row::{Cell, ColumnContent};
use crate::tests::png;

/// One column of a file: what it contains, and the cells, images and unread values of its rows.
struct Read {
    holds: ColumnContent,
    cells: Vec<Cell>,
    images: Vec<Option<InlineImage>>,
    unread: Vec<Option<String>>,
}

fn read_fields(fields: Vec<Field>, columns: Vec<ArrayRef>, features: &str) -> Read {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("t.parquet");
    let metadata = HashMap::from([("huggingface".to_string(), features.to_string())]);
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let (mut file, columns, _) = Parquet::open(&path).unwrap();
    let mut read = Read { holds: columns[0].holds.clone(), cells: vec![], images: vec![], unread: vec![] };
    while let Some(mut row) = file.next().unwrap() {
        read.cells.push(row.cells.unwrap().remove(0));
        read.images.push(row.images.pop());
        read.unread.push(row.unread.pop().map(|unread| unread.cause));
    }
    read
}

fn read(column: impl arrow_array::Array + 'static) -> Read {
    let column: ArrayRef = Arc::new(column);
    let field = Field::new("column", column.data_type().clone(), true);
    read_fields(vec![field], vec![column], "{}")
}

/// The texts of a column that has neither images nor unread values.
fn cells(column: impl arrow_array::Array + 'static) -> Vec<Cell> {
    let read = read(column);
    assert_eq!(read.holds, ColumnContent::Values);
    assert!(read.images.iter().all(Option::is_none) && read.unread.iter().all(Option::is_none));
    read.cells
}

/// The text of the first row.
fn first(column: impl arrow_array::Array + 'static) -> String {
    cells(column).remove(0).remove(0)
}

#[test]
fn numbers_keep_their_digits_and_nan_is_missing() {
    let floats = [10_000_032.0, 0.1, f64::NAN, -0.0, 1e-7, f64::INFINITY, 1e21, 1e16];
    let result = read(Float64Array::from(floats.to_vec()));
    let texts: Vec<String> = result.cells.iter().map(|cell| cell.concat()).collect();
    assert_eq!(texts, ["10000032", "0.1", "", "-0", "1e-7", "inf", "1e21", "10000000000000000"]);
    // As names, these floats could not be distinguished from their neighbours.
    let blurred: Vec<bool> = result.unread.iter().map(Option::is_some).collect();
    assert_eq!(blurred, [false, false, false, false, false, false, true, true]);
    assert!(result.unread[6].as_ref().unwrap().contains("is the float 1e21, too large"), "{:?}", result.unread[6]);
    assert!(read(Float32Array::from(vec![16_777_218.0])).unread[0].is_some());
    assert_eq!(cells(Float64Array::from(vec![Some(1.5), None])), [vec!["1.5".to_string()], vec![]]);
    let result: Vec<String> = cells(Float32Array::from(vec![0.1, 16_777_216.0])).concat();
    assert_eq!(result, ["0.1", "16777216"]);
    let half = |values: &[f32]| values.iter().map(|value| Half::from_f32(*value)).collect::<Vec<_>>();
    let result = cells(Float16Array::from(half(&[0.1, 2047.0, 1.0, f32::NAN])));
    assert_eq!(result, [vec!["0.1".to_string()], vec!["2047".into()], vec!["1".into()], vec![]]);
    assert_eq!(first(UInt64Array::from(vec![u64::MAX])), "18446744073709551615");
    assert_eq!(first(Int8Array::from(vec![i8::MIN])), "-128");
    assert_eq!(first(Int16Array::from(vec![i16::MIN])), "-32768");
    assert_eq!(first(Int64Array::from(vec![9_007_199_254_740_993])), "9007199254740993");
    assert_eq!(first(BooleanArray::from(vec![true])), "true");
}

type Half = <arrow_array::types::Float16Type as arrow_array::ArrowPrimitiveType>::Native;

#[test]
fn decimals_dates_and_times_are_written_in_the_usual_form() {
    assert_eq!(first(Decimal128Array::from(vec![150]).with_precision_and_scale(5, 2).unwrap()), "1.50");
    assert_eq!(first(Decimal32Array::from(vec![-5]).with_precision_and_scale(5, 2).unwrap()), "-0.05");
    let wide = Decimal256Array::from(vec![arrow_buffer::i256::from_i128(i128::MAX)]);
    assert_eq!(first(wide.with_precision_and_scale(76, 0).unwrap()), i128::MAX.to_string());
    let day = 18_263;
    let moment = day * 86_400 + 3 * 3_600 + 4 * 60 + 5;
    assert_eq!(first(Date32Array::from(vec![day as i32])), "2020-01-02");
    assert_eq!(first(Date64Array::from(vec![day * 86_400_000])), "2020-01-02");
    assert_eq!(first(TimestampSecondArray::from(vec![moment])), "2020-01-02T03:04:05");
    assert_eq!(
        first(TimestampNanosecondArray::from(vec![moment * 1_000_000_000 + 1])),
        "2020-01-02T03:04:05.000000001"
    );
    let zoned = |zone: &str| first(TimestampMicrosecondArray::from(vec![moment * 1_000_000]).with_timezone(zone));
    assert_eq!(zoned("UTC"), "2020-01-02T03:04:05+00:00");
    assert_eq!(zoned("+05:30"), "2020-01-02T08:34:05+05:30");
    assert_eq!(zoned("Europe/Berlin"), "2020-01-02T03:04:05+00:00");
    assert_eq!(first(Time32SecondArray::from(vec![11_045])), "03:04:05");
    assert_eq!(first(Time64MicrosecondArray::from(vec![11_045_000_600])), "03:04:05.000600");
    assert_eq!(first(DurationMillisecondArray::from(vec![5_400_500])), "PT5400.5S");
    // A time beyond the calendar, a time beyond the day, a duration that is too long, and a list with such a time.
    let ages = arrow_array::DurationSecondArray::from(vec![i64::MAX]);
    let mut list = ListBuilder::new(TimestampMillisecondBuilder::new());
    list.append_value([Some(moment * 1_000), Some(i64::MAX)]);
    for result in [
        read(TimestampSecondArray::from(vec![i64::MAX])),
        read(Time32SecondArray::from(vec![-1])),
        read(ages),
        read(list.finish()),
    ] {
        let cause = result.unread[0].as_ref().unwrap();
        assert!(cause.contains("a time beyond the calendar, or beyond the day"), "{cause}");
    }
}

#[test]
fn texts_of_every_kind_are_read_alone_and_in_lists() {
    assert_eq!(first(LargeStringArray::from(vec!["a"])), "a");
    assert_eq!(first(StringViewArray::from(vec!["a"])), "a");
    let dictionary: DictionaryArray<Int8Type> = [Some("x"), None, Some("y")].into_iter().collect();
    assert_eq!(cells(dictionary), [vec!["x".to_string()], vec![], vec!["y".into()]]);
    let numbers = DictionaryArray::new(Int8Array::from(vec![1, 0]), Arc::new(Int64Array::from(vec![10, 20])));
    assert_eq!(cells(numbers).concat(), ["20", "10"]);
    assert_eq!(cells(NullArray::new(2)), [vec![] as Cell, vec![]]);
    let both = ["a".to_string(), "b".to_string()];
    let mut large = LargeListBuilder::new(StringBuilder::new());
    large.append_value([Some("a"), None, Some("b")]);
    large.append_null();
    assert_eq!(cells(large.finish()), [both.to_vec(), vec![]]);
    let mut fixed = FixedSizeListBuilder::new(StringBuilder::new(), 2);
    both.iter().for_each(|text| fixed.values().append_value(text));
    fixed.append(true);
    assert_eq!(cells(fixed.finish()), [both.to_vec()]);
    let mut view = ListViewBuilder::new(StringBuilder::new());
    view.append_value(both.iter().map(Some));
    assert_eq!(cells(view.finish()), [both.to_vec()]);
    let numbers = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(3), Some(4)])]);
    assert_eq!(cells(numbers), [["3".to_string(), "4".into()]]);
    // Words that were written as bytes.
    assert_eq!(cells(BinaryArray::from(vec![Some(b"site".as_slice()), None])), [vec!["site".to_string()], vec![]]);
    assert_eq!(cells(FixedSizeBinaryArray::try_from_iter([b"ab"].iter()).unwrap()), [["ab"]]);
}

#[test]
fn all_values_decide_what_a_column_of_bytes_is() {
    let file = png(1);
    let result = |values: &[&[u8]]| read(BinaryArray::from_iter_values(values));
    // An image follows values of other kinds: these values are reported if the column is used.
    let nulls = vec![None; 40];
    let values: [&[u8]; 4] = [b"img/a.png", b"", b"\xff\0", &file];
    let late = read(BinaryArray::from_iter(nulls.into_iter().chain(values.map(Some))));
    assert_eq!(late.holds, ColumnContent::Images);
    assert_eq!(late.cells[40..], [["img/a.png"], [""], ["row-43"], ["row-44"]]);
    assert_eq!(late.images[43].as_ref().unwrap().bytes, file);
    let ColumnContent::Unread(cause) = result(&[b"words", b"\xff\0"]).holds else { panic!("neither") };
    assert!(cause.contains("is of type Binary and holds neither images nor texts"), "{cause}");
    // A short key that begins like an image file is not an image.
    assert!(matches!(result(&[&file[..16]]).holds, ColumnContent::Unread(_)));
    assert_eq!(read(BinaryArray::from(vec![None, None])).holds, ColumnContent::Values);
}

#[test]
fn uuids_are_written_as_such_and_other_bytes_are_not() {
    let bytes = || FixedSizeBinaryArray::try_from_iter([(0..16).collect::<Vec<u8>>()].into_iter()).unwrap();
    let plain = Field::new("id", DataType::FixedSizeBinary(16), true);
    let marked = plain.clone().with_metadata(HashMap::from([(UUID_EXTENSION.0.into(), UUID_EXTENSION.1.into())]));
    let result = read_fields(vec![marked], vec![Arc::new(bytes())], "{}");
    assert_eq!(
        (result.holds, result.cells[0].concat()),
        (ColumnContent::Values, "00010203-0405-0607-0809-0a0b0c0d0e0f".into())
    );
    let result = read_fields(vec![plain], vec![Arc::new(bytes())], "{}");
    assert!(matches!(result.holds, ColumnContent::Unread(_)) && result.unread[0].is_some());
}

/// A struct of these fields.
fn structs(fields: Vec<(&str, ArrayRef)>) -> StructArray {
    let field = |(name, array): (&str, ArrayRef)| (Arc::new(Field::new(name, array.data_type().clone(), true)), array);
    StructArray::from(fields.into_iter().map(field).collect::<Vec<_>>())
}

#[test]
fn images_are_read_whatever_the_type_of_their_bytes() {
    let file = png(1);
    let bytes: Vec<&[u8]> = vec![&file];
    let list = |value: fn(u8) -> i64| {
        ListArray::from_iter_primitive::<Int64Type, _, _>([Some(
            png(1).into_iter().map(|byte| Some(value(byte))).collect::<Vec<_>>(),
        )])
    };
    let small =
        ListArray::from_iter_primitive::<UInt8Type, _, _>([Some(png(1).into_iter().map(Some).collect::<Vec<_>>())]);
    let mut dictionary = BinaryDictionaryBuilder::<Int32Type>::new();
    dictionary.append_value(&file);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(BinaryArray::from_vec(bytes.clone())),
        Arc::new(LargeBinaryArray::from_vec(bytes.clone())),
        Arc::new(BinaryViewArray::from_iter_values(bytes.clone())),
        Arc::new(FixedSizeBinaryArray::try_from_iter(bytes.iter()).unwrap()),
        Arc::new(dictionary.finish()),
        Arc::new(small),
        Arc::new(list(i64::from)),
        Arc::new(list(|byte| i64::from(byte as i8))),
        Arc::new(StringArray::from(vec![BASE64.encode(&file)])),
    ];
    let paths = || Arc::new(StringArray::from(vec!["a.png"])) as ArrayRef;
    for column in columns {
        for (fields, named) in [
            (vec![("bytes", Arc::clone(&column)), ("path", paths())], true),
            (vec![("path", paths()), ("height", Arc::new(Int64Array::from(vec![3]))), ("bytes", column.clone())], true),
            (vec![("bytes", Arc::clone(&column)), ("path", Arc::new(NullArray::new(1)))], false),
            (vec![("bytes", Arc::clone(&column))], false),
        ] {
            let result = read(structs(fields));
            let image = result.images[0].as_ref().unwrap_or_else(|| panic!("{:?}", column.data_type()));
            assert_eq!((&image.bytes, image.named, result.holds), (&file, named, ColumnContent::Images));
            assert_eq!(result.cells[0], [if named { "a.png" } else { "row-1" }]);
        }
        if column.data_type() != &DataType::Utf8 {
            let field = Field::new("column", column.data_type().clone(), true);
            let result = read_fields(vec![field], vec![Arc::clone(&column)], "{}");
            assert_eq!(result.images[0].as_ref().unwrap().bytes, file, "{:?} alone", column.data_type());
        }
    }
}

#[test]
fn an_image_may_be_a_path_or_missing_or_empty() {
    let file = png(1);
    let bytes = BinaryArray::from(vec![None, Some(file.as_slice()), None, None]);
    let paths = StringArray::from(vec![Some("img/a.png"), None, None, None]);
    let fields = vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)];
    let there = vec![true, true, false, true];
    let result = read(StructArray::new(fields.into(), vec![Arc::new(bytes), Arc::new(paths)], Some(there.into())));
    let named: Vec<bool> = result.images.iter().map(Option::is_some).collect();
    assert_eq!(named, [false, true, false, false]);
    // An empty cell is an error or a missing modality, as in any table; null is a missing value.
    assert_eq!(result.cells, [vec!["img/a.png".to_string()], vec!["row-2".into()], vec![], vec![String::new()]]);
    let none: ArrayRef = Arc::new(NullArray::new(1));
    let path: ArrayRef = Arc::new(StringViewArray::from(vec!["img/a.png"]));
    for fields in [vec![("bytes", none), ("path", Arc::clone(&path))], vec![("path", path)]] {
        let result = read(structs(fields));
        assert_eq!((result.holds, result.cells[0].concat()), (ColumnContent::Images, "img/a.png".into()));
    }
}

#[test]
fn values_that_are_not_images_are_reported() {
    let not = |column: ArrayRef, part: &str| {
        let path: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let result = read(structs(vec![("bytes", column), ("path", path)]));
        let cause = result.unread[0].clone().unwrap();
        assert!(cause.contains(part), "{cause}");
    };
    not(Arc::new(StringArray::from(vec!["no base64 at all"])), "not an image in base64");
    not(Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(300)])])), "that are not bytes");
    not(Arc::new(Float64Array::from(vec![1.0])), "is of type Struct");
    let images = structs(vec![("bytes", Arc::new(BinaryArray::from_vec(vec![&png(1)])))]);
    let item = Arc::new(Field::new("item", arrow_array::Array::data_type(&images).clone(), true));
    let list = ListArray::new(item, arrow_buffer::OffsetBuffer::from_lengths([1]), Arc::new(images), None);
    let result = read(list);
    let ColumnContent::Unread(cause) = result.holds else { panic!("a list of images") };
    assert!(cause.contains("a list of images, but only one image per record is used"), "{cause}");
    assert_eq!(result.unread, [Some(cause)]);
}

#[test]
fn values_without_a_text_form_are_reported_unless_they_are_empty() {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("a");
    map.values().append_value(1);
    map.append(true).unwrap();
    map.append(false).unwrap();
    let mut vector = FixedSizeListBuilder::new(Float32Builder::new(), 2);
    vector.values().append_slice(&[1.0, 2.0]);
    vector.append(true);
    vector.values().append_nulls(2);
    vector.append(false);
    let boxes = structs(vec![("x", Arc::new(Int64Array::from(vec![1, 2])))]);
    let floats = |first| ListArray::from_iter_primitive::<arrow_array::types::Float64Type, _, _>([first, None]);
    let result = [
        (read(map.finish()), "is of type Map"),
        (read(vector.finish()), "write an image as its encoded file (PNG, JPEG) or as its path"),
        (read(floats(Some(vec![Some(0.5)]))), "is of type List"),
        (read(floats(Some(vec![]))), "is of type List"),
        (read(boxes), "is of type Struct"),
    ];
    for (place, (result, part)) in result.iter().enumerate() {
        let ColumnContent::Unread(cause) = &result.holds else { panic!("{part}") };
        assert!(cause.contains(part), "{cause}");
        assert_eq!((result.unread[0].is_some(), result.unread[1].is_some()), (place != 3, place == 4), "{part}");
        assert!(result.cells.iter().all(Vec::is_empty));
    }
}

#[test]
fn classes_have_their_names() {
    let classes = r#"{"names": ["normal", "mass"], "_type": "ClassLabel"}"#;
    let features = format!(r#"{{"info": {{"features": {{"label": {classes}, "sound": {{"_type": "Audio"}}}}}}}}"#);
    let field = |name: &str, column: &ArrayRef| vec![Field::new(name, column.data_type().clone(), true)];
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(-1), None, Some(7)]));
    let result = read_fields(field("label", &numbers), vec![Arc::clone(&numbers)], &features);
    assert_eq!(result.cells, [vec!["mass".to_string()], vec![], vec![], vec!["7".into()]]);
    assert!(result.unread[3].as_ref().unwrap().contains("holds 7, but the file's metadata name 2 classes"));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(0)])]));
    let result = read_fields(field("label", &lists), vec![Arc::clone(&lists)], &features);
    assert_eq!(result.cells, [["mass", "normal"]]);
    let sound: ArrayRef = Arc::new(structs(vec![("bytes", Arc::new(BinaryArray::from_vec(vec![b"RIFF"])))]));
    let result = read_fields(field("sound", &sound), vec![Arc::clone(&sound)], &features);
    assert_eq!(result.holds, ColumnContent::Unread("holds files of kind Audio, which are not supported".into()));
}

/// The file was written by pyarrow 26.0.1 with `compression="zstd"`, because this build cannot write such a file.
#[test]
fn an_unsupported_compression_is_an_error_that_says_what_to_do() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("t.parquet");
    std::fs::write(&path, include_bytes!("../../../tests/fixtures/zstd.parquet")).unwrap();
    let error = Parquet::open(&path).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("t.parquet`: its columns are compressed with ZSTD, which is not supported"), "{error}");
    assert!(error.contains("`compression=\"snappy\"`"), "{error}");
}
