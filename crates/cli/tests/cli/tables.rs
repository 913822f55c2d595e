//! Tables as people bring them, through the real binary: what is told of columns, files and images, and what is refused.

use crate::harness::{Place, bytes};

/// Pictures `images/0.png` to `images/29.png`.
fn pictures(place: &Place) {
    place.good(&["prepare", "phantom", "pictures", "--pairs", "40", "--seed", "5", "--side", "64"]);
    let shards = ptu_data::ShardFolder::open(&place.path("pictures"), ptu_data::Split::Train).unwrap();
    for number in 0..30 {
        let record = ptu_data::Source::get(&shards, number).unwrap();
        place.write(&format!("images/{number}.png"), record.image.unwrap().bytes);
    }
}

fn manifest(place: &Place, folder: &str) -> serde_json::Value {
    serde_json::from_slice(&bytes(&place.path(&format!("{folder}/manifest.json")))).unwrap()
}

#[test]
fn columns_are_told_first_and_patients_are_proposed() {
    let place = Place::new();
    pictures(&place);
    let rows: String =
        (0..30).map(|row| format!("images/{row}.png,Words of {row}.,s{},{}\n", row / 2, 40 + row)).collect();
    place.write("t.csv", format!("image,text,study,age\n{rows}"));
    let ran = place.good(&["prepare", "table", "t.csv", "out"]);
    for part in ["columns of t.csv:", "image        `image`", "`--patient study`", "fields       `study`, `age`"] {
        assert!(ran.stderr.contains(part), "`{part}` is not in:\n{}", ran.stderr);
    }
    let warned = "15 of the 15 values of `study` occur in several records";
    assert!(ran.stdout.contains(warned), "{}", ran.stdout);
    let manifest_of = manifest(&place, "out");
    assert!(
        manifest_of["told"][0].as_str().unwrap().contains(warned) && manifest_of["columns"][2]["taken_for"] == "field"
    );
    let ran = place.good(&["prepare", "table", "t.csv", "own", "--patient", "study", "--field", "age"]);
    assert!(ran.stderr.contains("patient      `study`") && !ran.stdout.contains("occur in several"), "{}", ran.stderr);
    let ran = place.good(&["prepare", "table", "t.csv", "none", "--no-fields"]);
    assert!(ran.stderr.contains("not used     `study` (not requested), `age` (not requested)"), "{}", ran.stderr);
    assert!(ran.stdout.contains(warned), "a column that is not kept may still name the patient");
    place.bad(
        &["prepare", "table", "t.csv", "x", "--field", "sex"],
        &["there is no column `sex`, which `--field` names; it has `image`"],
    );
    place.bad(&["prepare", "table", "t.csv", "x", "--field", "age", "--no-fields"], &["cannot be used with"]);
}

#[test]
fn an_image_column_that_nobody_recognised_is_refused_by_each_command() {
    let place = Place::new();
    pictures(&place);
    let rows: String = (0..6).map(|row| format!("images/{row}.png,Words of {row}.\n")).collect();
    place.write("t.csv", format!("picture,text\n{rows}"));
    let words = ["`picture` look like paths of images (`images/0.png` on line 2)", "pass `--image picture`"];
    place.bad(&["prepare", "table", "t.csv", "out"], &words);
    assert!(!place.path("out").exists());
    let ran = place.good(&["prepare", "table", "t.csv", "out", "--image", "picture"]);
    assert!(ran.stdout.contains("pairs"), "{}", ran.stdout);
    place.write("two.csv", "Image,image,text\nimages/0.png,images/1.png,Words.\n");
    place.bad(&["prepare", "table", "two.csv", "x"], &["`Image` and `image` can each be the image", "--image"]);
}

#[test]
fn embed_tells_columns_and_keeps_fields() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.validate_every=0"]);
    pictures(&place);
    let rows: String = (0..4).map(|row| format!("images/{row}.png,Words of {row}.,mass,{}\n", 40 + row)).collect();
    place.write("t.csv", format!("image,text,label,age\n{rows}"));
    let ran = place.good(&["embed", "run", "t.csv", "--out", "v.parquet"]);
    for part in ["labels       `label`", "fields       `age`"] {
        assert!(ran.stderr.contains(part), "`{part}` is not in:\n{}", ran.stderr);
    }
    let search = |vectors: &str, filter: &str| {
        place.run(&[
            "search", vectors, "--model", "run", "--text", "words", "--find", "texts", "--json", "--where", filter,
        ])
    };
    assert!(search("v.parquet", "age >= 42 and label = 'mass'").stdout.contains("Words of 3."));
    let ran = place.good(&["embed", "run", "t.csv", "--out", "w.parquet", "--no-fields"]);
    assert!(ran.stderr.contains("not used     `age` (not requested)"), "{}", ran.stderr);
    assert!(!search("w.parquet", "age >= 42").success, "it was not kept");
    // JSON lists and parquet are tables here too; a table whose image's column is not known is refused before any work.
    place.write("t.json", "[{\"text\": \"One.\", \"picture\": \"images/0.png\"}]");
    place.bad(&["embed", "run", "t.json", "--out", "x.parquet"], &["rename it to `image`", "`--no-fields`"]);
    place.good(&["embed", "run", "t.json", "--out", "x.parquet", "--no-fields"]);
    place.write("gone.csv", "image,text\nimages/0.png,One.\nimages/99.png,Two.\nhttps://host/1.png,Three.\n");
    let ran = place.run(&["embed", "run", "gone.csv", "--out", "y.parquet"]);
    for part in [
        "gone.csv, line 3: image `",
        "images/99.png` is not there",
        "line 4: image `https://host/1.png` is a `https://` address",
    ] {
        assert!(ran.stderr.contains(part), "`{part}` is not in:\n{}", ran.stderr);
    }
}

#[test]
fn what_cannot_be_used_is_listed_short_here_and_whole_there() {
    let place = Place::new();
    pictures(&place);
    for split in ["train", "validation", "test"] {
        let folder = format!("roco/data/{split}/radiology");
        let lines: String = (0..9).map(|id| format!("{split}_{id}\t An invented axial view.\n")).collect();
        place.write(&format!("{folder}/captions.txt"), lines);
        place.write(
            &format!("{folder}/images/{split}_0.jpg"),
            bytes(&place.path(&format!("images/{}.png", split.len()))),
        );
    }
    place.write("roco/data/train/radiology/images/train_1.jpg", &bytes(&place.path("images/0.png"))[..80]);
    let ran = place.good(&["prepare", "roco", "roco", "out", "--keep-duplicates"]);
    for part in [
        "image-unreadable: 1",
        "train_1.jpg` is truncated",
        "image-missing: 23",
        "and 18 more, all listed in manifest.json",
    ] {
        assert!(ran.stdout.contains(part), "`{part}` is not in:\n{}", ran.stdout);
    }
    assert_eq!(manifest(&place, "out")["details"]["image-missing"].as_array().unwrap().len(), 23);
    let ran = place.good(&["inspect", "out"]);
    assert!(ran.stdout.contains("train_1.jpg` is truncated"), "{}", ran.stdout);
}

#[test]
fn files_of_a_folder_never_vanish() {
    let place = Place::new();
    pictures(&place);
    for (number, name) in ["train-0", "TEST-0", "eval_1", "holdout-0"].iter().enumerate() {
        place.write(&format!("set/{name}.csv"), format!("image,text\n../images/{number}.png,Words of {number}.\n"));
    }
    place.write("set/old.parquet.gz", "x");
    let ran = place.exits(&["prepare", "table", "set", "out", "--keep-duplicates"], 3, &[]);
    assert!(ran.stderr.contains("test         `TEST-0.csv`, `eval_1.csv`"), "{}", ran.stderr);
    for part in ["files-passed-over: 2", "holdout-0.csv: its name gives no split", "old.parquet.gz: it is not a table"]
    {
        assert!(ran.stdout.contains(part), "`{part}` is not in:\n{}", ran.stdout);
    }
    for language in ["en", "de"] {
        place.write(&format!("sets/{language}/train-0.csv"), "text\nWords.\n");
    }
    place.bad(
        &["prepare", "table", "sets", "x"],
        &["several tables", "`sets/de`, `sets/en`", "name one of these folders"],
    );
}
