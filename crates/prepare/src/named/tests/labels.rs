use super::*;

const CHEXPERT: &str = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,\
                        Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices\n";

/// A row; `findings` are its cells from `No Finding` on.
fn row(path: &str, side: &str, findings: &str) -> String {
    format!("{path},Female,68,{side},AP,{findings}\n")
}

#[test]
fn chexpert_has_a_zero_shot_set() {
    let fake = FakeDownload::new();
    let (mut train, mut number) = (String::from(CHEXPERT), 0u8);
    let mut add = |patient: u32, findings: &str| {
        number += 1;
        let path = format!("train/patient{patient:05}/study1/view{number}_frontal.jpg");
        fake.image(&format!("CheXpert-v1.0-small/{path}"), number);
        train += &row(&format!("CheXpert-v1.0-small/{path}"), "Frontal", findings);
    };
    // Four images have cardiomegaly as the only finding; two of them become the zero-shot set. Each of these patients has another
    // image.
    (1..=4).for_each(|patient| add(patient, ",,1.0,,,,,0.0,,,,,,"));
    (1..=4).for_each(|patient| add(patient, ",,1.0,,,,,1.0,,,,,,"));
    (5..=40).for_each(|patient| add(patient, "1.0,,,,,-1.0,,,,,,,,1.0"));
    train += &row("CheXpert-v1.0-small/train/patient00041/study1/view2_lateral.jpg", "Lateral", ",,,,,,,,,,,,,");
    train += &row("CheXpert-v1.0-small/train/patient00042/study1/view1_frontal.jpg", "Frontal", ",,u,,,,,,,,,,,");
    fake.write("CheXpert-v1.0-small/train.csv", train);
    let valid = "valid/patient64541/study1/view1_frontal.jpg";
    let zeros = vec!["0.0"; 14].join(",");
    fake.write(
        "CheXpert-v1.0-small/valid.csv",
        CHEXPERT.to_string() + &row(&format!("CheXpert-v1.0-small/{valid}"), "Frontal", &zeros),
    );
    fake.image(&format!("CheXpert-v1.0-small/{valid}"), 200);
    let options = NamedOptions {
        prepare: PrepareOptions { duplicates: Some(Duplicates::Reported), ..PrepareOptions::default() },
        ..NamedOptions::default()
    };
    let prepared = fake.prepare_with(Dataset::Chexpert, &options).unwrap();
    let subset =
        |name: &str| prepared.records.iter().filter(|one| value(&one.fields, "subset") == name).collect::<Vec<_>>();
    assert_eq!((subset("zero-shot").len(), subset("official").len(), prepared.count(Split::Test)), (2, 1, 3));
    let zero_shot_patients: Vec<&str> = subset("zero-shot").iter().map(|one| one.patient.as_str()).collect();
    let others = prepared.records.iter().filter(|one| one.split != Split::Test);
    assert!(others.clone().all(|one| !zero_shot_patients.contains(&one.patient.as_str())));
    // 40 images of train.csv remain: a tenth is for validation, by patient.
    assert_eq!((prepared.count(Split::Validate), prepared.count(Split::Train)), (4, 36));
    assert!(others.filter(|one| value(&one.fields, "share") == "0.1").count() >= 3);
    let record = prepared.records.iter().find(|one| one.patient == "patient00005").unwrap();
    let values = ["No Finding", "Edema", "Pneumonia"].map(|name| value(&record.labels, name));
    assert_eq!((values, record.labels.len()), (["positive", "uncertain", "unmentioned"], 14));
    assert_eq!((value(&record.fields, "age"), value(&record.fields, "projection")), ("68", "AP"));
    prepared.assert_skipped("line 46", "not a frontal image");
    prepared.assert_skipped("line 47", "`Cardiomegaly` is `u`");
    assert_eq!(prepared.causes().iter().filter(|cause| cause.contains("in the zero-shot set")).count(), 2);
}

#[test]
fn chexpert_is_found_in_the_folders_of_the_full_version() {
    let fake = FakeDownload::new();
    let findings = ",,,,,,,,,,,,,1.0";
    fake.write(
        "x/CheXpert-v1.0 batch 1 (validate & csv)/train.csv",
        CHEXPERT.to_string() + &row("CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg", "Frontal", findings),
    );
    fake.write(
        "x/CheXpert-v1.0 batch 1 (validate & csv)/valid.csv",
        CHEXPERT.to_string() + &row("CheXpert-v1.0/valid/patient64541/study1/view1_frontal.jpg", "Frontal", findings),
    );
    fake.image("x/CheXpert-v1.0 batch 1 (validate & csv)/valid/patient64541/study1/view1_frontal.jpg", 1);
    fake.image("x/CheXpert-v1.0 batch 3 (train 2)/patient00001/study1/view1_frontal.jpg", 2);
    assert_eq!(fake.prepare(Dataset::Chexpert).records.len(), 2);
}

#[test]
fn rsna_has_one_record_for_each_image_and_uses_the_mapping() {
    let fake = FakeDownload::new();
    let id = |number: u32| format!("00000000-0000-4000-8000-{number:012}");
    let mut labels = String::from("patientId,x,y,width,height,Target\n");
    (1..=40).for_each(|number| labels += &format!("{},,,,,0\n", id(number)));
    labels += &format!("{0},264.0,152.0,213.0,379.0,1\n{0},1.0,2.0,3.0,4.0,1\n{1},,,,,7\n", id(41), id(42));
    fake.write("stage_2_train_labels.csv", labels);
    fake.write("stage_2_detailed_class_info.csv", format!("patientId,class\n{},Lung Opacity\n", id(41)));
    (1..=41).for_each(|number| fake.image(&format!("stage_2_train_images/{}.png", id(number)), number as u8));
    let prepared = fake.prepare(Dataset::Rsna);
    let record = prepared.record(&id(41));
    assert_eq!((value(&record.labels, "pneumonia"), value(&record.labels, "class")), ("1", "Lung Opacity"));
    let boxes: Vec<&str> =
        record.fields.iter().filter(|field| field.name == "box").map(|field| field.value.as_str()).collect();
    assert_eq!(boxes, ["264.0 152.0 213.0 379.0", "1.0 2.0 3.0 4.0"]);
    assert_eq!(
        (value(&prepared.record(&id(1)).labels, "pneumonia"), prepared.record(&id(1)).split),
        ("0", Split::Train)
    );
    prepared.assert_skipped("line 44", "`Target` of 0 or 1");
    assert!(prepared.manifest.preprocessing[0].contains("one person may be in two splits"));
    let published = fake.prepare_with_choice(Dataset::Rsna, Choice::PublishedSplit);
    assert_eq!(Split::ALL.map(|split| published.count(split)), [28, 6, 7]);
    let mapping: Vec<_> =
        (1..=41).map(|number| serde_json::json!({"subset_img_id": id(number), "img_id": "00000007_001.png"})).collect();
    fake.write("pneumonia-challenge-dataset-mappings_2018.json", serde_json::to_string(&mapping).unwrap());
    let mapped = fake.prepare(Dataset::Rsna);
    assert_eq!(mapped.manifest.splits.len(), 1);
    assert!(mapped.records.iter().all(|one| one.patient == "00000007"));
}

#[test]
fn melinda_has_one_record_for_each_row() {
    let fake = FakeDownload::new();
    let header = "pid,figure_file,caption,i_meth,p_meth,i_meth_label,p_meth_label\n";
    let row =
        "9,9000001_1_A.jpg,\"(A) Invented blot, lane \"\"x\"\".\nSecond line.\",MI:0000,MI:0001,invented method,\n";
    fake.write("melinda/train.csv", format!("{header}{row}{row}9,gone.jpg,\"Some words here\",a,b,c,d\n9,short\n"));
    fake.write("melinda/dev.csv", format!("{header}{row}"));
    fake.write("melinda/test.csv", format!("{header}{row}"));
    fake.image("melinda/melinda_images/9000001_1_A.jpg", 1);
    let prepared = fake.prepare(Dataset::Melinda);
    assert_eq!(Split::ALL.map(|split| prepared.count(split)), [2, 1, 1]);
    let record = &prepared.records[0];
    assert_eq!(record.texts, ["(A) Invented blot, lane \"x\". Second line."]);
    assert_eq!((value(&record.labels, "i_meth"), record.labels.len()), ("MI:0000", 3));
    prepared.assert_skipped("line 6", "gone.jpg` is not there");
    prepared.assert_skipped("line 7", "the row has 2 fields");
}
