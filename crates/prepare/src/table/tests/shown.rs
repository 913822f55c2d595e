//! What is told of columns, names and files, or refused.

use ptu_data::columns::Purpose;

use super::*;

fn options() -> TableOptions {
    TableOptions::default()
}

/// What a table tells before it is read.
fn lines(table: &Path, options: &TableOptions) -> String {
    Table::open(table, options).unwrap().lines().join("\n")
}

#[test]
fn each_column_is_told_before_and_in_the_manifest() {
    let fake = Fake::new();
    let table = fake.table(
        "t.csv",
        "image,text,group,age,site,site\nimages/0.png,One.,g1,70,a,b\nimages/1.png,Two.,g1,71,a,b\nimages/2.png,Three.,g2,72,a,b\n",
    );
    let told = lines(&table, &options());
    for part in [
        "image        `image`",
        "text         `text`",
        "patient      none; an image is its own patient, a record without image too. If `group` says what belongs together",
        "pass `--patient group`",
        "split        none; drawn by a hash of the patient",
        "labels       none",
        "fields       `group`, `age`",
        "left out     `site` (is there twice; rename one to keep both)",
    ] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
    let (manifest, records) = fake.prepare(&table, &options()).unwrap();
    let of = |name: &str| manifest.columns.iter().find(|column| column.name == name).unwrap();
    assert_eq!((of("image").taken_for, of("age").taken_for), (Purpose::Image, Purpose::Field));
    assert!(of("site").taken_for == Purpose::Left && of("site").why.as_ref().unwrap().contains("twice"));
    assert!(manifest.told[0].contains("1 of the 2 values of `group` stand for several records"), "{:?}", manifest.told);
    assert_eq!(records[0].fields, [Label::new("group", "g1"), Label::new("age", "70")]);
    let card = fs::read_to_string(fake.out().join("README.md")).unwrap();
    assert!(card.contains("| `group` | fields |") && card.contains("of the 2 values of `group`"), "{card}");
    // Named, it is the patient, and nothing is to be warned of.
    let columns = ColumnNames { patient: Some("group".into()), fields: Some(vec![]), ..ColumnNames::default() };
    let (manifest, records) = fake.prepare(&table, &TableOptions { columns, ..options() }).unwrap();
    assert_eq!((records[0].patient.as_str(), records[0].fields.len(), manifest.told.len()), ("g1", 0, 0));
}

#[test]
fn values_that_repeat_are_told_where_they_may_name_what_belongs_together() {
    let fake = Fake::new();
    // Of 60 records, some columns name pairs of them, others kinds of record.
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
    let table = fake.table("t.csv", format!("text,visit,sex,age,note_of_it,number\n{rows}"));
    let (manifest, _) = fake.prepare(&table, &options()).unwrap();
    assert_eq!(manifest.told.len(), 1, "{:?}", manifest.told);
    assert!(manifest.told[0].contains("30 of the 30 values of `visit`"), "{:?}", manifest.told);
    assert!(manifest.told[0].contains("`--patient visit`"), "{:?}", manifest.told);
    // More values than are remembered: a fair sample tells about how many.
    let rows: String = (0..20_000).map(|row| format!("text {row},s{}\n", row / 2)).collect();
    let (manifest, _) = fake.prepare(&fake.table("u.csv", format!("text,visit\n{rows}")), &options()).unwrap();
    let told: u64 = manifest.told[0].split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!((8_500..11_500).contains(&told), "{:?}", manifest.told);
}

#[test]
fn what_all_records_have_in_common_is_no_patient() {
    let fake = Fake::new();
    let rows: String = (0..6).map(|row| format!("text {row},one,s{}\n", row / 2)).collect();
    let table = fake.table("t.csv", format!("text,study_id,case\n{rows}"));
    let shares = crate::Shares { validate: 0.0, test: 0.0, ..crate::Shares::default() };
    let (manifest, _) = fake.prepare(&table, &TableOptions { shares, ..options() }).unwrap();
    let told = "no column names the patient, and 3 of the 3 values of `case` stand for several records; if `case`";
    assert!(manifest.told.len() == 1 && manifest.told[0].starts_with(told), "{:?}", manifest.told);
}

#[test]
fn a_column_of_pictures_that_is_not_taken_is_refused() {
    let fake = Fake::new();
    let rows = "images/0.png,One.\nimages/1.png,Two.\n";
    let parts =
        ["no column is taken for the image", "`picture` look like paths of pictures", "`images/0.png` on line 2"];
    fake.refuses(
        format!("picture,text\n{rows}"),
        "t.csv",
        &[&parts[..], &["pass `--image picture`", "`--no-fields`"]].concat(),
    );
    fake.refuses("text,scan\nOne.,A.JPG\nTwo.,\nThree.,B.jpeg\n", "u.csv", &["`scan` look like"]);
    fake.refuses(
        "{\"text\": \"One.\", \"Bild\": \"x/1.tif\"}\n",
        "v.jsonl",
        &["`Bild` look like", "pass `--image Bild`"],
    );
    // The image's column is there, but empty in all rows.
    let missing = TableOptions { allow_missing: true, ..options() };
    let table = fake.table("w.csv", "image,path,text\n,images/0.png,One.\n");
    let error = fake.prepare(&table, &missing).unwrap_err();
    assert!(error.contains("no record has an image in `image`") && error.contains("--image path"), "{error}");
    // Named, or not kept, or of few rows: nothing is wrong.
    let table = fake.table("t.csv", format!("picture,text\n{rows}"));
    let named = ColumnNames { image: Some("picture".into()), ..ColumnNames::default() };
    assert!(fake.prepare(&table, &TableOptions { columns: named, ..options() }).unwrap().1[0].image.is_some());
    let none = ColumnNames { fields: Some(vec![]), ..ColumnNames::default() };
    assert!(fake.prepare(&table, &TableOptions { columns: none, ..options() }).unwrap().1[0].image.is_none());
    let few = fake.table("x.csv", "text,remark\nOne.,see a.png\nTwo.,none\nThree.,none\n");
    assert_eq!(fake.prepare(&few, &options()).unwrap().1.len(), 3);
    // A message names only options of its command.
    let quick = TableOptions { command: TableCommand::Quickstart, ..options() };
    let error = fake.prepare(&table, &quick).unwrap_err();
    assert!(error.contains("pass `--image picture`") && !error.contains("--no-fields"), "{error}");
    let embedded = crate::InputFiles::find(&[table], &[]).err().unwrap().to_string();
    assert!(embedded.contains("rename it `image`") && embedded.contains("`--no-fields`"), "{embedded}");
}

#[test]
fn messages_name_options_that_the_command_has() {
    let fake = Fake::new();
    let quick = TableOptions { command: TableCommand::Quickstart, ..options() };
    let error = |table: &str| fake.prepare(&fake.table("t.csv", table), &quick).unwrap_err();
    let bad = error("image,text\nimages/0.png,One.\nimages/9.png,Two.\n");
    assert!(bad.contains("images/9.png` is not there") && bad.contains("`--skip-bad` leaves"), "{bad}");
    let bad = error("image,text\nimages/0.png,\n");
    assert!(bad.contains("`text` is empty; fill it, or leave the row out") && !bad.contains("--allow"), "{bad}");
    let bad = error("id,ID,text\n1,2,One.\n");
    assert!(bad.contains("rename all but one"), "{bad}");
    let bad = error("image,Image,text\n1,2,One.\n");
    assert!(bad.contains("pass `--image image`"), "{bad}");
}

#[test]
fn names_that_people_take_for_the_same_are_one() {
    let fake = Fake::new();
    let (composed, decomposed) = ("M\u{fc}ller", "Mu\u{308}ller");
    let head = "id,patient,text,split\n";
    let two = |one: &str, other: &str| format!("{head}a,{one},One text.,train\nb,{other},Other text.,test\n");
    let parts = ["line 3", "is in split `test` here and in `train` on line 2"];
    fake.refuses_row(two(composed, decomposed), "t.csv", &parts, 1);
    // Blanks and invisible marks around a name, in parts of tables that were put together.
    for other in ["p1\u{a0}", "\u{feff}p1", "p1\u{200b}", "\u{2060}p1\u{200e}"] {
        fake.refuses_row(two("p1", other), "t.csv", &parts, 1);
    }
    fake.refuses_row(
        format!("id,text\n{composed},One.\n{decomposed},Two.\n"),
        "t.csv",
        &["line 3", "is that of line 2 too"],
        1,
    );
    // Drawn splits are equal too, the patient is kept as written, and counted once.
    let rows: String = (0..40).map(|row| format!("r{row}\u{e9},One {row}.\nr{row}e\u{301},Two {row}.\n")).collect();
    let (manifest, records) = fake.prepare(&fake.table("u.csv", format!("patient,text\n{rows}")), &options()).unwrap();
    assert_eq!(manifest.splits.values().map(|counts| counts.patients).sum::<u64>(), 40);
    assert!(manifest.splits.len() > 1 && records.iter().any(|record| record.patient.contains("e\u{301}")));
    // Columns and splits with marks around them.
    let (_, records) = fake
        .prepare(&fake.table("v.csv", "\u{feff}\u{200b}text,split\u{a0}\nOne.,\u{200b}test\n"), &options())
        .unwrap();
    assert_eq!((records[0].texts[0].as_str(), records[0].split), ("One.", Split::Test));
}

#[test]
fn paths_of_other_systems_are_read_and_told() {
    let fake = Fake::new();
    fs::write(fake.here.path().join("images/\u{e4}.png"), png(3)).unwrap();
    let table = fake.table("t.csv", "image,text\nimages\\0.png,One.\nimages/a\u{308}.png,Two.\n");
    let (manifest, records) = fake.prepare(&table, &options()).unwrap();
    assert_eq!(records[0].image.as_ref().unwrap().path.as_deref(), Some("images\\0.png"), "kept as written");
    assert_eq!((manifest.noted["paths-with-backslashes"], manifest.noted["paths-in-another-form"]), (1, 1));
    let told = &manifest.details["paths-with-backslashes"][0];
    assert!(told.place == "line 2" && told.cause.contains("is read from `images/0.png`"), "{told:?}");
    for (path, parts) in [
        ("file:///data/img/0.png", &["`file:///data/img/0.png` is a `file://` address; write the path alone"][..]),
        ("https://host/0.png", &["`https://` address; nothing is downloaded"]),
        ("C:\\img\\0.png", &["letter of a drive"]),
        ("images\\9.png", &["is not there, and neither is it with `/`"]),
    ] {
        fake.refuses_row(format!("{GOOD}b,{path},two\n"), "u.csv", &[&["line 3"], parts].concat(), 1);
    }
}

#[test]
fn a_name_that_many_images_share_is_nobodys() {
    let fake = Fake::new();
    let path = fake.here.path().join("t.parquet");
    let pictures: Vec<Vec<u8>> = (0..40).map(png_of).collect();
    let kept = PrepareOptions { duplicates: Some(Duplicates::Reported), ..PrepareOptions::default() };
    let kept = TableOptions { making: kept, ..options() };
    let split = |name: Option<&str>| {
        let rows: Vec<ParquetRow<'_>> =
            pictures.iter().map(|bytes| (Some(&bytes[..]), name, &["Words."][..])).collect();
        write_parquet(&path, &rows);
        let (manifest, _) = fake.prepare(&path, &kept).unwrap();
        Split::ALL.map(|split| manifest.counts(split).patients)
    };
    for name in [Some("image.png"), Some("0.png"), Some(""), None] {
        let [train, validate, test] = split(name);
        assert!(train + validate + test == 40 && (26..39).contains(&train) && validate > 0 && test > 0, "{name:?}");
    }
    // Rows of one image are one patient, whatever they call it, and wherever else it stands.
    let rows: Vec<ParquetRow<'_>> =
        (0..40).map(|row| (Some(&pictures[row / 4][..]), Some(["a.png", "b.png"][row % 2]), &["Words."][..])).collect();
    write_parquet(&path, &rows);
    let (manifest, records) = fake.prepare(&path, &kept).unwrap();
    assert_eq!(
        manifest
            .splits
            .values()
            .map(|counts| (counts.records, counts.patients))
            .fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1)),
        (40, 10)
    );
    let before: std::collections::BTreeMap<_, _> = records.iter().map(|one| (one.patient.clone(), one.split)).collect();
    // More rows move none.
    write_parquet(&path, &rows[..20]);
    let (_, records) = fake.prepare(&path, &kept).unwrap();
    assert!(records.iter().all(|record| before[&record.patient] == record.split));
}

/// A small picture of its own.
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
fn files_that_no_rule_places_are_told() {
    let fake = Fake::new();
    let folder = fake.here.path().join("copy");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, number: u8| {
        write_parquet(&folder.join(name), &[(Some(&png(number)), Some("image.png"), &["Words."])]);
    };
    for (number, name) in ["train-0", "eval-0", "holdout-0", "testA-0", "valid2-0"].iter().enumerate() {
        write(&format!("{name}.parquet"), number as u8);
    }
    let told = lines(&folder, &options());
    assert!(
        told.contains("test         `eval-0.parquet`") && told.contains("validate     `valid2-0.parquet`"),
        "{told}"
    );
    let (manifest, _) = fake.prepare(&folder, &options()).unwrap();
    assert_eq!(Split::ALL.map(|split| manifest.counts(split).records), [1, 1, 1]);
    let left: Vec<&str> = manifest.details["files-passed-over"].iter().map(|one| one.place.as_str()).collect();
    assert_eq!((left, manifest.noted["files-passed-over"]), (vec!["holdout-0.parquet", "testA-0.parquet"], 2));
    assert!(manifest.details["files-passed-over"][0].cause.contains("its name tells no split"));
}

#[test]
fn folders_of_splits_have_images_of_their_own() {
    let fake = Fake::new();
    let folder = fake.here.path().join("set");
    for (split, number) in [("train", 0), ("Test", 1)] {
        fs::create_dir_all(folder.join(split)).unwrap();
        fs::write(folder.join(split).join("0.png"), png(number)).unwrap();
        fs::write(folder.join(split).join("metadata.csv"), "file_name,text\n0.png,Words of it.\n").unwrap();
    }
    let (manifest, records) = fake.prepare(&folder, &options()).unwrap();
    let images: Vec<_> = records.iter().map(|one| (one.split, one.image.as_ref().unwrap().bytes.clone())).collect();
    assert_eq!(images, [(Split::Train, png(0)), (Split::Test, png(1))]);
    assert_eq!(manifest.source, "set");
    // A column that says another split than the file's name is no mistake to be passed over.
    fs::write(folder.join("train/metadata.csv"), "file_name,text,split\n0.png,Words of it.,test\n").unwrap();
    fs::write(folder.join("Test/metadata.csv"), "file_name,text,split\n0.png,Words of it.,test\n").unwrap();
    let error = fake.prepare(&folder, &options()).unwrap_err();
    assert!(error.contains("train/metadata.csv row 2: `split` says `test`, but the file's name `train`"), "{error}");
}
