//! A setting under which an objective, a source or a validation can learn or tell nothing is refused before the first step.

use crate::harness::{Place, RECIPE};
use crate::vectors::png;

/// Shards in `out` of records with image, text or both, all for training, and some pairs for validation.
fn shards(place: &Place, out: &str, records: &[(Option<u8>, Option<&str>)], validated: usize) {
    let row = |number: usize, (image, text): (Option<u8>, Option<&str>), split: &str| {
        let image = image.map(|shade| {
            let name = format!("{out}-{shade}.png");
            let pixels: Vec<u8> = (0..32 * 32u32).map(|pixel| (pixel as u8).wrapping_mul(shade | 1) ^ shade).collect();
            place.write(&name, png(32, &pixels));
            name
        });
        serde_json::json!({ "id": format!("{split}{number}"), "image": image, "text": text, "split": split })
            .to_string()
    };
    let mut rows: Vec<String> =
        records.iter().enumerate().map(|(number, record)| row(number, *record, "train")).collect();
    let own: Vec<String> = (0..validated).map(|number| format!("Validated case {number}.")).collect();
    rows.extend(
        own.iter().enumerate().map(|(number, text)| row(number, (Some(200 + number as u8), Some(text)), "validate")),
    );
    place.write(&format!("{out}.jsonl"), rows.join("\n"));
    place.good(&["prepare", "table", &format!("{out}.jsonl"), out]);
}

const WORDS: [&str; 6] = ["a mass", "an effusion", "no finding", "a fracture", "a nodule", "clear lungs"];

fn pairs(count: usize) -> Vec<(Option<u8>, Option<&'static str>)> {
    (0..count).map(|number| (Some(number as u8), Some(WORDS[number]))).collect()
}

fn texts(count: usize) -> Vec<(Option<u8>, Option<&'static str>)> {
    (0..count).map(|number| (None, Some(WORDS[number % 6]))).collect()
}

/// Is refused with these words, and no run is left behind.
fn refused(place: &Place, sets: &[&str], words: &[&str]) {
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    place.bad(&[&["pretrain", "r.toml", "--out", "run"], &sets[..]].concat(), words);
    assert!(!place.path("run").exists(), "a run is left behind: {sets:?}");
}

fn learns(place: &Place, out: &str, sets: &[&str]) {
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    place.good(&[&["pretrain", "r.toml", "--out", out, "--set", "train.steps=4"], &sets[..]].concat());
}

const ITC: &str = "objectives=[\"itc\"]";
const ITM: &str = "objectives=[\"itm\"]";
const MLM: &str = "objectives=[\"mlm\"]";

#[test]
fn a_batch_of_one_has_nothing_to_compare() {
    let place = Place::new();
    place.recipe();
    shards(&place, "data", &pairs(6), 2);
    refused(
        &place,
        &["train.batch=1", ITC],
        &["objective `itc`", "has nothing to learn from", "`train.batch` is 1", "raise `train.batch`"],
    );
    refused(&place, &["train.batch=1", ITM], &["objective `itm`", "`train.batch` is 1"]);
    refused(&place, &["train.batch=1"], &["remove `itm` from `objectives`"]);
    learns(&place, "one", &["train.batch=1", MLM]);
    learns(&place, "two", &["train.batch=2"]);
}

#[test]
fn parts_of_one_record_have_nothing_to_compare_unless_the_contrast_is_over_all() {
    let place = Place::new();
    place.recipe();
    shards(&place, "data", &pairs(6), 2);
    refused(
        &place,
        &["train.batch=4", "train.accumulate=4", ITC],
        &["`itc`", "one record at a time", "`train.cached_contrast = true`"],
    );
    let cached = ["train.batch=4", "train.accumulate=4", "train.cached_contrast=true"];
    learns(&place, "cached", &[&cached[..], &[ITC]].concat());
    // Matching has no such way.
    refused(
        &place,
        &[&cached[..], &["objectives=[\"itc\", \"itm\"]"]].concat(),
        &["`itm`", "lower `train.accumulate`"],
    );
    learns(&place, "parts", &["train.batch=4", "train.accumulate=2"]);
}

#[test]
fn data_without_pairs_teach_words_alone() {
    let place = Place::new();
    place.recipe();
    shards(&place, "data", &texts(6), 2);
    refused(&place, &[ITC], &["objective `itc`", "0 pairs", "6 texts without an image", "add data"]);
    refused(&place, &[ITM], &["objective `itm`", "0 pairs"]);
    learns(&place, "words", &[MLM]);
    std::fs::remove_dir_all(place.path("data")).unwrap();
    shards(&place, "data", &(0..6).map(|shade| (Some(shade), None)).collect::<Vec<_>>(), 2);
    refused(&place, &[MLM], &["objective `mlm`", "6 images without a text", "texts"]);
}

#[test]
fn one_pair_among_halves_is_compared_with_none() {
    let place = Place::new();
    place.recipe();
    let halves = [pairs(1), texts(10), vec![(Some(90), None), (Some(91), None)]].concat();
    shards(&place, "data", &halves, 2);
    refused(
        &place,
        &["objectives=[\"mlm\", \"itc\"]"],
        &["objective `itc`", "1 pairs, 2 images without a text and 10 texts without an image", "remove `itc` from"],
    );
    learns(&place, "words", &[MLM]);
}

#[test]
fn pairs_that_never_meet_in_a_batch_are_found_by_going_through_the_run() {
    let place = Place::new();
    place.write("r.toml", RECIPE.replace("[\"data\"]", "[{ path = \"data\", weight = 0.2 }, \"texts\"]"));
    shards(&place, "data", &pairs(2), 2);
    shards(&place, "texts", &texts(60), 0);
    let short = ["train.steps=300", "train.batch=4"];
    refused(
        &place,
        &[&short[..], &[ITC]].concat(),
        &[
            "objective `itc`",
            "no batch contains",
            "2 of 62 records are pairs",
            "`train.mixing = \"batches\"`",
            "weight",
        ],
    );
    // In batches of one source they meet.
    learns(&place, "batches", &["train.mixing=\"batches\"", "train.steps=400", "train.batch=4", "train.log_every=100"]);
}

#[test]
fn pairs_of_one_text_or_of_one_image_are_no_negatives_of_each_other() {
    let place = Place::new();
    place.recipe();
    for records in [
        (0..6).map(|shade| (Some(shade), Some("normal"))).collect::<Vec<_>>(),
        WORDS.map(|text| (Some(7), Some(text))).to_vec(),
    ] {
        shards(&place, "data", &records, 2);
        refused(&place, &[ITC], &["objective `itc`", "all pairs have the same image or the same text", "other images"]);
        refused(&place, &[ITM], &["objective `itm`", "the same image"]);
        std::fs::remove_dir_all(place.path("data")).unwrap();
    }
    // A pass that ends within a batch is filled up from the next one: no smaller batch is left over.
    shards(&place, "data", &pairs(3), 2);
    learns(&place, "run", &["train.batch=2", ITC]);
    let log = std::fs::read_to_string(place.path("run/log.jsonl")).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("\"scored\":4")).count(), 4, "{log}");
}

#[test]
fn a_source_of_which_nothing_is_drawn_is_named() {
    let place = Place::new();
    place.write("r.toml", RECIPE.replace("[\"data\"]", "[\"data\", { path = \"other\", weight = 1e-6 }]"));
    shards(&place, "data", &pairs(6), 2);
    shards(&place, "other", &pairs(6), 0);
    refused(&place, &[], &["other", "would be used in training", "weight 0.000001", "rounds to 0", "raise its weight"]);
    refused(&place, &["data=[\"data\", \"other\"]", "train.mixing=\"batches\"", "train.steps=1"], &["rounds to 0"]);
    learns(&place, "run", &["data=[\"data\", { path = \"other\", weight = 0.5 }]"]);
}

#[test]
fn a_validation_that_can_tell_nothing_is_refused_or_told() {
    let place = Place::new();
    place.recipe();
    shards(&place, "data", &pairs(6), 0);
    refused(&place, &["train.validate_every=3"], &["`train.validate_every`", "split `validate`", "set it to 0"]);
    learns(&place, "none", &["train.validate_every=0"]);
    std::fs::remove_dir_all(place.path("data")).unwrap();
    shards(&place, "data", &pairs(6), 3);
    let told = place.good(&["pretrain", "r.toml", "--out", "few"]).stderr;
    assert!(told.contains("only 3 pairs") && told.contains("R@10 is always 1"), "{told}");
}

#[test]
fn a_tokenizer_that_knows_no_word_is_refused() {
    let place = Place::new();
    place.recipe();
    shards(&place, "data", &pairs(6), 2);
    let special = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    place.write("foreign/vocab.txt", format!("{special}\u{4f60}\n\u{597d}\n"));
    let set = ["text.tokenizer=\"foreign\"", "model.style=\"bert\""];
    refused_with_tokenizer(&place, &set);
    place.write("near/vocab.txt", format!("{special}mass\neffusion\na\nan\nno\nfinding\n"));
    learns(&place, "near-run", &["text.tokenizer=\"near\"", "model.style=\"bert\""]);
}

/// As [`refused`], but the tokenizer is only looked at within the run's folder.
fn refused_with_tokenizer(place: &Place, sets: &[&str]) {
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let arguments = [&["pretrain", "r.toml", "--out", "run"], &sets[..]].concat();
    place.bad(&arguments, &["foreign", "does not know any word", "a mass", "`text.tokenizer`"]);
    assert!(!place.path("run/recipe.toml").exists());
}

#[test]
fn weights_and_rates_of_zero_move_nothing() {
    let place = Place::new();
    place.recipe();
    shards(&place, "data", &pairs(6), 2);
    refused(&place, &["weights.itm=0.0"], &["weights.itm", "above 0", "to train without itm"]);
    refused(&place, &["weights.itm=1e-60"], &["weights.itm"]);
    refused(&place, &["optimizer.learning_rate=0.0"], &["optimizer.learning_rate", "no weight would change"]);
    refused(&place, &["train.steps=1", "train.warmup=1.0"], &["train.warmup", "would be 0"]);
}

#[test]
fn removed_patches_are_learned_from_images_without_a_text_too() {
    let place = Place::new();
    place.recipe();
    let images = [(Some(1), None), (Some(2), None), (Some(3), None), (Some(4), None)];
    shards(&place, "data", &images, 2);
    refused(&place, &["objectives=[\"mim_image_only\"]"], &["mim_image_only", "pairs without one of their sides"]);
    learns(
        &place,
        "learned",
        &["objectives=[\"mim\"]", "model.mim.width=32", "model.mim.layers=1", "model.mim.heads=2"],
    );
    let log = std::fs::read_to_string(place.path("learned/log.jsonl")).unwrap();
    assert!(log.lines().filter(|line| line.contains("\"mim\"")).count() >= 4, "{log}");
    refused(&place, &["objectives=[\"mim\"]", "model.mim.after=9"], &["mim.after", "between 1 and fusion.layers"]);
    refused(&place, &["objectives=[\"mim\"]", "model.mim.depth=9"], &["model.mim.depth"]);
    refused(&place, &["objectives=[\"mim\"]", "model.image.merge=2"], &["image.merge", "single patches"]);
    shards(&place, "texts", &texts(4), 0);
    refused(&place, &["objectives=[\"mim\"]", "data=[\"texts\"]"], &["removed patches", "column of images"]);
}
