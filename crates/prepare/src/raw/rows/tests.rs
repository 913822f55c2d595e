//! Tables have the same content, wherever it is in the file and however the file is written.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::raw::row::{Cell, ColumnContent};
use crate::tests::png;

/// A table as it was read: names of columns, rows by line, notices.
#[derive(Debug, Default, PartialEq)]
struct Read {
    header: Vec<String>,
    rows: Vec<(u64, Result<Vec<Cell>, String>)>,
    notices: Vec<String>,
}

impl Read {
    fn lines(&self) -> Vec<u64> {
        self.rows.iter().map(|(line, _)| *line).collect()
    }

    /// First values of a column.
    fn column(&self, name: &str) -> Vec<&str> {
        let place = self.header.iter().position(|column| column == name).unwrap();
        let cells = self.rows.iter().map(|(_, cells)| &cells.as_ref().unwrap()[place]);
        cells.map(|cell| cell.first().map_or("-", String::as_str)).collect()
    }
}

fn open(name: &str, content: impl AsRef<[u8]>) -> Result<Rows, String> {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join(name);
    fs::write(&path, content).unwrap();
    let rows = Rows::open(&path).map_err(|error| error.to_string());
    if let Err(error) = &rows {
        assert!(error.contains(name), "{error}");
    }
    rows
}

fn read(name: &str, content: impl AsRef<[u8]>) -> Read {
    let mut rows = open(name, content).unwrap();
    let mut read = Read { header: rows.header.clone(), rows: vec![], notices: rows.notices().to_vec() };
    while let Some(row) = rows.next().unwrap() {
        read.rows.push((row.line, row.cells.map_err(|bad| bad.cause)));
    }
    assert_eq!(rows.share(), 1.0);
    read
}

fn refuses(name: &str, content: impl AsRef<[u8]>, parts: &[&str]) {
    let error = open(name, content).err().unwrap();
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn keys_of_late_rows_are_columns_too() {
    let early: Vec<String> = (0..3000).map(|row| format!("{{\"text\": \"t{row}\"}}")).collect();
    let late = "{\"text\": \"late\", \"image\": \"a.png\", \"label\": [\"x\", \"y\"]}";
    let first = [&[late.to_string()][..], &early].concat();
    let last = [&early[..], &[late.to_string()]].concat();
    for (name, write) in [
        ("t.jsonl", (|rows| rows.join("\n")) as fn(&[String]) -> String),
        ("t.json", |rows| format!("[{}]", rows.join(","))),
        ("t.json", |rows| rows.join("\r\n")),
    ] {
        let (one, other) = (read(name, write(&first)), read(name, write(&last)));
        assert_eq!(one.header, ["image", "label", "text"]);
        assert_eq!(one.header, other.header);
        assert_eq!(one.rows[0].1, other.rows[3000].1);
        assert_eq!(other.rows[3000].1.as_ref().unwrap()[1], ["x", "y"]);
    }
}

#[test]
fn values_of_several_types_are_read_as_they_are_written() {
    let rows = [
        "{\"x\": 100000000000000000001, \"y\": 1.10}",
        "{\"x\": \"a\", \"y\": NaN}",
        "{\"x\": [1e5, -0, true, null], \"y\": null}",
        "{\"x\": {\"deep\": [1]}, \"y\": \"NaN\"}",
    ];
    for (name, content) in [("t.jsonl", rows.join("\n")), ("t.json", format!(" [{}]\n", rows.join(" ,\n")))] {
        let mut rows = open(name, content).unwrap();
        assert_eq!(rows.columns().iter().map(|column| &column.holds).collect::<Vec<_>>(), [&ColumnContent::Values; 2]);
        let unit = if name == "t.json" { "item" } else { "line" };
        let notices = [
            format!("column `x`: 1 nested value ({unit} 4) of 4 values; such values are not read"),
            format!("column `y`: `NaN` is treated as missing, 1 value ({unit} 2)"),
        ];
        assert_eq!(rows.notices(), notices);
        let mut cells = vec![];
        while let Some(row) = rows.next().unwrap() {
            let unread: Vec<usize> = row.unread.iter().map(|unread| unread.column).collect();
            assert_eq!(unread, if row.line == 4 { vec![0] } else { vec![] });
            cells.push(row.cells.unwrap());
        }
        let wanted: [[&[&str]; 2]; 4] =
            [[&["100000000000000000001"], &["1.10"]], [&["a"], &[]], [&["1e5", "-0", "true"], &[]], [&[], &["NaN"]]];
        assert_eq!(
            cells,
            wanted.map(|row| row.map(|cell| cell.iter().map(|text| text.to_string()).collect::<Vec<_>>()))
        );
    }
    let rows =
        open("t.jsonl", "{\"text\": \"a\", \"boxes\": [{\"x\": 1}]}\n{\"text\": \"b\", \"boxes\": null}\n").unwrap();
    assert!(matches!(&rows.columns()[0].holds, ColumnContent::Unread(cause) if cause.contains("holds a nested value")));
    assert!(rows.notices().is_empty());
}

#[test]
fn lines_have_the_numbers_that_an_editor_gives_them() {
    for [one, two, three, last] in [
        ["\n"; 4],
        ["\r\n"; 4],
        ["\r"; 4],
        ["\r\n", "\n", "\r\n", "\n"],
        ["\n", "\r\n", "\r", ""],
        ["\r", "\n", "\r\n", ""],
        ["\r\n\r\n", "\n\n", "\r\r", ""],
    ] {
        let wide = u64::from(one.len() > 2);
        for mark in ["", "\u{feff}"] {
            let csv = format!("{mark}id,text{one}a,x{two}b,\"y{one}z\"{three}c,w{last}");
            let wanted = [2 + wide, 3 + 2 * wide, 5 + 4 * wide];
            for text in [csv.clone(), csv.replace(',', "\t"), csv.replace(',', ";")] {
                let table = read("t.csv", &text);
                assert_eq!(table.lines(), wanted, "{text:?}");
                assert_eq!(table.column("text"), ["x", &format!("y{one}z"), "w"], "{text:?}");
                assert_eq!(
                    read("t.csv", utf16(&format!("\u{feff}{}", text.trim_start_matches('\u{feff}')), true)),
                    table
                );
            }
            let json = format!("{mark}{{\"id\":1}}{one}{{\"id\":2}}{two}{{\"id\":3}}{three}{{\"id\":4}}{last}");
            let table = read("t.jsonl", &json);
            assert_eq!(table.lines(), [1, 2 + wide, 3 + 2 * wide, 4 + 3 * wide], "{json:?}");
            assert_eq!(table.column("id"), ["1", "2", "3", "4"]);
        }
    }
    let table = read("t.csv", "\r\n\n\rid,text\r\n\r\n\na,\"x\n\n\"\n\nb,y");
    assert_eq!(table.lines(), [7, 11]);
}

#[test]
fn the_separator_is_found_from_all_rows() {
    for (table, header) in [
        ("image,text;note\na.png,Clear; quiet\nb.png,Dull\n", &["image", "text;note"][..]),
        ("image\ttext, cleaned\na.png\tClear, but\nb.png\tDull\n", &["image", "text, cleaned"]),
        ("\"a,b,c\";text\n1;x\n", &["a,b,c", "text"]),
        ("image|text\na.png|Clear, quiet; dull\n", &["image", "text"]),
        ("sep=;\r\nimage,x;text\r\na;b\r\n", &["image,x", "text"]),
        ("\u{feff}\"sep=|\"\nid|text\na|b\n", &["id", "text"]),
        ("SEP=\t\rid\ttext\ra\tb\r", &["id", "text"]),
        ("text\nWords, and more\n", &["text"]),
    ] {
        let mut rows = open("t.csv", table).unwrap();
        assert_eq!(rows.header, header);
        assert!(
            rows.next().unwrap().unwrap().cells.is_ok_and(|cells| cells.len() == header.len()) || header.len() == 1
        );
    }
    // A quotation mark only opens a field directly after the separator.
    let quoted = open("t.csv", "id;text, free\n1;\"a, b\"\n2;x,\"y\n").unwrap();
    assert_eq!(quoted.header, ["id", "text, free"]);
    assert!(read("t.csv", "id;text,x\n1\n").rows[0].1.as_ref().unwrap_err().contains("1 fields, the header 2"));
    let late = format!("id;x,text\n{}c;1,z\n", "a,y\n".repeat(5000));
    refuses("t.csv", "id;x,text\na;1,y\n", &["can be split by `,` (columns `id;x`, `text`) and by `;`", "`sep=,`"]);
    assert_eq!(open("t.csv", late).unwrap().header, ["id;x", "text"]);
    let table = read("t.csv", "sep=;\r\nid;text\r\na;b\r\n");
    assert_eq!(
        (table.lines(), &table.notices[..]),
        (vec![3], &["the first line, `sep=;`, names the separator and is not a row".into()][..])
    );
}

#[test]
fn cells_beyond_the_header_are_an_error_unless_they_are_empty() {
    let table = read("t.csv", "id,text,\na,x\nb,y,\nc,z,,, \n,,\n , \nd,w,note\n");
    assert_eq!((table.lines(), &table.header[2][..]), (vec![2, 3, 4, 7], "column 3"));
    assert_eq!(table.column("column 3"), ["", "", "", "note"]);
    assert_eq!(
        table.notices,
        [
            "2 rows without any value (the first: line 5) skipped",
            "column 3 has no name in the first line; it is called `column 3`"
        ]
    );
    let table = read("t.csv", "id,text\na,x\nb,y,z\nc\n");
    for row in 1..3 {
        assert!(table.rows[row].1.as_ref().unwrap_err().contains("fields, the header 2"), "{table:?}");
    }
    for again in ["id, text", "\u{feff}id,text"] {
        let table = read("t.csv", format!("id,text\na,x\n{again}\nb,text\n"));
        assert!(table.rows[1].1.as_ref().unwrap_err().starts_with("the row repeats the names"), "{table:?}");
        assert_eq!((table.rows[0].1.is_ok(), table.rows[2].1.is_ok()), (true, true));
    }
    let table = read("t.csv", ",text,age\n0,nan,NaN\n1,y,NA\n");
    assert_eq!(
        (table.column("column 1"), table.column("text"), table.column("age")),
        (vec!["0", "1"], vec!["nan", "y"], vec!["NaN", "NA"])
    );
    assert_eq!(table.notices, ["column 1 has no name in the first line; it is called `column 1`"]);
    // Separators at the ends of lines make columns without names and values.
    let rows = open("t.csv", "id,text,,\na,x,,\n").unwrap();
    let nothing = ColumnContent::Unread("has neither a name nor a value".into());
    assert_eq!(
        rows.columns().iter().map(|column| &column.holds).collect::<Vec<_>>(),
        [&ColumnContent::Values, &ColumnContent::Values, &nothing, &nothing]
    );
}

#[test]
fn quotation_marks_that_would_be_lost_are_refused() {
    let table = read("t.csv", "id,text\na,\"say \"\"x\"\" and \"y\" z\"\nb,\"c\" \nd,5\" tube\ne,\"f\"g,\"h\"i\n");
    let cause = "column `text` has text after its closing quotation mark; double each quotation mark within a value";
    assert!(table.rows[0].1.as_ref().unwrap_err().starts_with(cause), "{table:?}");
    let text = |row: usize| table.rows[row].1.as_ref().map(|cells| cells[1][0].trim().to_string());
    assert_eq!((text(1), text(2)), (Ok("c".into()), Ok("5\" tube".into())));
    assert!(table.rows[3].1.as_ref().unwrap_err().starts_with(cause), "{table:?}");
    refuses("t.csv", "id,\"te\"xt\na,b\n", &["the name of its column 2 has text after its closing quotation mark"]);
    // A quotation mark after a space does not open a quoted field.
    let table = read("t.csv", "id,text\na, \"b\"\nc, \"d, e\"\n");
    assert_eq!(table.rows[0].1.as_ref().unwrap()[1], [" \"b\""]);
    assert!(table.rows[1].1.as_ref().unwrap_err().ends_with("remove the space before the quotation mark"), "{table:?}");
    assert!(table.notices[0].starts_with("1 row (line 2) with a space before a quotation mark"), "{table:?}");
}

#[test]
fn images_in_json_are_read_as_in_parquet() {
    let bytes = BASE64_STANDARD.encode(png(1));
    let images = [
        "{\"path\": \"a.png\"}",
        "{\"bytes\": null, \"path\": \"a.png\"}",
        &format!("{{\"bytes\": \"{bytes}\", \"path\": \"a.png\"}}"),
        &format!("{{\"bytes\": \"{bytes}\"}}"),
        "{\"path\": null, \"bytes\": null}",
        "{\"bytes\": \"words\"}",
        "{\"path\": \"a.png\", \"size\": 3}",
        "null",
    ];
    let lines: String = images.iter().map(|image| format!("{{\"scan\": {image}}}\n")).collect();
    let mut rows = open("t.jsonl", &lines).unwrap();
    assert_eq!(rows.columns()[0].holds, ColumnContent::Images);
    let mut all = vec![];
    while let Some(row) = rows.next().unwrap() {
        all.push(row);
    }
    let cells: Vec<Cell> = all.iter().map(|row| row.cells.as_ref().unwrap()[0].clone()).collect();
    assert_eq!(cells[..5], [vec!["a.png"], vec!["a.png"], vec!["a.png"], vec!["row-4"], vec![""]]);
    assert!(cells[5..].iter().all(Vec::is_empty));
    let images =
        |row: usize| all[row].images.iter().map(|image| (image.bytes == png(1), image.named)).collect::<Vec<_>>();
    assert_eq!((images(1), images(2), images(3)), (vec![], vec![(true, true)], vec![(true, false)]));
    let cause = |row: usize| all[row].unread[0].cause.as_str();
    assert!(cause(5).contains("not an image in base64; write the path"), "{}", cause(5));
    assert!(
        cause(6).contains("nested value; write a text or a list of texts, or, for an image, its path"),
        "{}",
        cause(6)
    );
    assert!(all[7].unread.is_empty());
}

#[test]
fn the_content_of_a_json_file_decides_and_not_its_name() {
    let (one, two) = ("{\"image\": \"a.png\", \"text\": \"x\"}", "{\"image\": \"b.png\", \"text\": \"y\"}");
    let wanted = read("t.jsonl", format!("{one}\n{two}\n"));
    for (name, content) in [
        ("t.json", format!("{one}\n{two}\n").into_bytes()),
        ("t.json", format!("\n  [\n{one}\n,{two}] ").into_bytes()),
        ("t.ndjson", format!("[{one}, {two}]").into_bytes()),
        ("t.JSONL", format!("[{one}, {two}]").into_bytes()),
        ("t.json", utf16(&format!("\u{feff}[{one},{two}]"), false)),
        ("t.json", utf16(&format!("\u{feff}{one}\r\n{two}"), true)),
        ("t.jsonl", utf16(&format!("\u{feff}{one}\n{two}"), false)),
        ("t.json.gz", gzip(format!("[{one},{two}]").as_bytes())),
        ("t.jsonl.gz", gzip(format!("{one}\n{two}").as_bytes())),
    ] {
        let table = read(name, content);
        assert_eq!(
            (table.header.clone(), table.column("image")),
            (wanted.header.clone(), vec!["a.png", "b.png"]),
            "{name}"
        );
    }
    assert_eq!(read("t.json", one).column("text"), ["x"]);
    let list = "write a list of objects";
    refuses(
        "t.json",
        format!("{{\"train\": [{one}], \"val\": [], \"test\": []}}"),
        &["an object of lists (`train`, `val`, `test`), probably splits", "write a list of objects"],
    );
    refuses(
        "t.json",
        "{\"image\": {\"0\": \"a.png\"}, \"text\": {\"0\": \"x\"}}",
        &["an object of objects (`image`, `text`)", list],
    );
    refuses(
        "t.json",
        "{\n \"image\": [\"a.png\"],\n \"text\": [\"x\"]\n}",
        &["an object of lists (`image`, `text`), columns"],
    );
    refuses("t.json", format!("{{\"version\": 1, \"data\": [{one}]}}"), &["an object with a list under `data`"]);
    refuses("t.json", format!("[{one}"), &["not a JSON list", "on line 1, it ends too early"]);
    refuses("t.json", format!("[{one}\n{two}]"), &["on line 2, `,` or `]` is expected"]);
    refuses("t.json", format!("[{one},\n]"), &["on line 2, no item follows the last comma; remove the comma"]);
    refuses("t.json", format!("[{one},,{two}]"), &["no item is between two commas"]);
    refuses("t.json", format!("[{one}]\n{two}"), &["on line 2, there is text after the list"]);
    refuses("t.json", "[1, 2]", &["item 1: the item on line 1 is not a JSON object"]);
    refuses("t.json", "image,text", &["`[` is expected"]);
}

#[test]
fn errors_of_list_items_name_their_lines() {
    let long = format!("{{\"text\": \"{}\"}}", "x".repeat(9 << 20));
    let list = format!(
        "[\n{{\"text\": \"a\"}},\n\n{{\"text\": }},{long},7,\"s,]\",\n[{{}}], {{\"text\": \"b\", \"text\": \"c\"}}, {{}}]"
    );
    let table = read("t.json", list);
    let results: Vec<String> =
        table.rows.iter().map(|(_, row)| row.as_ref().map_or_else(Clone::clone, |_| "good".into())).collect();
    let parts = [
        "good",
        "the item on line 4 is not valid JSON: a value is expected at character 10",
        "the item on line 4 is longer than 8 MiB",
        "the item on line 4 is not a JSON object",
        "the item on line 4 is not a JSON object",
        "the item on line 5 is not a JSON object",
        "the item on line 5 has `text` twice",
        "good",
    ];
    for (result, part) in results.iter().zip(parts) {
        assert!(result.contains(part), "{result}: {part}");
    }
    assert_eq!(table.lines(), (1..9).collect::<Vec<_>>());
    assert_eq!(read("t.json", "[]"), Read::default());
}

#[test]
fn keys_use_no_more_memory_than_a_row() {
    let row = |row: usize| format!("{{\"{row}{}\": 1}}\n", "k".repeat(1 << 20));
    let rows: String = (0..9).map(row).collect();
    refuses("t.jsonl", rows, &["more than 10000 different keys"]);
    let many: String = (0..10_001).map(|row| format!("{{\"{row}\": 1}}\n")).collect();
    refuses("t.jsonl", many, &["more than 10000 different keys"]);
}

#[test]
fn other_file_formats_are_recognised_by_their_first_bytes() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let csv = "image,text\na.png,Clear lungs.\n";
    for name in ["t.csv", "t.jsonl", "t.json", "t.parquet", "t.tsv"] {
        refuses(name, pointer, &["it is a Git LFS pointer", "git lfs pull"]);
        refuses(
            name,
            b"PK\x03\x04\x14\0\0\0[Content_Types].xml xl/workbook.xml",
            &["Excel workbook", "save its table as CSV"],
        );
        refuses(name, b"PK\x03\x04\x14\0\0\0\x08\0table.csv", &["a ZIP archive", "unpack it"]);
        refuses(name, b"\xfd7zXZ\0\0\x04", &["packed with xz", "unpack it"]);
        refuses(name, b"\x28\xb5\x2f\xfd\x04\0", &["packed with zstd", "unpack it"]);
        refuses(name, "<!DOCTYPE html><html><title>Sign in</title>", &["a web page"]);
        refuses(name, crate::tests::png(1), &["it is PNG, not a table"]);
    }
    for name in ["t.csv", "t.jsonl", "t.json"] {
        refuses(name, utf16(csv, false), &["UTF-16 without a byte order mark", "save it as UTF-8"]);
        refuses(name, utf16(csv, true), &["UTF-16 without a byte order mark"]);
        refuses(name, b"\xff\xfe\0\0i\0\0\0", &["UTF-32; save it as UTF-8"]);
        refuses(name, " \r\n", &["it is empty"]);
    }
    let plain = read("t.csv", csv);
    // The bytes decide, not the name.
    for name in ["t.csv.gz", "t.csv", "t.gz"] {
        assert_eq!(read(name, gzip(csv.as_bytes())), plain, "{name}");
    }
    assert_eq!(read("t.csv.gz", csv), plain);
    refuses("t.csv.gz", gzip(&gzip(csv.as_bytes())), &["compressed with gzip twice"]);
    refuses("t.csv.gz", &gzip(csv.repeat(99).as_bytes())[..40], &["cannot read"]);
    refuses(
        "t.csv.gz",
        gzip(format!("{}\n", "x".repeat(1023)).repeat(40 << 10).as_bytes()),
        &["cannot read", "zip bomb"],
    );
    // In a table, a path into the folder of git-annex is an ordinary path.
    assert_eq!(read("t.csv", "image,text\n.git/annex/objects/a.png,x\n").lines(), [2]);
}

#[test]
fn damaged_text_is_an_error_of_its_row() {
    let mut bytes = utf16("\u{feff}id,text\na,x\nb,y\nc,z\n", false);
    // One surrogate of a character in the second row, and one byte of a code unit at the end.
    let place = bytes.windows(2).position(|unit| unit == b"y\0").unwrap();
    bytes[place..place + 2].copy_from_slice(b"\x3d\xd8");
    let table = read("t.csv", &bytes);
    assert!(table.rows[1].1.as_ref().unwrap_err().contains("column `text` is not UTF-8"), "{table:?}");
    assert!(table.rows[0].1.is_ok() && table.rows[2].1.is_ok());
    bytes.truncate(bytes.len() - 3);
    let table = read("t.csv", bytes);
    assert!(table.rows[2].1.as_ref().unwrap_err().contains("column `text` is not UTF-8"), "{table:?}");
}
