use ptu_data::record::Section;

use super::*;

#[test]
fn roco_with_references_and_galleries() {
    let fake = FakeDownload::new();
    for (split, first) in [("train", 0), ("validation", 20), ("test", 30)] {
        let folder = format!("data/{split}/radiology");
        let count = if split == "train" { 20 } else { 10 };
        let id = |number: u32| format!("ROCO_{number:05}");
        let mut captions: String = (first..first + count)
            .map(|number| format!("{}\t Invented\u{a0}view number {number}.\n", id(number)))
            .collect();
        captions += &format!("ROCO_9{first:04}\t Too short\nno tab\n");
        fake.write(&format!("{folder}/captions.txt"), captions);
        fake.write(
            &format!("{folder}/cuis.txt"),
            format!("{}\t\tC0000001\tC0000002\n{}\t\n", id(first), id(first + 1)),
        );
        let link = "wget -r ftp://ftp.ncbi.nlm.nih.gov/pub/pmc/oa_package/1e/ed/PMC0000001.tar.gz -P /path/to/Dir";
        fake.write(&format!("{folder}/dlinks.txt"), format!("{}\t{link}\tinvented-g003.jpg\n", id(first)));
        (first..first + count - 1)
            .for_each(|number| fake.image(&format!("{folder}/images/{}.jpg", id(number)), number as u8));
    }
    let reference =
        |image: &str, texts: &str| format!("{{\"roco_image_id\": \"{image}\", \"gorc_references\": {texts}}}\n");
    fake.write(
        "roco_files/roco_train_references.jsonl",
        [
            reference("PMC0000001_invented-g003.jpg", "[\"An invented sentence about Figure 3.\", \"short\"]"),
            reference("PMC0000009_unknown.jpg", "[\"Some other words.\"]"),
            reference("PMC0000001_invented-g003.jpg", "null"),
        ]
        .concat(),
    );
    let prepared = fake.prepare(Dataset::Roco);
    assert_eq!(Split::ALL.map(|split| prepared.count(split)), [20, 10, 10]);
    let last = prepared.record("ROCO_00030");
    assert_eq!(last.texts, ["An invented sentence about Figure 3.", "Invented view number 30."]);
    assert_eq!(last.sections, [Section::Reference, Section::Caption]);
    assert_eq!(last.labels.iter().map(|label| label.value.as_str()).collect::<Vec<_>>(), ["C0000001", "C0000002"]);
    // The record of a missing image keeps its text, and is not in the gallery.
    assert!(prepared.record("ROCO_00039").image.is_none());
    assert_eq!((prepared.noted("image-missing"), prepared.noted("references-of-unknown-images")), (3, 1));
    prepared.assert_detail("image-missing", "captions.txt line 10", "images/ROCO_00039.jpg` is not there");
    prepared.assert_detail(
        "references-of-unknown-images",
        "roco_train_references.jsonl line 2",
        "PMC0000009_unknown.jpg",
    );
    let gallery: Vec<&str> =
        prepared.records.iter().map(|one| value(&one.fields, "retrieval")).filter(|one| !one.is_empty()).collect();
    assert_eq!(gallery.len(), 18);
    prepared.assert_skipped("captions.txt line 21", "no text of 3 words or more");
    prepared.assert_skipped("captions.txt line 22", "not an id, a tab and a caption");

    let second = FakeDownload::new();
    for (number, split) in ["train", "valid", "test"].into_iter().enumerate() {
        let id = format!("ROCOv2_2023_{split}_000001");
        second.write(&format!("{split}_captions.csv"), format!("ID,Caption\n{id},\"Invented CT, axial view.\"\n"));
        second.write(&format!("{split}_concepts.csv"), format!("ID , CUIs\n{id},C0040405;C0000001\n"));
        second.image(&format!("{split}_images/{split}/{id}.jpg"), number as u8);
    }
    let prepared = second.prepare(Dataset::Roco);
    let record = prepared.record("ROCOv2_2023_valid_000001");
    assert_eq!((record.split, record.labels.len(), value(&record.fields, "retrieval")), (Split::Validate, 2, "0"));
    assert!(record.image.is_some());
}

#[test]
fn roco_copy_on_kaggle() {
    let fake = FakeDownload::new();
    for (number, (folder, csv)) in [("train", "train"), ("validation", "val"), ("test", "test")].iter().enumerate() {
        let id = format!("ROCO_0000{number}");
        let rows = format!("id,name,caption\n{id},{id}.jpg, Axial view of an invented pelvis.\n,x.jpg,No id here.\n");
        fake.write(&format!("all_data/{folder}/radiology/{csv}data.csv"), rows);
        fake.image(&format!("all_data/{folder}/radiology/images/{id}.jpg"), number as u8);
    }
    let prepared = fake.prepare(Dataset::Roco);
    assert_eq!(prepared.records.len(), 3);
    let record = prepared.record("ROCO_00001");
    assert_eq!((record.split, record.texts[0].as_str()), (Split::Validate, "Axial view of an invented pelvis."));
    assert!(record.image.is_some() && value(&record.fields, "retrieval") == "0");
    prepared.assert_skipped("valdata.csv line 3", "it has no `id`");
}

#[test]
fn medicat_is_split_by_figure_or_paper() {
    let fake = FakeDownload::new();
    let line = |number: u32, radiology: bool, caption: &str| {
        serde_json::json!({
            "pdf_hash": format!("{:040x}", number / 2), "fig_key": "Figure1", "fig_uri": format!("{number}-Figure1-1.png"),
            "s2_caption": caption, "s2orc_caption": null, "s2orc_references": (!number.is_multiple_of(3)).then_some(["Seen in an invented case."]),
            "radiology": radiology, "scope": false, "predicted_type": "Medical images",
        })
        .to_string() + "\n"
    };
    let mut lines: String = (0..40).map(|number| line(number, number % 4 != 3, "Figure 1. Invented film.")).collect();
    lines += "{\"radiology\": true}\n[1]\n";
    lines += &line(99, true, "Short");
    fake.write("release/s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl", lines);
    (0..30).for_each(|number| {
        fake.image(&format!("release/figures/{:040x}_{number}-Figure1-1.png", number / 2), number as u8)
    });
    let prepared = fake.prepare(Dataset::Medicat);
    // 32 radiology figures: a tenth for testing and a tenth for validation. Figures without a text are skipped after the split.
    assert_eq!(prepared.count(Split::Train) + prepared.count(Split::Validate) + prepared.count(Split::Test), 30);
    assert!(
        prepared.count(Split::Test) <= 3 && prepared.count(Split::Validate) <= 3 && prepared.manifest.splits.len() == 3
    );
    assert!(prepared.noted("image-missing") > 0);
    prepared.assert_detail("image-missing", "line 33", "32-Figure1-1.png` is not there");
    assert_eq!(prepared.causes().iter().filter(|cause| cause.contains("not a radiology figure")).count(), 10);
    prepared.assert_skipped("line 41", "no `pdf_hash`");
    prepared.assert_skipped("line 42", "not a JSON object");
    assert_eq!(prepared.records.iter().filter(|one| one.sections.contains(&Section::Reference)).count(), 20);
    let by_paper = fake.prepare_with_choice(Dataset::Medicat, Choice::SplitByPaper);
    assert!(by_paper.manifest.overlaps.iter().all(|one| one.of != ptu_data::manifest::Common::Patient));
}

/// The tables of MIMIC-CXR-JPG, with images in several studies, one of which has no labels.
fn mimic(fake: &FakeDownload) {
    let id = |number: u32| format!("{number:08}-bbbbbbbb-cccccccc-dddddddd-eeeeeeee");
    let rows = [
        (1, 10000001, 50000001, "PA", "train"),
        (2, 10000001, 50000001, "LATERAL", "train"),
        (3, 10000002, 50000002, "AP", "validate"),
        (4, 10000003, 50000003, "", "test"),
        (5, 10000004, 50000004, "AP", "test"),
        (6, 10000005, 50000005, "AP", "test"),
        (7, 10000006, 50000006, "PA", "test"),
    ];
    let (mut metadata, mut split) = (
        String::from("dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition\n"),
        String::from("dicom_id,study_id,subject_id,split\n"),
    );
    for (number, subject, study, view, word) in rows {
        metadata += &format!("{},{subject},{study},CHEST (PA AND LAT),{view}\n", id(number));
        split += &format!("{},{study},{subject},{word}\n", id(number));
        if number != 6 {
            fake.image(&format!("files/p10/p{subject}/s{study}/{}.jpg", id(number)), number as u8);
        }
    }
    fake.write("mimic-cxr-2.0.0-metadata.csv", metadata);
    fake.write("mimic-cxr-2.0.0-split.csv", split);
    let mut labels = String::from(
        "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices\n",
    );
    for study in [1, 2, 4, 5] {
        labels += &format!("1000000{study},5000000{study},,,,,-1.0,,,,,,1.0,,,0.0\n");
    }
    fake.write("mimic-cxr-2.0.0-chexpert.csv", labels);
}

#[test]
fn mimic_cxr_with_reports_and_with_sectioned_reports() {
    let fake = FakeDownload::new();
    mimic(&fake);
    let report = "                                 FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n FINDINGS: \n \n Invented text of the lungs.\n \n IMPRESSION: \n \n Nothing acute, invented.\n \n";
    for (subject, study) in [(1, 1), (2, 2), (5, 5), (6, 6)] {
        fake.write(&format!("files/p10/p1000000{subject}/s5000000{study}.txt"), report);
    }
    fake.write("files/p10/p10000004/s50000004.txt", " FINDINGS:\n \n None.\n");
    let prepared = fake.prepare(Dataset::MimicCxr);
    let id = |number: u32| format!("{number:08}-bbbbbbbb-cccccccc-dddddddd-eeeeeeee");
    assert_eq!(prepared.ids(), [id(1), id(3), id(6)]);
    let record = prepared.record(&id(1));
    assert_eq!(record.texts, ["Nothing acute, invented.", "Invented text of the lungs."]);
    assert_eq!(record.sections, [Section::Impression, Section::Findings]);
    let values = ["Enlarged Cardiomediastinum", "Pleural Other", "Support Devices", "Edema"]
        .map(|name| value(&record.labels, name));
    assert_eq!(values, ["uncertain", "positive", "negative", "unmentioned"]);
    assert_eq!((value(&record.fields, "images-of-study"), record.patient.as_str()), ("2", "10000001"));
    assert!(prepared.record(&id(6)).image.is_none());
    prepared.assert_skipped("line 3", "its view is not PA or AP");
    prepared.assert_skipped("line 5", "its view is not PA or AP");
    prepared.assert_skipped("line 6", "no impression or findings of 3 words or more");
    prepared.assert_skipped("line 8", "no labels in the table of CheXpert");
    fake.write(
        "mimic_cxr_sectioned.csv",
        "study,impression,findings,last_paragraph,comparison\r\ns50000001,\"Other\nwords here.\",,x,\r\n",
    );
    let prepared = fake.prepare(Dataset::MimicCxr);
    assert_eq!(prepared.record(&id(1)).texts, ["Other words here."]);
    prepared.assert_skipped("line 4", "not in the sectioned reports");
    fake.write("annotation.json", format!("{{\"train\": [], \"val\": [], \"test\": [{{\"id\": \"{}\"}}]}}", id(1)));
    assert_eq!(fake.prepare(Dataset::MimicCxr).record(&id(1)).split, Split::Test);
}

/// A report of Open-i with these images.
fn openi(number: u32, findings: &str, impression: &str, images: &[&str]) -> String {
    let images: String = images
        .iter()
        .map(|id| {
            format!("<parentImage id=\"{id}\"><figureId>F1</figureId><caption>PA and lateral</caption></parentImage>")
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<eCitation>\n   <uId id=\"CXR{number}\"/><MedlineCitation><Article><Abstract>\
         <AbstractText Label=\"FINDINGS\">{findings}</AbstractText><AbstractText Label=\"IMPRESSION\">{impression}</AbstractText>\
         </Abstract></Article></MedlineCitation><MeSH><major>Cardiomegaly/mild</major><major>normal</major><automatic>x</automatic>\
         </MeSH>{images}</eCitation>"
    )
}

#[test]
fn openi_reports_with_and_without_images() {
    let fake = FakeDownload::new();
    fake.write(
        "ecgen-radiology/1.xml",
        openi(1, "Invented text, XXXX.", "Nothing &amp; acute.", &["CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001"]),
    );
    fake.write("ecgen-radiology/2.xml", openi(2, "", "No acute findings.", &[]));
    fake.write("ecgen-radiology/10.xml", openi(10, "", "", &[]));
    fake.write("ecgen-radiology/11.xml", "<eCitation><uId");
    fake.write(
        "ecgen-radiology/12.xml",
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><eCitation>&b;</eCitation>",
    );
    fake.image("NLMCXR_png/CXR1_1_IM-0001-3001.png", 1);
    let prepared = fake.prepare(Dataset::Openi);
    assert_eq!(prepared.ids().len(), 2);
    let record = prepared.record("CXR1_1_IM-0001-3001");
    assert_eq!((record.patient.as_str(), record.texts[0].as_str()), ("CXR1", "Nothing & acute."));
    assert_eq!((value(&record.labels, "finding"), record.labels.len()), ("Cardiomegaly", 1));
    assert!(prepared.record("CXR2").image.is_none());
    prepared.assert_skipped("CXR1_1_IM-0001-4001", "is not there");
    prepared.assert_skipped("CXR10", "neither an image nor a text");
    prepared.assert_skipped("11.xml", "not XML");
    prepared.assert_skipped("12.xml", "not XML");
    assert_eq!((prepared.noted("reports"), prepared.noted("reports-with-both-sections")), (3, 1));
    fake.write("annotation.json", "{\"train\": [], \"val\": [{\"id\": \"CXR1_IM-0001\"}], \"test\": []}");
    let prepared = fake.prepare(Dataset::Openi);
    assert_eq!((prepared.ids().len(), prepared.records[0].split), (1, Split::Validate));

    let kaggle = FakeDownload::new();
    let reports = "uid,MeSH,Problems,image,indication,comparison,findings,impression\n1,normal,normal,PA,\"Cough, invented\",None.,Clear invented lungs.,Nothing acute here.\n2,Opacity/lung;Calcinosis,x,PA,,,,Some words here.\n";
    kaggle.write("indiana_reports.csv", reports);
    kaggle.write(
        "indiana_projections.csv",
        "uid,filename,projection\n1,1_IM-0001-4001.dcm.png,Frontal\n2,2_IM-0652-1001.dcm.png,Lateral\n",
    );
    kaggle.image("images/images_normalized/1_IM-0001-4001.dcm.png", 1);
    kaggle.image("images/images_normalized/2_IM-0652-1001.dcm.png", 2);
    let prepared = kaggle.prepare(Dataset::Openi);
    assert_eq!(value(&prepared.record("CXR1_1_IM-0001-4001").fields, "view"), "Frontal");
    assert_eq!(prepared.record("CXR2_IM-0652-1001").labels.len(), 2);
}

#[test]
fn medpix_cases_stay_together() {
    let fake = FakeDownload::new();
    let item = |case: u32, image: &str, caption: &str| {
        serde_json::json!({"Type": "CT", "U_id": format!("MPX{case}"), "image": image, "Location": "Pelvis", "Location Category": "Abdomen",
            "Description": {"ACR Codes": "8.-1", "Age": "73", "Caption": caption, "Figure Part": null, "Modality": " CT ", "Plane": null, "Sex": "N/A"}})
    };
    let items = [
        item(1, "MPX1_synpic1", "Invented\ncaption here."),
        item(1, "MPX1_synpic2", "short"),
        item(2, "MPX2_synpic3", "N/A"),
        item(9, "MPX9_synpic4", "x"),
    ];
    fake.write("MedPix-2-0/Descriptions.json", serde_json::to_string(&items).unwrap());
    let cases = serde_json::json!([{"U_id": "MPX1", "Case": {"Title": "Invented disease", "Findings": "- A mass is seen."}}, {"U_id": "MPX2"}]);
    fake.write("MedPix-2-0/Case_topic.json", cases.to_string());
    fake.write(
        "MedPix-2-0/splitted_dataset/uid_list.json",
        "{\"train\": [\"MPX1\"], \"train_1\": [\"MPX1\"], \"dev\": [\"MPX2\"], \"test\": []}",
    );
    (1..=4).for_each(|number| {
        fake.image(&format!("MedPix-2-0/images/MPX{}_synpic{number}.png", [1, 1, 2, 9][number as usize - 1]), number)
    });
    let prepared = fake.prepare(Dataset::Medpix);
    assert_eq!(prepared.ids(), ["MPX1_synpic1", "MPX1_synpic2", "MPX2_synpic3"]);
    let record = prepared.record("MPX1_synpic1");
    assert_eq!(record.texts, ["Invented caption here.", "- A mass is seen."]);
    assert_eq!(record.sections, [Section::Caption, Section::Findings]);
    assert_eq!(
        (value(&record.fields, "diagnosis"), value(&record.fields, "sex"), value(&record.fields, "modality")),
        ("Invented disease", "", "CT")
    );
    assert_eq!((value(&record.labels, "location"), record.patient.as_str()), ("Pelvis", "MPX1"));
    assert!(prepared.record("MPX2_synpic3").texts.is_empty());
    prepared.assert_skipped("MPX9_synpic4", "no split for case `MPX9`");
}
