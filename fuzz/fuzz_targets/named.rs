//! Fuzzes the readers of public data sets: the first byte of the input selects a data set, the other bytes are its files.
#![no_main]

use ptu_prepare::named::{Dataset, NamedOptions, prepare_named};
use ptu_fuzz::TemporaryFolder;

/// Each data set with its files; the input can contain any of them.
const SETS: &[(Dataset, &[&str])] = &[
    (Dataset::Roco, &["train/radiology/captions.txt", "val/radiology/captions.txt", "test/radiology/captions.txt", "train/radiology/dlinks.txt", "roco_train_references.jsonl"]),
    (Dataset::Roco, &["train_captions.csv", "valid_captions.csv", "test_captions.csv", "train_concepts.csv"]),
    (Dataset::Medicat, &["s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl"]),
    (Dataset::MimicCxr, &["mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.0.0-split.csv", "mimic-cxr-2.0.0-chexpert.csv", "files/p10/p10000001/s50000001.txt", "mimic_cxr_sectioned.csv", "annotation.json"]),
    (Dataset::Openi, &["ecgen-radiology/1.xml", "annotation.json"]),
    (Dataset::Openi, &["indiana_reports.csv", "indiana_projections.csv"]),
    (Dataset::Medpix, &["Descriptions.json", "Case_topic.json", "uid_list.json"]),
    (Dataset::VqaRad, &["trainset.json", "testset.json"]),
    (Dataset::Slake, &["train.json", "validate.json", "test.json"]),
    (Dataset::Medvqa2019, &["train/QA/Modality.csv", "train/QA/Organ.csv", "train/QA/Plane.csv", "val/QA/Modality.csv", "val/QA/Organ.csv", "val/QA/Plane.csv", "test/QA/Modality.csv", "test/QA/Organ.csv", "test/QA/Plane.csv"]),
    (Dataset::Chexpert, &["train.csv", "valid.csv"]),
    (Dataset::Rsna, &["stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"]),
    (Dataset::Mednli, &["mli_train_v1.jsonl", "mli_dev_v1.jsonl", "mli_test_v1.jsonl"]),
    (Dataset::Radnli, &["radnli_dev_v1.jsonl", "radnli_test_v1.jsonl", "radnli_pseudo-train_indexes.jsonl", "mimic_cxr_sectioned.csv"]),
    (Dataset::Melinda, &["train.csv", "dev.csv", "test.csv"]),
    (Dataset::Chemprot, &["train.tsv", "dev.tsv", "test.tsv"]),
    (Dataset::Chemprot, &["train.txt", "dev.txt", "test.txt"]),
    (Dataset::Chemprot, &["chemprot_training_abstracts.tsv", "chemprot_training_entities.tsv", "chemprot_training_gold_standard.tsv", "chemprot_development_abstracts.tsv", "chemprot_development_entities.tsv", "chemprot_development_gold_standard.tsv", "chemprot_test_abstracts_gs.tsv", "chemprot_test_entities_gs.tsv", "chemprot_test_gold_standard.tsv"]),
];

/// Separates the files of one data set in an input.
const PART: u8 = 0xff;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let (dataset, files) = SETS[usize::from(choice) % SETS.len()];
    let folder = TemporaryFolder::default();
    let mut parts = rest.split(|byte| *byte == PART);
    let mut last: &[u8] = b"";
    for name in files {
        last = parts.next().unwrap_or(last);
        folder.write(&format!("raw/{name}"), last);
    }
    let _ = prepare_named(dataset, (&folder.path("raw"), &folder.path("out")), &NamedOptions::default(), &|_| {});
});
