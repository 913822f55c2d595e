use super::*;

#[test]
fn vqa_rad_with_its_published_split() {
    let fake = FakeDownload::new();
    let item = |qid: u64, image: &str, question: &str, answer: &str, kind: &str| {
        format!(
            "{{\"qid\": {qid}, \"image_name\": \"{image}\", \"image_organ\": \"CHEST\", \"answer\": {answer}, \"answer_type\": \
             \"{kind}\", \"question_type\": \"PRES, POS\", \"question\": \"{question}\", \"phrase_type\": \"freeform\"}}"
        )
    };
    let train = [
        item(1, "synpic1.jpg", " Is it invented? ", "\"Yes\"", "CLOSED "),
        item(2, "synpic1.jpg", "How many?", "4", "OPEN"),
        item(3, "synpic2.jpg", "Where?", "\"left lobe\"", "OPEN"),
        item(4, "synpic2.jpg", "", "\"none\"", "OPEN"),
        item(5, "synpic9.jpg", "Is it there?", "\"no\"", "CLOSED"),
    ];
    fake.write("trainset.json", format!("\u{feff}[{}]", train.join(",\r\n")));
    let test = [
        item(6, "synpic1.jpg", "is it  invented?", "\"yes.\"", "CLOSED"),
        item(7, "synpic3.jpg", "What?", "\"a rib\"", "OPEN"),
    ];
    fake.write("testset.json", format!("[{}]", test.join(",")));
    (1..=3).for_each(|number| fake.image(&format!("images/synpic{number}.jpg"), number));
    let prepared = fake.prepare(Dataset::VqaRad);
    assert_eq!((prepared.count(Split::Train), prepared.count(Split::Test)), (2, 2));
    let record = prepared.record("train/synpic1.jpg");
    assert_eq!((record.patient.as_str(), value(&record.labels, "organ")), ("synpic1.jpg", "CHEST"));
    let [first, second] = &record.questions[..] else { panic!("{:?}", record.questions) };
    assert_eq!((first.question.as_str(), first.answer.as_str(), first.closed), ("Is it invented?", "Yes", true));
    assert_eq!((second.id.as_str(), second.answer.as_str(), second.closed), ("2", "4", false));
    assert_eq!(second.category, "PRES, POS");
    prepared.assert_skipped("trainset.json line 4", "the image, the question or the answer of question 4 is missing");
    prepared.assert_skipped("train/synpic9.jpg", "synpic9.jpg` is not there");
    let common: Vec<_> =
        prepared.manifest.overlaps.iter().map(|one| (one.of, one.splits, one.count, one.removed)).collect();
    let both = [Split::Train, Split::Test];
    use ptu_data::manifest::Common;
    assert!(common.contains(&(Common::Question, both, 1, 0)), "{common:?}");
    assert!(
        common.contains(&(Common::Image, both, 1, 0)) && common.contains(&(Common::Patient, both, 1, 0)),
        "{common:?}"
    );
    assert_eq!((prepared.noted("answers-to-learn-from"), prepared.noted("answers-in-all-splits")), (4, 5));
    let prepared = fake.prepare_with_choice(Dataset::VqaRad, Choice::SplitByImage);
    let mut splits: Vec<(&str, Split)> = prepared.records.iter().map(|one| (one.patient.as_str(), one.split)).collect();
    splits.sort();
    splits.dedup();
    assert_eq!(splits.iter().map(|(image, _)| image).collect::<std::collections::BTreeSet<_>>().len(), splits.len());
}

#[test]
fn vqa_rad_as_one_file() {
    let osf = FakeDownload::new();
    let item = |phrase: &str, rephrased: &str| {
        format!(
            "{{\"qid\": \"0\", \"phrase_type\": \"{phrase}\", \"image_name\": \"synpic1.jpg\", \"image_organ\": \"HEAD\", \"question\": \
             \"Is it?\", \"question_rephrase\": \"{rephrased}\", \"question_frame\": \"NULL\", \"question_type\": \"PRES\", \
             \"answer\": \"no\", \"answer_type\": \"CLOSED\"}}"
        )
    };
    osf.write(
        "VQA_RAD Dataset Public.json",
        format!("[{},{}]", item("freeform", "Was it?"), item("test_para", "NULL")),
    );
    osf.image("VQA_RAD Image Folder/synpic1.jpg", 1);
    osf.image("VQA_RAD Image Folder/synpic2.jpg", 2);
    let prepared = osf.prepare(Dataset::VqaRad);
    let questions = |id: &str| prepared.record(id).questions.iter().map(|one| one.id.as_str()).collect::<Vec<_>>();
    assert_eq!((questions("train/synpic1.jpg"), questions("test/synpic1.jpg")), (vec!["0", "0_rephrase"], vec!["0"]));
    prepared.assert_detail("images-that-nobody-asks-about", "VQA_RAD Image Folder/synpic2.jpg", "no question names it");
}

/// Skipped if the real data is absent, as on the machine of a user.
#[test]
fn vqa_rad_with_the_real_data() {
    let raw = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/vqa-rad");
    if !raw.is_dir() {
        eprintln!("the real VQA-RAD is not on this machine; only its imitation was tested");
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let out = here.path().join("out");
    let prepared = prepare_named(Dataset::VqaRad, (&raw, &out), &NamedOptions::default(), &|_| {}).unwrap();
    let manifest = prepared.manifest().unwrap();
    let noted = |what: &str| manifest.noted[what];
    assert_eq!((noted("questions-in-train"), noted("questions-in-test")), (3_064, 451));
    assert_eq!((noted("answers-to-learn-from"), noted("answers-in-all-splits")), (461, 498));
    assert_eq!((manifest.counts(Split::Train).records, manifest.counts(Split::Test).records), (314, 203));
    assert_eq!(noted("images-that-nobody-asks-about"), 1);
    assert!(manifest.skipped.is_empty(), "{:?}", manifest.skipped);
    let shared = |of| {
        manifest.overlaps.iter().find(|one| one.of == of && one.splits[0] != one.splits[1]).map_or(0, |one| one.count)
    };
    use ptu_data::manifest::Common;
    assert_eq!((shared(Common::Patient), shared(Common::Image)), (203, 203));
    assert!(shared(Common::Question) > 0, "{:?}", manifest.overlaps);
}

#[test]
fn slake_in_english_and_in_all_languages() {
    let fake = FakeDownload::new();
    let item = |qid: u64, image: u8, language: &str, answer: &str| {
        format!(
            "{{\"img_id\": {image}, \"img_name\": \"xmlab{image}/source.jpg\", \"question\": \"Which organ?\", \"answer\": \"{answer}\", \
             \"q_lang\": \"{language}\", \"location\": \"Abdomen\", \"modality\": \"CT\", \"answer_type\": \"OPEN\", \"base_type\": \
             \"vqa\", \"triple\": [\"vhead\", \"_\", \"_\"], \"qid\": {qid}, \"content_type\": \"Organ\"}}"
        )
    };
    fake.write(
        "Slake1.0/train.json",
        format!("[{},{},{}]", item(1, 1, "en", "Liver"), item(2, 1, "zh", "\\u809d"), item(3, 2, "en", "")),
    );
    fake.write("Slake1.0/validation.json", format!("[{}]", item(4, 3, "en", "Spleen, Liver")));
    fake.write("Slake1.0/test.json", format!("[{}]", item(5, 4, "en", "Lung")));
    (1..=4).for_each(|image| fake.image(&format!("Slake1.0/imgs/xmlab{image}/source.jpg"), image));
    let prepared = fake.prepare(Dataset::Slake);
    assert_eq!(Split::ALL.map(|split| prepared.count(split)), [1, 1, 1]);
    let record = prepared.record("train/xmlab1/source.jpg");
    assert_eq!((record.questions.len(), value(&record.labels, "modality")), (1, "CT"));
    prepared.assert_skipped("train.json line 3", "of question 3 is missing");
    let prepared = fake.prepare_with_choice(Dataset::Slake, Choice::AllLanguages);
    assert_eq!(prepared.record("train/xmlab1/source.jpg").questions[1].answer, "肝");
}

#[test]
fn medvqa_2019_as_published_and_repackaged() {
    let fake = FakeDownload::new();
    let folders = [("Training", "train", "Train"), ("Validation", "val", "Val")];
    for (number, (long, short, images)) in folders.into_iter().enumerate() {
        let image = format!("synpic{number}");
        for (name, text) in [("C1_Modality", "xr|a"), ("C2_Plane", "axial"), ("C3_Organ", "skull\r")] {
            let line = format!("{image}|what is shown?|{text}\n");
            fake.write(&format!("ImageClef-2019-VQA-Med-{long}/QAPairsByCategory/{name}_{short}.txt"), line);
        }
        fake.image(&format!("ImageClef-2019-VQA-Med-{long}/{images}_images/{image}.jpg"), number as u8);
    }
    let test = b"synpic7|organ|what organ?|skull#spine (upper)\nsynpic7|abnormality|what is wrong?|cyst\nsynpic8|plane|which?|ax\xe9al\nbroken\n\n";
    fake.write("VQAMed2019Test/VQAMed2019_Test_Questions_w_Ref_Answers.txt", test);
    fake.image("VQAMed2019Test/VQAMed2019_Test_Images/synpic7.jpg", 7);
    fake.image("VQAMed2019Test/VQAMed2019_Test_Images/synpic8.jpg", 8);
    let prepared = fake.prepare(Dataset::Medvqa2019);
    assert_eq!(Split::ALL.map(|split| prepared.count(split)), [1, 1, 2]);
    let questions = &prepared.record("train/synpic0.jpg").questions;
    let values: Vec<_> = questions.iter().map(|one| (one.id.as_str(), one.answer.as_str())).collect();
    assert_eq!(values, [("train-modality-1", "xr|a"), ("train-organ-1", "skull"), ("train-plane-1", "axial")]);
    assert_eq!(prepared.record("test/synpic8.jpg").questions[0].answer, "axéal");
    assert_eq!((prepared.record("test/synpic7.jpg").questions.len(), prepared.noted("lines-read-as-latin-1")), (1, 1));
    prepared.assert_detail("lines-read-as-latin-1", "VQAMed2019_Test_Questions_w_Ref_Answers.txt line 3", "not UTF-8");
    prepared.assert_skipped("line 4", "the question or the answer is missing");

    let other = FakeDownload::new();
    for (number, folder) in ["train", "val", "test"].into_iter().enumerate() {
        for name in ["Modality", "Organ", "Plane"] {
            other.write(&format!("{folder}/QA/{name}.csv"), format!("synpic{number}|what?|answer\n"));
        }
        other.image(&format!("{folder}/images/synpic{number}.jpg"), number as u8);
    }
    assert_eq!(other.prepare(Dataset::Medvqa2019).records.iter().map(|one| one.questions.len()).sum::<usize>(), 9);
}
