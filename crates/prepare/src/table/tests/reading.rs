//! Tables are read exactly as they were written: keys that appear late, numbers, line endings, unusual file names.

use super::*;

/// Options that put all records into one split, so that similar images are not removed.
fn one_split() -> TableOptions {
    let shares = Shares { validate: 0.0, test: 0.0, ..Shares::default() };
    TableOptions { shares, allow_missing: true, ..TableOptions::default() }
}

fn values(of: &[Label]) -> Vec<(&str, &str)> {
    of.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect()
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let fixture = TestFolder::new();
    let clear: Vec<String> =
        (0..1100).map(|row| format!("{{\"id\":\"a{row}\",\"text\":\"Clear lungs, number {row}.\"}}")).collect();
    let late = |split: &str| -> Vec<String> {
        let row = |row: usize| {
            format!(
                "{{\"id\":\"b{row}\",\"text\":\"Effusion, number {row}.\",\"image\":\"images/{row}.png\",\"label\":\"effusion\"{split}}}"
            )
        };
        (0..4).map(row).collect()
    };
    let lines = |rows: &[String]| rows.join("\n");
    let list = |rows: &[String]| format!("[{}]", rows.join(",\n"));
    for (name, write) in [("t.jsonl", &lines as &dyn Fn(&[String]) -> String), ("t.json", &list)] {
        let first = write(&[late(""), clear.clone()].concat());
        let last = write(&[clear.clone(), late("")].concat());
        let (_, first) = fixture.prepare(&fixture.table(name, first), &one_split()).unwrap();
        let (_, last) = fixture.prepare(&fixture.table(name, last), &one_split()).unwrap();
        let pairs: Vec<&Record> = last.iter().filter(|record| record.image.is_some()).collect();
        assert_eq!((pairs.len(), values(&pairs[3].labels)), (4, vec![("label", "effusion")]), "{name}");
        assert_eq!(first, last, "{name}");
        // Some rows have a split and others have none.
        let some = write(&[clear.clone(), late(",\"split\":\"test\"")].concat());
        fixture.refuses(some, name, &["`split` is empty; write `train`, `validate` or `test`"]);
    }
}

#[test]
fn names_and_numbers_stay_as_they_are_written() {
    let fixture = TestFolder::new();
    let rows = [
        "{\"id\":9007199254740993,\"patient\":100000000000000000001,\"text\":\"One.\",\"score\":1.10,\"dose\":1e5,\"label\":NaN,\"z\":-0}",
        "{\"id\":9007199254740992,\"patient\":100000000000000000002,\"text\":\"Two.\",\"score\":0.1000000000000000055511151231257827,\"label\":1.0}",
        "{\"id\":3,\"patient\":3.50,\"text\":\"Three.\",\"score\":NaN,\"label\":[1e-7,NaN,-0.0],\"nested\":{\"v\":[NaN]}}",
    ];
    for (name, content) in [("t.jsonl", rows.join("\n")), ("t.json", format!("[{}]", rows.join(",")))] {
        let (_, records) = fixture.prepare(&fixture.table(name, content), &one_split()).unwrap();
        let names: Vec<_> = records.iter().map(|record| (record.id.as_str(), record.patient.as_str())).collect();
        let wanted = [
            ("3", "3.50"),
            ("9007199254740992", "100000000000000000002"),
            ("9007199254740993", "100000000000000000001"),
        ];
        assert_eq!(names, wanted);
        assert_eq!(values(&records[2].fields), [("dose", "1e5"), ("score", "1.10"), ("z", "-0")]);
        assert_eq!(values(&records[1].fields), [("score", "0.1000000000000000055511151231257827")]);
        assert!(records[2].labels.is_empty() && records[0].fields.is_empty());
        assert_eq!(values(&records[0].labels), [("label", "1e-7"), ("label", "-0.0")]);
        assert_eq!(values(&records[1].labels), [("label", "1.0")]);
    }
    fixture.refuses("{\"id\":NaN,\"text\":\"One.\"}\n", "t.jsonl", &["line 1", "`id` is empty"]);
}

#[test]
fn words_for_missing_values_are_recognised_and_reported() {
    let fixture = TestFolder::new();
    let rows = [
        ["id", "text", "label", "age", "sex"],
        ["a", "One.", "NaN", "nan", "-"],
        ["b", "Two.", "NA", "1e5", "None"],
        ["c", "Three.", "None", "N/A", "x"],
        ["d", "Four.", "-", "null", "<NA>"],
    ];
    let csv: String = rows.iter().map(|row| row.join(",") + "\n").collect();
    let row = |row: &[&str; 5]| {
        let fields: Vec<String> =
            row.iter().zip(rows[0]).map(|(cell, name)| format!("\"{name}\": \"{cell}\"")).collect();
        format!("{{{}}}", fields.join(", "))
    };
    let json: Vec<String> = rows[1..].iter().map(row).collect();
    for (name, table, lines) in [("t.csv", csv, [2, 3, 4]), ("t.jsonl", json.join("\n"), [1, 2, 3])] {
        let (manifest, records) = fixture.prepare(&fixture.table(name, table), &one_split()).unwrap();
        let labels: Vec<_> = records.iter().map(|record| values(&record.labels)).collect();
        assert_eq!(labels, [vec![], vec![], vec![("label", "None")], vec![("label", "-")]]);
        let fields: Vec<_> = records.iter().map(|record| values(&record.fields)).collect();
        assert_eq!(fields, [vec![("sex", "-")], vec![("age", "1e5"), ("sex", "None")], vec![("sex", "x")], vec![]]);
        let expected = [
            format!("column `label`: `NaN`, `NA` are treated as missing, 2 values (the first: line {})", lines[0]),
            format!(
                "column `age`: `nan`, `N/A`, `null` are treated as missing, 3 values (the first: line {})",
                lines[0]
            ),
            format!("column `sex`: `<NA>` is treated as missing, 1 value (line {})", lines[2] + 1),
            format!(
                "column `label`: `None`, `-` are kept as they are written, 2 values (the first: line {}); \
                 leave the cell empty where the value is missing",
                lines[2]
            ),
        ];
        let mut sorted = (expected.to_vec(), manifest.remarks.clone());
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1);
    }
    for word in ["NaN", "NA", "N/A", "#N/A", "NULL", "null", "None", "-", "<NA>"] {
        let says = format!("says `{word}`, which stands for a missing value");
        for column in ["text", "image", "patient", "id", "split"] {
            let table = format!("{column},{}\n{word},One.\n", if column == "text" { "caption" } else { "text" });
            fixture.refuses(table, "t.csv", &["line 2", &format!("`{column}` {says}")]);
        }
    }
    // A cell with several labels is first split into its labels.
    let table = fixture.table("t.csv", "text,labels\nOne.,edema|NA|None\n");
    let (_, records) = fixture.prepare(&table, &one_split()).unwrap();
    assert_eq!(values(&records[0].labels), [("labels", "edema"), ("labels", "None")]);
    let missing = TableOptions { allow_missing: true, ..one_split() };
    let (_, records) =
        fixture.prepare(&fixture.table("t.csv", "image,text\nimages/0.png,n/a\nNone,One.\n"), &missing).unwrap();
    assert!(records[0].texts.is_empty() && records[1].image.is_none());
}

#[test]
fn an_empty_list_of_texts_is_an_empty_cell() {
    let fixture = TestFolder::new();
    for list in ["[]", "[null]", "[\"\"]"] {
        let row = format!("{{\"image\": \"images/0.png\", \"texts\": {list}, \"label\": []}}\n");
        fixture.refuses(&row, "t.jsonl", &["line 1: `texts` is empty; fill it, or pass `--allow-missing`"]);
        let missing = TableOptions { allow_missing: true, ..one_split() };
        let (_, records) = fixture.prepare(&fixture.table("t.jsonl", &row), &missing).unwrap();
        assert!(records[0].texts.is_empty() && records[0].labels.is_empty());
    }
    // A text that has only invisible characters is empty.
    fixture.refuses("image,text\nimages/0.png,\u{200b}\n", "t.csv", &["line 2: `text` is empty; fill it"]);
}

#[test]
fn a_title_above_the_names_of_the_columns_is_reported() {
    let fixture = TestFolder::new();
    for (title, line) in [("My own images\n", 2), ("Images,\n\n", 3), ("A title\nof two lines\n", 3)] {
        for separator in [",", ";"] {
            let table = format!("{title}image{separator}text\nimages/0.png{separator}One.\n");
            let hint =
                format!("if `image`, `text` on line {line} are the names of the columns, remove the lines above");
            fixture.refuses(table, "t.csv", &["neither an image nor a text column", &hint]);
        }
    }
    let named = ColumnNames { texts: vec!["note".into()], ..ColumnNames::default() };
    let table = fixture.table("t.csv", "My notes\nid,note\na,One.\n");
    let error = fixture.prepare(&table, &TableOptions { columns: named, ..one_split() }).unwrap_err();
    assert!(error.contains("it has `My notes`; if `id`, `note` on line 2 are the names"), "{error}");
    let error = fixture.prepare(&fixture.table("t.csv", "a,b\n1,2\n3,4\n"), &one_split()).unwrap_err();
    assert!(!error.contains("names of the columns"), "{error}");
}

#[test]
fn a_packed_table_gives_the_same_ids_as_an_unpacked_one() {
    let fixture = TestFolder::new();
    let pack = |name: &str| {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, b"text\nOne.\n").unwrap();
        fixture.table(name, encoder.finish().unwrap())
    };
    for (name, source) in [("packed.csv.gz", "packed"), ("a.b.CSV.GZ", "a.b"), ("c.csv", "c")] {
        let (manifest, records) = fixture.prepare(&pack(name), &one_split()).unwrap();
        assert_eq!((manifest.source.as_str(), records[0].id.as_str()), (source, &format!("{source}:2")[..]));
    }
}

#[test]
fn all_line_endings_are_read() {
    let fixture = TestFolder::new();
    let rows = ["image,text", "images/0.png,Clear lungs.", "images/1.png,Small effusion.", "images/2.png,A mass."];
    let gone = ["id,image,text", "a,images/0.png,Clear lungs.", "b,images/gone.png,Small effusion."];
    let write = |rows: &[&str], ends: &[&str]| -> String {
        rows.iter().zip(ends.iter().cycle()).map(|(row, end)| format!("{row}{end}")).collect()
    };
    let mixtures: [&[&str]; 7] = [
        &["\r\n", "\r\n", "\n", "\r\n"],
        &["\r"],
        &["\n"],
        &["\r\n"],
        &["\n", "\r\n"],
        &["\r\n", "\n"],
        &["\r", "\r\n", "\n"],
    ];
    for ends in mixtures {
        for mark in ["", "\u{feff}"] {
            let table = fixture.table("t.csv", format!("{mark}{}", write(&rows, ends)));
            let (_, records) = fixture.prepare(&table, &one_split()).unwrap();
            let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
            assert_eq!(ids, ["t:2", "t:3", "t:4"], "{ends:?}");
            fixture.refuses(format!("{mark}{}", write(&gone, ends)), "t.csv", &["line 3", "gone.png"]);
        }
        let json: Vec<String> =
            (0..3).map(|row| format!("{{\"image\":\"images/{row}.png\",\"text\":\"T{row}.\"}}")).collect();
        let json: Vec<&str> = json.iter().map(String::as_str).collect();
        let (_, records) = fixture.prepare(&fixture.table("t.jsonl", write(&json, ends)), &one_split()).unwrap();
        assert_eq!(
            records.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(),
            ["t:1", "t:2", "t:3"],
            "{ends:?}"
        );
    }
}

#[test]
fn tables_in_unusual_forms_are_read_or_are_errors() {
    use std::io::Write;
    let fixture = TestFolder::new();
    let rows = [
        "{\"image\":\"images/0.png\",\"text\":\"One.\",\"age\":NaN}",
        "{\"image\":\"images/1.png\",\"text\":\"Two.\"}",
    ];
    let csv = "image,text\nimages/0.png,One.\nimages/1.png,Two.\n";
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    packed.write_all(csv.as_bytes()).unwrap();
    let units = format!("\u{feff}[{}]", rows.join(",")).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let tables = [
        ("lines.json", rows.join("\n").into_bytes()),
        ("nan.json", format!("[{}]", rows.join(",")).into_bytes()),
        ("nan.jsonl", rows.join("\n").into_bytes()),
        ("utf16.json", units),
        ("sep.csv", format!("sep=;\r\n{}", csv.replace(',', ";")).into_bytes()),
        ("packed.csv.gz", packed.finish().unwrap()),
    ];
    for (name, content) in tables {
        let (_, records) = fixture.prepare(&fixture.table(name, content), &one_split()).unwrap();
        let texts: Vec<&str> = records.iter().map(|record| record.texts[0].as_str()).collect();
        assert_eq!(texts, ["One.", "Two."], "{name}");
        assert!(records.iter().all(|record| record.image.is_some() && record.fields.is_empty()), "{name}");
    }
    fixture.refuses(
        format!("{{\"train\":[{}],\"val\":[]}}", rows[1]),
        "splits.json",
        &["an object", "write a list of objects"],
    );
    fixture.refuses(
        "{\"image\":{\"0\":\"a\"},\"text\":{\"0\":\"b\"}}",
        "columns.json",
        &["an object", "write a list of objects"],
    );
    let bare: Vec<u8> = csv.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fixture.refuses(bare, "bare.csv", &["UTF-16 without a byte order mark"]);
    fixture.refuses(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n",
        "lfs.csv",
        &["Git LFS pointer", "git lfs pull"],
    );
}
