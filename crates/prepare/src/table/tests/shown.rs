//! Messages and errors about columns, names and files.

use ptu_data::columns::Purpose;

use super::*;

fn options() -> TableOptions {
    TableOptions::default()
}

/// The lines for the user before the rows of a table are read.
fn lines(table: &Path, options: &TableOptions) -> String {
    Table::open(table, options).unwrap().lines().join("\n")
}

#[test]
fn each_column_is_reported_before_reading_and_in_the_manifest() {
    let fixture = TestFolder::new();
    let table = fixture.table(
        "t.csv",
        "image,text,group,age,site,site\nimages/0.png,One.,g1,70,a,b\nimages/1.png,Two.,g1,71,a,b\nimages/2.png,Three.,g2,72,a,b\n",
    );
    let shown = lines(&table, &options());
    for part in [
        "image        `image`",
        "text         `text`",
        "patient      none; each image counts as one patient, and so does each record without an image. If",
        "If records with the same `group` must be in one split, pass `--patient group`",
        "split        none; chosen by a hash of the patient",
        "labels       none",
        "fields       `group`, `age`",
        "not used     `site` (occurs twice; rename one to keep both)",
    ] {
        assert!(shown.contains(part), "`{part}` is not in:\n{shown}");
    }
    let (manifest, records) = fixture.prepare(&table, &options()).unwrap();
    let of = |name: &str| manifest.columns.iter().find(|column| column.name == name).unwrap();
    assert_eq!((of("image").taken_for, of("age").taken_for), (Purpose::Image, Purpose::Field));
    assert!(of("site").taken_for == Purpose::Left && of("site").why.as_ref().unwrap().contains("twice"));
    assert!(
        manifest.remarks[0].contains("1 of the 2 values of `group` occur in several records"),
        "{:?}",
        manifest.remarks
    );
    assert_eq!(records[0].fields, [Label::new("group", "g1"), Label::new("age", "70")]);
    let card = fs::read_to_string(fixture.out().join("README.md")).unwrap();
    assert!(card.contains("| `group` | fields |") && card.contains("of the 2 values of `group`"), "{card}");
    // If the user names the column, it gives the patient, and there is no warning.
    let columns = ColumnNames { patient: Some("group".into()), fields: Some(vec![]), ..ColumnNames::default() };
    let (manifest, records) = fixture.prepare(&table, &TableOptions { columns, ..options() }).unwrap();
    assert_eq!((records[0].patient.as_str(), records[0].fields.len(), manifest.remarks.len()), ("g1", 0, 0));
}

#[test]
fn repeated_values_are_reported_if_they_may_group_records() {
    let fixture = TestFolder::new();
    // There are 60 records. Some columns group two records each, others give categories of records.
    let rows: String = (0..60)
        .map(|row| {
            format!(
                "text {row},s{},{},{},\"a note of many words, {}\",{row}\n",
                row / 2,
                row % 2,
                20 + row % 30,
                row / 2
            )
        })
        .collect();
    let table = fixture.table("t.csv", format!("text,visit,sex,age,note_of_it,number\n{rows}"));
    let (manifest, _) = fixture.prepare(&table, &options()).unwrap();
    assert_eq!(manifest.remarks.len(), 1, "{:?}", manifest.remarks);
    assert!(manifest.remarks[0].contains("30 of the 30 values of `visit`"), "{:?}", manifest.remarks);
    assert!(manifest.remarks[0].contains("`--patient visit`"), "{:?}", manifest.remarks);
    // There are more values than are stored, so their number is estimated from a sample.
    let rows: String = (0..20_000).map(|row| format!("text {row},s{}\n", row / 2)).collect();
    let (manifest, _) = fixture.prepare(&fixture.table("u.csv", format!("text,visit\n{rows}")), &options()).unwrap();
    let estimate: u64 = manifest.remarks[0].split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!((8_500..11_500).contains(&estimate), "{:?}", manifest.remarks);
}

#[test]
fn a_value_that_all_records_share_is_not_a_patient() {
    let fixture = TestFolder::new();
    let rows: String = (0..6).map(|row| format!("text {row},one,s{}\n", row / 2)).collect();
    let table = fixture.table("t.csv", format!("text,study_id,case\n{rows}"));
    let shares = crate::Shares { validate: 0.0, test: 0.0, ..crate::Shares::default() };
    let (manifest, _) = fixture.prepare(&table, &TableOptions { shares, ..options() }).unwrap();
    let expected = "no column names the patient, and 3 of the 3 values of `case` occur in several records; if records";
    assert!(manifest.remarks.len() == 1 && manifest.remarks[0].starts_with(expected), "{:?}", manifest.remarks);
}

#[test]
fn an_unused_column_of_image_paths_is_an_error() {
    let fixture = TestFolder::new();
    let rows = "images/0.png,One.\nimages/1.png,Two.\n";
    let parts = ["no column is used as the image", "`picture` look like paths of images", "`images/0.png` on line 2"];
    fixture.refuses(
        format!("picture,text\n{rows}"),
        "t.csv",
        &[&parts[..], &["pass `--image picture`", "`--no-fields`"]].concat(),
    );
    fixture.refuses("text,scan\nOne.,A.JPG\nTwo.,\nThree.,B.jpeg\n", "u.csv", &["`scan` look like"]);
    fixture.refuses(
        "{\"text\": \"One.\", \"Bild\": \"x/1.tif\"}\n",
        "v.jsonl",
        &["`Bild` look like", "pass `--image Bild`"],
    );
    // The table has an image column, but it is empty in all rows.
    let missing = TableOptions { allow_missing: true, ..options() };
    let table = fixture.table("w.csv", "image,path,text\n,images/0.png,One.\n");
    let error = fixture.prepare(&table, &missing).unwrap_err();
    assert!(error.contains("no record has an image in `image`") && error.contains("--image path"), "{error}");
    // It is not an error if the user names the column, if the column is not kept, or if only a few rows have a path.
    let table = fixture.table("t.csv", format!("picture,text\n{rows}"));
    let named = ColumnNames { image: Some("picture".into()), ..ColumnNames::default() };
    assert!(fixture.prepare(&table, &TableOptions { columns: named, ..options() }).unwrap().1[0].image.is_some());
    let none = ColumnNames { fields: Some(vec![]), ..ColumnNames::default() };
    assert!(fixture.prepare(&table, &TableOptions { columns: none, ..options() }).unwrap().1[0].image.is_none());
    let few = fixture.table("x.csv", "text,remark\nOne.,see a.png\nTwo.,none\nThree.,none\n");
    assert_eq!(fixture.prepare(&few, &options()).unwrap().1.len(), 3);
    // A message names only options of its command.
    let quick = TableOptions { command: TableCommand::Quickstart, ..options() };
    let error = fixture.prepare(&table, &quick).unwrap_err();
    assert!(error.contains("pass `--image picture`") && !error.contains("--no-fields"), "{error}");
    let embedded = crate::InputFiles::with_fields(std::slice::from_ref(&table), &[], None).err().unwrap().to_string();
    assert!(embedded.contains("rename it to `image`") && embedded.contains("`--no-fields`"), "{embedded}");
    let predicted = crate::InputFiles::find(&[table], &[]).err().unwrap().to_string();
    assert!(predicted.contains("rename it to `image`") && !predicted.contains("--no-fields"), "{predicted}");
}

#[test]
fn messages_name_options_that_the_command_has() {
    let fixture = TestFolder::new();
    let quick = TableOptions { command: TableCommand::Quickstart, ..options() };
    let error = |table: &str| fixture.prepare(&fixture.table("t.csv", table), &quick).unwrap_err();
    let bad = error("image,text\nimages/0.png,One.\nimages/9.png,Two.\n");
    assert!(bad.contains("images/9.png` is not there") && bad.contains("`--skip-bad` skips"), "{bad}");
    let bad = error("image,text\nimages/0.png,\n");
    assert!(bad.contains("`text` is empty; fill it, or remove the row") && !bad.contains("--allow"), "{bad}");
    let bad = error("id,ID,text\n1,2,One.\n");
    assert!(bad.contains("rename all but one"), "{bad}");
    let bad = error("image,Image,text\n1,2,One.\n");
    assert!(bad.contains("pass `--image image`"), "{bad}");
}

#[test]
fn names_that_look_the_same_are_one_name() {
    let fixture = TestFolder::new();
    let (composed, decomposed) = ("M\u{fc}ller", "Mu\u{308}ller");
    let head = "id,patient,text,split\n";
    let two = |one: &str, other: &str| format!("{head}a,{one},One text.,train\nb,{other},Other text.,test\n");
    let parts = ["line 3", "is in split `test` here and in `train` on line 2"];
    fixture.refuses_row(two(composed, decomposed), "t.csv", &parts, 1);
    // Blanks and invisible characters around a name, as in tables that were merged from several sources.
    for other in ["p1\u{a0}", "\u{feff}p1", "p1\u{200b}", "\u{2060}p1\u{200e}"] {
        fixture.refuses_row(two("p1", other), "t.csv", &parts, 1);
    }
    fixture.refuses_row(
        format!("id,text\n{composed},One.\n{decomposed},Two.\n"),
        "t.csv",
        &["line 3", "is also the id of line 2"],
        1,
    );
    // The drawn splits are equal too. The patient is stored as written, but counted once.
    let rows: String = (0..40).map(|row| format!("r{row}\u{e9},One {row}.\nr{row}e\u{301},Two {row}.\n")).collect();
    let table = fixture.table("u.csv", format!("patient,text\n{rows}"));
    let (manifest, records) = fixture.prepare(&table, &options()).unwrap();
    assert_eq!(manifest.splits.values().map(|counts| counts.patients).sum::<u64>(), 40);
    assert!(manifest.splits.len() > 1 && records.iter().any(|record| record.patient.contains("e\u{301}")));
    // Names of columns and splits with invisible characters around them.
    let (_, records) = fixture
        .prepare(&fixture.table("v.csv", "\u{feff}\u{200b}text,split\u{a0}\nOne.,\u{200b}test\n"), &options())
        .unwrap();
    assert_eq!((records[0].texts[0].as_str(), records[0].split), ("One.", Split::Test));
}

#[test]
fn paths_of_other_systems_are_read_and_reported() {
    let fixture = TestFolder::new();
    fs::write(fixture.here.path().join("images/\u{e4}.png"), png(3)).unwrap();
    let table = fixture.table("t.csv", "image,text\nimages\\0.png,One.\nimages/a\u{308}.png,Two.\n");
    let (manifest, records) = fixture.prepare(&table, &options()).unwrap();
    assert_eq!(records[0].image.as_ref().unwrap().path.as_deref(), Some("images\\0.png"), "kept as written");
    assert_eq!((manifest.noted["paths-with-backslashes"], manifest.noted["paths-in-another-form"]), (1, 1));
    let entry = &manifest.details["paths-with-backslashes"][0];
    assert!(entry.place == "line 2" && entry.cause.contains("is read from `images/0.png`"), "{entry:?}");
    for (path, parts) in [
        ("file:///data/img/0.png", &["`file:///data/img/0.png` is a `file://` address; write the path alone"][..]),
        ("https://host/0.png", &["`https://` address; nothing is downloaded"]),
        ("C:\\img\\0.png", &["letter of a drive"]),
        ("images\\9.png", &["is not there, and neither is it with `/`"]),
    ] {
        fixture.refuses_row(format!("{GOOD}b,{path},two\n"), "u.csv", &[&["line 3"], parts].concat(), 1);
    }
}

#[test]
fn images_of_the_same_name_are_different_patients() {
    let fixture = TestFolder::new();
    let path = fixture.here.path().join("t.parquet");
    let pictures: Vec<Vec<u8>> = (0..40).map(png_of).collect();
    let kept = PrepareOptions { duplicates: Some(Duplicates::Reported), ..PrepareOptions::default() };
    let kept = TableOptions { prepare: kept, ..options() };
    let split = |name: Option<&str>| {
        let rows: Vec<ParquetRow<'_>> =
            pictures.iter().map(|bytes| (Some(&bytes[..]), name, &["Words."][..])).collect();
        write_parquet(&path, &rows);
        let (manifest, _) = fixture.prepare(&path, &kept).unwrap();
        Split::ALL.map(|split| manifest.counts(split).patients)
    };
    for name in [Some("image.png"), Some("0.png"), Some(""), None] {
        let [train, validate, test] = split(name);
        assert!(train + validate + test == 40 && (26..39).contains(&train) && validate > 0 && test > 0, "{name:?}");
    }
    // Rows with the same image are one patient, whatever the names of the images are.
    let rows: Vec<ParquetRow<'_>> =
        (0..40).map(|row| (Some(&pictures[row / 4][..]), Some(["a.png", "b.png"][row % 2]), &["Words."][..])).collect();
    write_parquet(&path, &rows);
    let (manifest, records) = fixture.prepare(&path, &kept).unwrap();
    assert_eq!(
        manifest
            .splits
            .values()
            .map(|counts| (counts.records, counts.patients))
            .fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1)),
        (40, 10)
    );
    let before: std::collections::BTreeMap<_, _> = records.iter().map(|one| (one.patient.clone(), one.split)).collect();
    // The number of rows does not change the splits of the records.
    write_parquet(&path, &rows[..20]);
    let (_, records) = fixture.prepare(&path, &kept).unwrap();
    assert!(records.iter().all(|record| before[&record.patient] == record.split));
}

/// A small image that differs for each number.
fn png_of(number: u8) -> Vec<u8> {
    let noise = |place: u32| (place.wrapping_mul(2_654_435_761).wrapping_add(u32::from(number) * 40_503) >> 11) as u8;
    let mut bytes = vec![];
    let mut encoder = ::png::Encoder::new(&mut bytes, 16, 16);
    encoder.set_color(::png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&(0..256).map(noise).collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn files_without_a_split_are_reported() {
    let fixture = TestFolder::new();
    let folder = fixture.here.path().join("copy");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, number: u8| {
        write_parquet(&folder.join(name), &[(Some(&png(number)), Some("image.png"), &["Words."])]);
    };
    for (number, name) in ["train-0", "eval-0", "holdout-0", "testA-0", "valid2-0"].iter().enumerate() {
        write(&format!("{name}.parquet"), number as u8);
    }
    let shown = lines(&folder, &options());
    assert!(
        shown.contains("test         `eval-0.parquet`") && shown.contains("validate     `valid2-0.parquet`"),
        "{shown}"
    );
    let (manifest, _) = fixture.prepare(&folder, &options()).unwrap();
    assert_eq!(Split::ALL.map(|split| manifest.counts(split).records), [1, 1, 1]);
    let skipped: Vec<&str> = manifest.details["files-passed-over"].iter().map(|one| one.place.as_str()).collect();
    assert_eq!((skipped, manifest.noted["files-passed-over"]), (vec!["holdout-0.parquet", "testA-0.parquet"], 2));
    assert!(manifest.details["files-passed-over"][0].cause.contains("its name gives no split"));
}

#[test]
fn folders_of_splits_have_their_own_images() {
    let fixture = TestFolder::new();
    let folder = fixture.here.path().join("set");
    for (split, number) in [("train", 0), ("Test", 1)] {
        fs::create_dir_all(folder.join(split)).unwrap();
        fs::write(folder.join(split).join("0.png"), png(number)).unwrap();
        fs::write(folder.join(split).join("metadata.csv"), "file_name,text\n0.png,Words of it.\n").unwrap();
    }
    let (manifest, records) = fixture.prepare(&folder, &options()).unwrap();
    let images: Vec<_> = records.iter().map(|one| (one.split, one.image.as_ref().unwrap().bytes.clone())).collect();
    assert_eq!(images, [(Split::Train, png(0)), (Split::Test, png(1))]);
    assert_eq!(manifest.source, "set");
    // It is an error if a column gives another split than the name of the file.
    fs::write(folder.join("train/metadata.csv"), "file_name,text,split\n0.png,Words of it.,test\n").unwrap();
    fs::write(folder.join("Test/metadata.csv"), "file_name,text,split\n0.png,Words of it.,test\n").unwrap();
    let error = fixture.prepare(&folder, &options()).unwrap_err();
    let expected = "train/metadata.csv row 2: `split` says `test`, but the file's name says `train`";
    assert!(error.contains(expected), "{error}");
}
