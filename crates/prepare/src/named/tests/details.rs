//! Everything that is skipped or cannot be read is listed in the manifest, each item with its reason.

use super::*;
use crate::Progress;

/// ROCO with an image that is truncated, one that is empty, one that is not an image, and one that is missing.
fn roco() -> FakeDownload {
    let fake = FakeDownload::new();
    for split in ["train", "validation", "test"] {
        let folder = format!("data/{split}/radiology");
        let captions: String = (0..5).map(|number| format!("{split}_{number}\tAn invented axial view.\n")).collect();
        fake.write(&format!("{folder}/captions.txt"), captions);
        fake.image(&format!("{folder}/images/{split}_0.jpg"), split.len() as u8);
    }
    let images = "data/train/radiology/images";
    fake.write(&format!("{images}/train_1.jpg"), &png(1)[..60]);
    fake.write(&format!("{images}/train_2.jpg"), "");
    fake.write(&format!("{images}/train_4.jpg"), "<html>not found</html>");
    fake
}

#[test]
fn unreadable_images_are_listed_with_their_reason() {
    let fake = roco();
    for side in [None, Some(10)] {
        let options =
            NamedOptions { prepare: PrepareOptions { side, ..PrepareOptions::default() }, ..NamedOptions::default() };
        let prepared = fake.prepare_with(Dataset::Roco, &options).unwrap();
        assert_eq!((prepared.noted("image-missing"), prepared.noted("image-unreadable")), (9, 3));
        prepared.assert_detail("image-unreadable", "captions.txt line 2", "train_1.jpg` is truncated");
        prepared.assert_detail("image-unreadable", "captions.txt line 3", "train_2.jpg` is empty");
        prepared.assert_detail("image-unreadable", "captions.txt line 5", "train_4.jpg` is a web page");
        prepared.assert_detail("image-missing", "captions.txt line 4", "images/train_3.jpg` is not there");
        assert!(prepared.record("train_1").image.is_none() && prepared.record("train_0").image.is_some());
        let card = fs::read_to_string(fake.out().join("README.md")).unwrap();
        assert!(card.contains("image-unreadable: 3; `manifest.json` lists each of them"), "{card}");
    }
}

#[test]
fn joined_parts_have_the_same_details_as_a_single_run() {
    let fake = roco();
    let whole = fake.prepare(Dataset::Roco).manifest;
    let parts: Vec<PathBuf> = (1..=2)
        .map(|number| {
            let out = fake.here.path().join(format!("part-{number}"));
            let prepare = PrepareOptions { part: Some(Part { number, of: 2 }), ..PrepareOptions::default() };
            let options = NamedOptions { prepare, ..NamedOptions::default() };
            prepare_named(Dataset::Roco, (&fake.raw(), &out), &options, &|_: Progress| {}).unwrap();
            out
        })
        .collect();
    let joined = join_parts(&parts, &fake.here.path().join("joined"), &|_| {}).unwrap();
    assert_eq!((joined.details, joined.noted), (whole.details, whole.noted));
}

#[test]
fn unusable_rows_of_other_tables_are_listed() {
    let fake = FakeDownload::new();
    for split in ["train", "valid", "test"] {
        fake.write(&format!("{split}_captions.csv"), format!("ID,Caption\n{split}_1,An invented axial view.\n"));
        fake.write(&format!("{split}_concepts.csv"), format!("ID,CUIs\n{split}_1,C1,C2\n{split}_9,C1\n"));
        fake.image(&format!("{split}_images/{split}_1.jpg"), split.len() as u8);
    }
    let prepared = fake.prepare(Dataset::Roco);
    prepared.assert_detail("rows-passed-over", "valid_concepts.csv line 2", "3 fields, the header 2");
    prepared.assert_detail("concepts-of-unknown-images", "test_9", "no caption belongs to this image");

    let references = roco();
    references.write("roco_files/roco_val_references.jsonl", "{\"roco_image_id\": \n");
    references.prepare(Dataset::Roco).assert_detail(
        "rows-passed-over",
        "roco_val_references.jsonl line 1",
        "not valid JSON",
    );

    let openi = FakeDownload::new();
    openi.write(
        "indiana_reports.csv",
        "uid,MeSH,findings,impression\n1,normal,Clear invented lungs.,Nothing acute here.\n",
    );
    let projections =
        "uid,filename,projection\n1,1_IM-0001-4001.dcm.png,Frontal\n7,7_IM-0652-1001.dcm.png,Lateral\n8,x\n";
    openi.write("indiana_projections.csv", projections);
    openi.image("images/1_IM-0001-4001.dcm.png", 1);
    let prepared = openi.prepare(Dataset::Openi);
    prepared.assert_detail("images-without-a-report", "CXR7_IM-0652-1001", "there is no report `7`");
    prepared.assert_detail("rows-passed-over", "indiana_projections.csv line 4", "2 fields, the header 3");

    let rsna = FakeDownload::new();
    rsna.write("stage_2_train_labels.csv", "patientId,x,y,width,height,Target\na,,,,,0\n");
    rsna.write("stage_2_detailed_class_info.csv", "patientId,class\na,Normal\nb,Normal\na\n");
    rsna.image("stage_2_train_images/a.png", 1);
    let prepared = rsna.prepare(Dataset::Rsna);
    prepared.assert_detail(
        "classes-of-unknown-images",
        "stage_2_detailed_class_info.csv line 3",
        "no label belongs to the image `b`",
    );
    prepared.assert_detail("rows-passed-over", "stage_2_detailed_class_info.csv line 4", "1 fields, the header 2");
}
