//! `prepare table` on small tables, valid and invalid.

mod reading;
mod shown;

mod types;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use ptu_data::Manifest;
use ptu_data::record::{Label, Record, Split};
use ptu_data::shard::ShardFolder;
use ptu_data::source::Source;

use super::*;
use crate::tests::png;
use crate::{Duplicates, Stage};

/// A temporary folder with a few images, in which tests write tables.
struct TestFolder {
    here: tempfile::TempDir,
}

impl TestFolder {
    fn new() -> Self {
        let here = tempfile::tempdir().unwrap();
        fs::create_dir(here.path().join("images")).unwrap();
        for number in 0..4 {
            fs::write(here.path().join(format!("images/{number}.png")), png(number)).unwrap();
        }
        Self { here }
    }

    fn table(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.here.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn out(&self) -> PathBuf {
        self.here.path().join("out")
    }

    /// All records of the three splits, in the order of their ids' lines.
    fn prepare(&self, table: &Path, options: &TableOptions) -> Result<(Manifest, Vec<Record>), String> {
        let _ = fs::remove_dir_all(self.out());
        let prepared = prepare(table, &self.out(), options, &|_| {}).map_err(|error| error.to_string())?;
        let manifest = prepared.manifest().unwrap().clone();
        let mut records = vec![];
        for split in manifest.splits.keys() {
            let folder = ShardFolder::open(&self.out(), *split).unwrap();
            records.extend((0..folder.len()).map(|index| folder.get(index).unwrap()));
        }
        records.sort_by(|one, other| one.id.cmp(&other.id));
        Ok((manifest, records))
    }

    /// Expects an error that contains each of `parts`, and no files left behind.
    fn refuses(&self, content: impl AsRef<[u8]>, name: &str, parts: &[&str]) {
        let table = self.table(name, content);
        let error = self.prepare(&table, &TableOptions::default()).unwrap_err();
        for part in parts.iter().chain(&[name]) {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
        let files: Vec<_> = fs::read_dir(self.here.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(files.iter().all(|file| !file.to_string_lossy().contains("out")), "{files:?}");
    }

    /// [`TestFolder::refuses`] for a bad last row; with `skip_bad`, the rows before it become records.
    fn refuses_row(&self, content: impl AsRef<[u8]>, name: &str, parts: &[&str], records_left: u64) {
        self.refuses(&content, name, parts);
        let options = TableOptions { skip_bad: true, ..TableOptions::default() };
        let (manifest, records) = self.prepare(&self.table(name, content), &options).unwrap();
        assert_eq!((records.len() as u64, manifest.skipped.len()), (records_left, 1), "{:?}", manifest.skipped);
        assert!(manifest.skipped[0].place.starts_with("line "), "{:?}", manifest.skipped);
    }
}

const GOOD: &str = "id,image,text\na,images/0.png,one\n";

#[test]
fn a_table_becomes_records() {
    let fixture = TestFolder::new();
    let table = fixture.table(
        "pairs.csv",
        "\u{feff}id,patient,image,findings,impression,split,organ\r\n\
         a,p1,images/0.png,\"No effusion.\r\nHeart \"\"normal\"\", stable.\",Normal.,train,chest\r\n\
         b,p2,images/1.png,,Fracture.,val,\r\n\
         \r\n\
         c,p1,images/2.png,Only findings,  ,train,hand\r\n",
    );
    let columns = ColumnNames { labels: vec!["organ".into()], ..ColumnNames::default() };
    let options = TableOptions {
        columns,
        prepare: PrepareOptions { arguments: vec!["prepare".into()], ..PrepareOptions::default() },
        ..TableOptions::default()
    };
    let (manifest, records) = fixture.prepare(&table, &options).unwrap();
    assert_eq!(records.len(), 3);
    assert_eq!(records[0].texts, ["No effusion.\r\nHeart \"normal\", stable.", "Normal."]);
    assert_eq!((records[0].split, records[1].split), (Split::Train, Split::Validate));
    assert_eq!(
        (&records[1].texts[..], &records[2].texts[..]),
        (&["Fracture.".into()][..], &["Only findings".into()][..])
    );
    assert_eq!(records[0].labels, [Label { name: "organ".into(), value: "chest".into() }]);
    assert!(records[1].labels.is_empty());
    let image = records[2].image.as_ref().unwrap();
    assert_eq!((&image.bytes, image.path.as_deref()), (&png(2), Some("images/2.png")));
    assert_eq!((records[0].patient.as_str(), records[0].source.as_str()), ("p1", "pairs"));
    assert_eq!((manifest.counts(Split::Train).pairs, manifest.counts(Split::Train).patients), (2, 1));
    assert_eq!((&manifest.made_by.arguments[..], &manifest.source[..]), (&["prepare".to_string()][..], "pairs"));
}

#[test]
fn json_lines_become_records_and_a_modality_may_be_missing() {
    let fixture = TestFolder::new();
    let table = fixture.table(
        "pairs.jsonl",
        "{\"id\": 7, \"image\": \"images/0.png\", \"texts\": [\"one\", \"two\"], \"label\": [\"x\", true]}\n\n\
         {\"id\": \"8\", \"image\": null, \"texts\": \"three\"}\n\
         {\"id\": \"9\", \"image\": \"images/1.png\"}\n",
    );
    let (manifest, records) = fixture.prepare(&table, &TableOptions::default()).unwrap();
    let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, ["7", "8", "9"]);
    assert_eq!((records[0].texts.len(), records[0].labels.len(), &records[0].labels[1].value[..]), (2, 2, "true"));
    assert!(records[1].image.is_none() && records[2].texts.is_empty());
    // Without a patient column, the patient is the image or, without an image, the id.
    assert_eq!((&records[0].patient[..], &records[1].patient[..]), ("images/0.png", "8"));
    assert_eq!(manifest.splits.values().map(|counts| counts.texts_only + counts.images_only).sum::<u64>(), 2);
}

#[test]
fn rows_of_one_image_stay_in_one_split_and_bytes_do_not_depend_on_threads() {
    let fixture = TestFolder::new();
    let rows: String = (0..60).map(|row| format!("images/{}.png,text {row}\n", row % 4)).collect();
    let table = fixture.table("t.csv", format!("image,text\n{rows}"));
    let mut options = TableOptions { shares: Shares { validate: 0.3, test: 0.3, seed: 2 }, ..TableOptions::default() };
    options.prepare =
        PrepareOptions { threads: Some(1), duplicates: Some(Duplicates::Reported), ..PrepareOptions::default() };
    let (one, records) = fixture.prepare(&table, &options).unwrap();
    options.prepare.threads = Some(3);
    assert_eq!(fixture.prepare(&table, &options).unwrap().0, one);
    assert!(one.splits.len() > 1, "{:?}", one.splits);
    assert_eq!(one.splits.values().map(|counts| counts.patients).sum::<u64>(), 4);
    assert!(records.iter().any(|record| record.id == "t:2"));
}

#[test]
fn separators_are_recognised() {
    let fixture = TestFolder::new();
    for (name, table) in
        [("a.tsv", "image\ttext\nimages/0.png\ta, b; c\n"), ("b.csv", "image;text\nimages/0.png;a, b\n")]
    {
        let (_, records) = fixture.prepare(&fixture.table(name, table), &TableOptions::default()).unwrap();
        assert!(records[0].texts[0].starts_with("a, b"));
    }
    let (_, records) =
        fixture.prepare(&fixture.table("c.csv", "text\nonly texts here\n"), &TableOptions::default()).unwrap();
    assert_eq!(records[0].texts, ["only texts here"]);
}

#[test]
fn progress_reaches_the_end() {
    let fixture = TestFolder::new();
    let rows: String = (0..40).map(|row| format!("images/{}.png,text {row}\n", row % 5)).collect();
    let table = fixture.table("t.csv", format!("image,text\n{rows}"));
    let options = TableOptions { skip_bad: true, ..TableOptions::default() };
    let seen = RefCell::new(vec![]);
    prepare(&table, &fixture.out(), &options, &|progress| seen.borrow_mut().push(progress)).unwrap();
    let seen = seen.into_inner();
    assert!(seen.len() > 2 && seen.is_sorted_by_key(|one| (one.stage, one.records)), "{seen:?}");
    assert!(seen.is_sorted_by(|one, other| one.share <= other.share), "{seen:?}");
    assert_eq!(seen.last(), Some(&Progress { stage: Stage::Write, records: 32, skipped: 8, share: 1.0 }));
}

#[test]
fn a_table_that_changes_while_it_is_read_is_refused() {
    let fixture = TestFolder::new();
    let rows: String = (0..400).map(|row| format!("images/{}.png,text {row}\n", row % 4)).collect();
    let table = fixture.table("t.csv", format!("image,text\n{rows}"));
    let grow = |progress: Progress| {
        if progress.stage == Stage::Make {
            fs::write(&table, format!("image,text\n{rows}images/1.png,one more\n")).unwrap();
        }
    };
    let error = prepare(&table, &fixture.out(), &TableOptions::default(), &grow).unwrap_err().to_string();
    assert!(error.contains("t.csv`: it changed while it was read"), "{error}");
    assert!(!fixture.out().exists() && !fixture.here.path().join(".out.prepare").exists());
}

#[test]
fn files_that_are_not_tables_are_errors() {
    let fixture = TestFolder::new();
    fixture.refuses("", "t.csv", &["it is empty"]);
    fixture.refuses("id,x\n1,2\n", "t.csv", &["neither an image nor a text", "`id`, `x`"]);
    fixture.refuses("image,text\n", "t.csv", &["no rows"]);
    fixture.refuses(b"\xff\xfei\0m\0a\0g\0e\0", "t.jsonl", &["line 1", "not a JSON object"]);
    fixture.refuses(png(1), "t.csv", &["it is PNG, not a table"]);
    fixture.refuses(b"im\xe4ge,text\n1,2\n", "t.csv", &["not UTF-8"]);
    fixture.refuses("image,text\n1,2\n", "t.jsonl", &["line 1", "is not a JSON object"]);
    fixture.refuses(format!("image,text\nimages/0.png,\"{}", "x".repeat(9 << 20)), "t.csv", &["line 2", "not closed"]);
    // Without this error, the rest of the table would become the text of its second row.
    fixture.refuses(
        "id,text\na,one\nb,\"two\nc,three\nd,four\n",
        "t.csv",
        &["line 3", "a quotation mark is not closed"],
    );
    fixture.refuses("id,text\r\na,one\r\nb,\"two\"\"", "t.csv", &["line 3", "a quotation mark is not closed"]);
    let missing = prepare(&fixture.here.path().join("no.csv"), &fixture.out(), &TableOptions::default(), &|_| {});
    assert!(missing.unwrap_err().to_string().contains("no.csv"));
    let folder = prepare(&fixture.here.path().join("images"), &fixture.out(), &TableOptions::default(), &|_| {});
    assert!(folder.unwrap_err().to_string().contains("the folder has no `metadata.csv`"));
}

#[test]
fn a_table_without_usable_rows_creates_no_folder() {
    let fixture = TestFolder::new();
    let table = fixture.table("t.csv", "image,text\nno.png,x\n");
    let options = TableOptions { skip_bad: true, ..TableOptions::default() };
    let error = fixture.prepare(&table, &options).unwrap_err();
    assert!(error.contains("no row can be used; the first is on line 2: image"), "{error}");
    assert!(!fixture.out().exists());
}

#[test]
fn images_are_stored_smaller_if_requested() {
    let fixture = TestFolder::new();
    let table = fixture.table("t.csv", GOOD);
    let options = |side| TableOptions {
        prepare: PrepareOptions { side: Some(side), ..PrepareOptions::default() },
        ..TableOptions::default()
    };
    // The images are 20 x 24.
    let (manifest, records) = fixture.prepare(&table, &options(10)).unwrap();
    let small = ptu_input::Picture::decode(&records[0].image.as_ref().unwrap().bytes, "a").unwrap();
    assert_eq!((small.width(), small.height()), (10, 12));
    let whole = ptu_input::Picture::decode(&png(0), "a").unwrap();
    assert_eq!(small, ptu_input::image::transform::resize_short(&whole, 10).unwrap());
    assert!(manifest.preprocessing[0].contains("more than 10 pixels"), "{:?}", manifest.preprocessing);
    let (_, records) = fixture.prepare(&table, &options(20)).unwrap();
    assert_eq!(records[0].image.as_ref().unwrap().bytes, png(0), "an image that is not larger is stored unchanged");
    assert!(fixture.prepare(&table, &options(0)).unwrap_err().contains("`side`"));
}

#[test]
fn bad_images_are_errors() {
    let fixture = TestFolder::new();
    let file = |name: &str, content: &[u8]| fs::write(fixture.here.path().join("images").join(name), content).unwrap();
    file("empty.png", b"");
    file("cut.png", &png(1)[..60]);
    file("text.png", b"this is no picture at all");
    // The header of a PNG says its size: 0 x 24, and 50,000 x 24 (with a CRC that fits, as a real one would have).
    file("zero.png", &resized(0));
    file("wide.png", &resized(50_000));
    fs::create_dir(fixture.here.path().join("images/folder.png")).unwrap();
    for (name, part) in [
        ("empty", "0 bytes"),
        ("cut", "truncated"),
        ("text", "is text, which is not supported"),
        ("zero", "no pixels"),
        ("wide", "too large"),
        ("absent", "is not there"),
        ("folder", "is not a file"),
    ] {
        let image = format!("images/{name}.png");
        fixture.refuses_row(format!("{GOOD}b,{image},two\n"), "t.csv", &["line 3", part, &image, "--skip-bad"], 1);
    }
}

/// A PNG whose header claims another width.
fn resized(width: u32) -> Vec<u8> {
    let mut bytes = png(1);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    let crc = bytes[12..29].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1)))
    });
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

#[test]
fn bad_rows_are_errors() {
    let fixture = TestFolder::new();
    let row = |row: &str| format!("{GOOD}{row}\n");
    fixture.refuses_row(row("a,images/1.png,two"), "t.csv", &["line 3", "id `a` is also the id of line 2"], 1);
    fixture.refuses_row(row("b,images/1.png,"), "t.csv", &["line 3", "`text` is empty", "--allow-missing"], 1);
    fixture.refuses_row(row("b,images/1.png,   "), "t.csv", &["line 3", "`text` is empty"], 1);
    fixture.refuses_row(row("b,,two"), "t.csv", &["line 3", "`image` is empty", "--allow-missing"], 1);
    fixture.refuses_row(row(",images/1.png,two"), "t.csv", &["line 3", "`id` is empty"], 1);
    fixture.refuses_row(row("b,images/1.png"), "t.csv", &["line 3", "2 fields, the header 3"], 1);
    fixture.refuses_row(row("b,images/1.png,one,two"), "t.csv", &["line 3", "4 fields, the header 3"], 1);
    let long = row(&format!("b,images/1.png,{}", "word ".repeat(200_000)));
    fixture.refuses_row(long, "t.csv", &["line 3", "a text of 999999 bytes (`word word", "at most 100000"], 1);
    let latin = [GOOD.as_bytes(), b"b,images/1.png,\xe4 caf\xe9\n"].concat();
    fixture.refuses_row(latin, "t.csv", &["line 3", "column `text` is not UTF-8 (byte 1 of it)"], 1);
    // Line numbers count blank lines and line breaks within quotes, for every line ending. The last line may lack its ending.
    for end in ["\n", "\r\n"] {
        let table = format!("id,text{end}{end}a,\"one{end}{end}\"{end}{end}{end}b,");
        fixture.refuses_row(&table, "t.csv", &["line 8", "`text` is empty"], 1);
        fixture.refuses_row(format!("{table}{end}"), "t.csv", &["line 8", "`text` is empty"], 1);
    }
    let quoted = "id,image,text\na,images/0.png,\"one\n\n\"\nb,no.png,two\n";
    fixture.refuses_row(quoted, "t.csv", &["line 5", "no.png"], 1);
}

#[test]
fn bad_json_rows_are_errors() {
    let fixture = TestFolder::new();
    let good = "{\"id\": \"a\", \"text\": \"one\"}\n";
    let row = |row: &str| format!("{good}{row}\n");
    fixture.refuses_row(row("{\"id\": \"b\", \"text\": "), "t.jsonl", &["line 2", "is not valid JSON"], 1);
    fixture.refuses_row(row(&"[".repeat(200_000)), "t.jsonl", &["line 2", "not a JSON object"], 1);
    fixture.refuses_row(row("[1, 2]"), "t.jsonl", &["line 2", "not a JSON object"], 1);
    fixture.refuses_row(
        row("{\"id\": \"b\", \"text\": {\"x\": 1}}"),
        "t.jsonl",
        &["line 2", "`text` holds a nested value"],
        1,
    );
    fixture.refuses_row(
        row("{\"id\": [\"b\", \"c\"], \"text\": \"x\"}"),
        "t.jsonl",
        &["line 2", "`id` has 2 values"],
        1,
    );
    fixture.refuses_row(
        row("{\"id\": \"b\", \"text\": null}"),
        "t.jsonl",
        &["line 2", "neither an image nor a text"],
        1,
    );
    fixture.refuses_row(row("{\"id\": \"b\", \"text\": \"\"}"), "t.jsonl", &["line 2", "`text` is empty"], 1);
    let huge = row(&format!("{{\"id\": \"b\", \"text\": \"{}\"}}", "x".repeat(9 << 20)));
    fixture.refuses_row(huge, "t.jsonl", &["line 2", "longer than 8 MiB"], 1);
    let latin = [good.as_bytes(), b"{\"id\": \"b\xe4\"}\n"].concat();
    fixture.refuses_row(latin, "t.jsonl", &["line 2", "byte 10 is not UTF-8"], 1);
}

#[test]
fn splits_of_the_table_are_checked() {
    let fixture = TestFolder::new();
    let head = "id,patient,text,split\na,p,one,train\n";
    let two = format!("{head}b,p,two,test\n");
    fixture.refuses_row(two, "t.csv", &["line 3", "patient `p` is in split `test` here and in `train` on line 2"], 1);
    fixture.refuses_row(format!("{head}b,q,two,holdout\n"), "t.csv", &["line 3", "`holdout` is not a split"], 1);
    fixture.refuses_row(
        format!("{head}b,q,two,\n"),
        "t.csv",
        &["line 3", "`split` is empty; write `train`, `validate` or `test`"],
        1,
    );
}

#[test]
fn empty_cells_are_missing_modalities_if_allowed() {
    let fixture = TestFolder::new();
    let table = fixture.table("t.csv", "id,image,text\na,images/0.png,\nb,,two\nc,images/1.png,three\n");
    let options = TableOptions { allow_missing: true, ..TableOptions::default() };
    let (_, records) = fixture.prepare(&table, &options).unwrap();
    assert!(records[0].texts.is_empty() && records[1].image.is_none() && records.len() == 3);
    let table = fixture.table("t.csv", "id,image,text\na,,\n");
    let error = fixture.prepare(&table, &options).unwrap_err();
    assert!(error.contains("neither an image nor a text"), "{error}");
}

#[test]
fn tables_written_by_spreadsheet_programs_are_read() {
    let fixture = TestFolder::new();
    let text = "image\ttext\tlabels\tage\tquestion\tanswer\r\nimages/0.png\tCafé \u{1f600}.\tedema | effusion\t70\tIs it?\tYes\r\n";
    for big in [false, true] {
        let units: Vec<u16> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).collect();
        let bytes: Vec<u8> =
            units.iter().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect();
        let table = fixture.table("t.tsv", bytes);
        let record = fixture.prepare(&table, &TableOptions::default()).unwrap().1.remove(0);
        assert_eq!(record.texts, ["Café \u{1f600}."]);
        let labels: Vec<&str> = record.labels.iter().map(|label| label.value.as_str()).collect();
        assert_eq!(labels, ["edema", "effusion"]);
        assert_eq!(record.fields, [Label::new("age", "70")]);
        assert_eq!((record.questions[0].answer.as_str(), record.questions[0].closed), ("Yes", true));
    }
    let cut = b"\xff\xfet\0e\0x\0t\0\n\0a\0\x3d\xd8".to_vec();
    fixture.refuses(cut, "t.csv", &["line 2", "`text` is not UTF-8 (byte 2 of it)"]);
}

#[test]
fn questions_are_counted_in_the_manifest() {
    let fixture = TestFolder::new();
    let rows =
        "images/0.png,Is it?,Yes,train\nimages/1.png,Where?,The left lung,train\nimages/2.png,Where?,left lung,test\n";
    let table = fixture.table("q.csv", format!("image,question,answer,split\n{rows}"));
    let manifest = fixture.prepare(&table, &TableOptions::default()).unwrap().0;
    let noted = |what: &str| manifest.noted.get(what).copied().unwrap_or_default();
    assert_eq!(["questions-in-train", "questions-in-validate", "questions-in-test"].map(noted), [2, 0, 1]);
    assert_eq!(["closed-questions-in-train", "closed-questions-in-test"].map(noted), [1, 0]);
    assert_eq!(["answers-to-learn-from", "answers-in-all-splits"].map(noted), [2, 2]);
}

#[test]
fn questions_may_have_no_answer() {
    let fixture = TestFolder::new();
    for text in ["image,question\nimages/0.png,Is it?\n", "image,question,answer\nimages/0.png,Is it?,\n"] {
        let (manifest, records) = fixture.prepare(&fixture.table("q.csv", text), &TableOptions::default()).unwrap();
        let question = &records[0].questions[0];
        assert_eq!((question.question.as_str(), question.has_answer(), question.closed), ("Is it?", false, false));
        assert!(manifest.noted.keys().any(|key| key.starts_with("questions-without-an-answer-in-")), "{manifest:?}");
        assert!(!manifest.noted.contains_key("answers-in-all-splits"));
    }
}

#[test]
fn pairs_of_sentences_and_sections_are_found_by_their_columns() {
    let fixture = TestFolder::new();
    let table = fixture.table("t.csv", "premise,hypothesis,label\nA.,B.,neutral\n");
    let record = fixture.prepare(&table, &TableOptions::default()).unwrap().1.remove(0);
    assert_eq!(record.sentences.unwrap().hypothesis, "B.");
    fixture.refuses("premise,hypothesis\nA.,\n", "u.csv", &["line 2", "a premise without a hypothesis"]);
    fixture.refuses("text,question,answer\nx,,yes\n", "v.csv", &["line 2", "an answer without a question"]);
    let table = fixture.table("w.csv", "image,findings,impression\nimages/1.png,Clear.,Normal.\n");
    let record = fixture.prepare(&table, &TableOptions::default()).unwrap().1.remove(0);
    assert_eq!(record.sections, [ptu_data::record::Section::Findings, ptu_data::record::Section::Impression]);
}

#[test]
fn lists_folders_and_parquet_files_are_tables() {
    let fixture = TestFolder::new();
    let list = "[{\"image\": \"images/0.png\", \"text\": \"A b.\"}, 7, {\"text\": [\"C d.\"], \"image\": null}]";
    let table = fixture.table("t.json", list);
    let options = TableOptions { skip_bad: true, ..TableOptions::default() };
    let (manifest, records) = fixture.prepare(&table, &options).unwrap();
    assert_eq!((records.len(), records[1].texts[0].as_str()), (2, "C d."));
    assert!(manifest.skipped[0].place == "line 2" && manifest.skipped[0].cause.contains("not a JSON object"));
    // Shards are parquet files that contain their images, like the files of `datasets`.
    let shard = fixture.here.path().join("copy/metadata.parquet");
    fs::create_dir(shard.parent().unwrap()).unwrap();
    fs::copy(fixture.out().join(&manifest.shards[0].file), &shard).unwrap();
    let columns = ColumnNames { texts: vec!["texts".into()], ..ColumnNames::default() };
    let options = TableOptions { columns, skip_bad: true, ..TableOptions::default() };
    let again = fixture.prepare(shard.parent().unwrap(), &options).unwrap().1;
    assert_eq!(again.iter().map(|record| &record.image).collect::<Vec<_>>(), [&records[0].image, &None]);
    let empty = fixture.here.path().join("images");
    assert!(fixture.prepare(&empty, &options).unwrap_err().contains("has no `metadata.csv`"));
    fixture.refuses("[1", "u.json", &["not a JSON"]);
    fixture.refuses("not a parquet", "v.parquet", &["it is not a parquet file"]);
}

/// The bytes and the path of an image, and the texts.
type ParquetRow<'a> = (Option<&'a [u8]>, Option<&'a str>, &'a [&'a str]);

/// Writes a parquet table as pandas or `datasets` do, with images, lists of texts and numbers.
fn write_parquet(path: &Path, rows: &[ParquetRow<'_>]) {
    use std::sync::Arc;

    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{ArrayRef, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray, StructArray};
    use arrow_schema::{DataType, Field, Fields};

    let fields =
        Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)]);
    let bytes = BinaryArray::from_iter(rows.iter().map(|(bytes, ..)| *bytes));
    let paths = StringArray::from_iter(rows.iter().map(|(_, path, _)| *path));
    let has_image: Vec<bool> = rows.iter().map(|(bytes, ..)| bytes.is_some()).collect();
    let image = StructArray::new(fields, vec![Arc::new(bytes), Arc::new(paths)], Some(has_image.into()));
    let mut texts = ListBuilder::new(StringBuilder::new());
    for (.., row) in rows {
        row.iter().for_each(|text| texts.values().append_value(text));
        texts.append(true);
    }
    let ages = (0..rows.len()).map(|row| (row == 0).then_some(70.5));
    let columns: [(&str, ArrayRef); 4] = [
        ("image", Arc::new(image)),
        ("text", Arc::new(texts.finish())),
        ("label", Arc::new(Int64Array::from_iter_values(0..rows.len() as i64))),
        ("age", Arc::new(Float64Array::from_iter(ages))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn images_within_a_parquet_file_are_checked_like_others() {
    let fixture = TestFolder::new();
    let path = fixture.here.path().join("t.parquet");
    let rows: [ParquetRow<'_>; 3] = [
        (Some(&png(3)), Some("a.png"), &["One.", "Two."]),
        (Some(b"no picture"), None, &["Three."]),
        (None, None, &["Four."]),
    ];
    write_parquet(&path, &rows);
    let options = TableOptions { skip_bad: true, ..TableOptions::default() };
    let (manifest, records) = fixture.prepare(&path, &options).unwrap();
    assert_eq!(records[0].image.as_ref().unwrap().bytes, png(3));
    assert_eq!((records[0].texts.len(), records[0].labels[0].value.as_str()), (2, "0"));
    assert_eq!(records[0].fields, [Label::new("age", "70.5")]);
    assert!(records[1].image.is_none() && records[1].texts == ["Four."]);
    assert!(
        manifest.skipped[0].place == "line 2" && manifest.skipped[0].cause.contains("row-2"),
        "{:?}",
        manifest.skipped
    );
}

#[test]
fn parquet_files_by_split_are_one_table() {
    let fixture = TestFolder::new();
    let folder = fixture.here.path().join("copy");
    fs::create_dir_all(folder.join("data")).unwrap();
    let file = |name: &str| folder.join("data").join(name);
    fn row(bytes: &[u8]) -> ParquetRow<'_> {
        (Some(bytes), None, &["Words of one."])
    }
    let pictures = [png(1), png(2), png(3), png(4)];
    write_parquet(&file("train-00000-of-00002.parquet"), &[row(&pictures[0]), row(&pictures[1])]);
    write_parquet(&file("train-00001-of-00002.parquet"), &[row(b"no picture"), row(&pictures[2])]);
    write_parquet(&file("test-00000-of-00001.parquet"), &[row(&pictures[3]), row(&pictures[0])]);
    fs::write(file("README.parquet"), "of no split").unwrap();
    let error = fixture.prepare(&folder, &TableOptions::default()).unwrap_err();
    assert!(
        error.contains("train-00001-of-00002.parquet row 1: image `row-1` is text, which is not supported"),
        "{error}"
    );
    let (manifest, records) =
        fixture.prepare(&folder, &TableOptions { skip_bad: true, ..TableOptions::default() }).unwrap();
    let splits: Vec<_> = records.iter().map(|record| (record.id.as_str(), record.split)).collect();
    let wanted = [
        ("copy:1", Split::Train),
        ("copy:2", Split::Train),
        ("copy:4", Split::Train),
        ("copy:5", Split::Test),
        ("copy:6", Split::Test),
    ];
    assert_eq!(splits, wanted);
    assert_eq!(records[2].image.as_ref().unwrap().bytes, pictures[2]);
    // Published splits are kept unchanged, and images that two splits share are reported.
    let shared: Vec<_> = manifest.overlaps.iter().map(|one| (one.of, one.splits, one.count, one.removed)).collect();
    assert_eq!(shared[0], (ptu_data::manifest::Common::Image, [Split::Train, Split::Test], 1, 0));
    assert!(shared.iter().all(|one| one.0 != ptu_data::manifest::Common::Patient), "{shared:?}");
    write_parquet(&file("validation-00000-of-00001.parquet"), &[row(&pictures[3])]);
    fs::copy(fixture.out().join("train-00000.parquet"), file("test-00000-of-00001.parquet")).unwrap();
    let error = fixture.prepare(&folder, &TableOptions { skip_bad: true, ..TableOptions::default() }).unwrap_err();
    let parts = ["test-00000-of-00001.parquet", "its columns differ from those of"];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}
