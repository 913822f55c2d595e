//! Tests of published tokenizer folders: the settings in their files are used, or a note says which are not.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::fs;

use ptu_input::{Published, Tokenizer};
use serde::Deserialize;

/// Folders with the token ids of `transformers` 5.24.0 and `tokenizers` 0.23.3, written by `fixtures/make_tokens.py`.
#[derive(Deserialize)]
struct Golden {
    texts: Vec<String>,
    pair: [String; 2],
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    files: BTreeMap<String, String>,
    ids: Vec<Vec<u32>>,
    pair: Vec<u32>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("fixtures/tokens.json")).unwrap()
}

fn files(name: &str) -> BTreeMap<String, String> {
    golden().cases.into_iter().find(|case| case.name == name).unwrap().files
}

fn read(files: &BTreeMap<String, String>) -> Result<Published, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    Tokenizer::from_folder(folder.path()).map_err(|error| error.to_string())
}

/// The files of a case with some of them changed.
fn with(name: &str, changed: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut files = files(name);
    files.extend(changed.iter().map(|(name, content)| (name.to_string(), content.to_string())));
    files
}

fn notes(files: &BTreeMap<String, String>) -> String {
    read(files).unwrap().notes.join("\n")
}

#[test]
fn a_folder_gives_the_ids_that_transformers_gives() {
    let golden = golden();
    for Case { name, files, ids, pair } in &golden.cases {
        let tokenizer = read(files).unwrap_or_else(|error| panic!("{name}: {error}")).tokenizer;
        // A run and a bundle store the tokenizer as one file, which must be the same tokenizer.
        let kept = Tokenizer::from_json(tokenizer.to_json().unwrap().as_bytes(), "kept").unwrap();
        for (which, tokenizer) in [("read", &tokenizer), ("kept", &kept)] {
            for (text, expected) in golden.texts.iter().zip(ids) {
                assert_eq!(tokenizer.encode(text, 99).unwrap().ids, *expected, "{name}, {which}: {text}");
            }
            let [one, other] = &golden.pair;
            assert_eq!(tokenizer.encode_pair(one, other, 99).unwrap().ids, *pair, "{name}, {which}");
        }
        assert_eq!(kept.special(), tokenizer.special(), "{name}");
        assert_eq!(kept.to_json().unwrap(), tokenizer.to_json().unwrap(), "{name}");
    }
}

#[test]
fn complete_settings_give_no_notes() {
    for name in ["cased", "uncased", "chinese", "renamed", "added", "by the model's type", "roberta", "prefix space"] {
        assert_eq!(notes(&files(name)), "", "{name}");
    }
}

#[test]
fn missing_settings_are_derived_from_the_vocabulary_and_noted() {
    assert!(notes(&files("unsaid")).contains("texts keep their case"));
    let lowered = notes(&files("lowered"));
    assert!(lowered.contains("in upper case and can never occur"), "{lowered}");
    assert!(lowered.contains("have accents, and these tokens can never occur"), "{lowered}");
    let lower = with("uncased", &[("tokenizer_config.json", r#"{"do_lower_case": false}"#)]);
    assert!(notes(&lower).contains("no token of `vocab.txt` has a letter in upper case"));
    // The vocabulary has more than a few tokens with accents and with several Chinese characters.
    let vocabulary =
        files("uncased")["vocab.txt"].clone() + "m\u{fc}ller\nstra\u{df}e\n\u{e9}\n\u{4e2d}\u{56fd}\n##\u{56fd}\n";
    let shown = BTreeMap::from([("vocab.txt".to_string(), vocabulary)]);
    let Published { tokenizer, notes, .. } = read(&shown).unwrap();
    assert!(notes[0].contains("strip_accents") && notes[1].contains("tokenize_chinese_chars"), "{notes:?}");
    let ids = tokenizer.encode("M\u{fc}ller \u{4e2d}\u{56fd}", 9).unwrap().ids;
    assert_eq!(tokenizer.decode(&ids).unwrap(), "m\u{fc}ller \u{4e2d}\u{56fd}");
    assert_eq!(ids.len(), 4);
}

#[test]
fn files_that_contradict_each_other_are_noted() {
    let differs = |used: &str| format!("`do_lower_case` to false, but `tokenizer.json` does not; the {used} was used");
    assert!(notes(&files("over json")).contains(&differs("former")));
    assert!(notes(&files("json")).contains(&differs("latter")));
    assert!(notes(&files("prefix space over json")).contains("`add_prefix_space` to true"));
    let other = with("json", &[("vocab.txt", "[PAD]\n[CLS]\n")]);
    assert!(notes(&other).contains("`vocab.txt` gives `[CLS]` the id 1, but `tokenizer.json` does not"));
    let damaged = with("json", &[("vocab.json", "{")]);
    assert!(notes(&damaged).contains("vocab.json` cannot be used"));
    let model =
        with("uncased", &[("config.json", r#"{"model_type": "bert", "vocab_size": 30522, "pad_token_id": 7}"#)]);
    assert!(notes(&model).contains("has 30522 tokens") && notes(&model).contains("`pad_token_id` to 7"));
    assert!(notes(&with("uncased", &[("config.json", "{")])).contains("config.json"));
    let map = with(
        "uncased",
        &[
            ("special_tokens_map.json", r#"{"mask_token": "[MASK]"}"#),
            (
                "tokenizer_config.json",
                r#"{"tokenizer_class": "BertTokenizer", "mask_token": "/", "truncation_side": "left"}"#,
            ),
        ],
    );
    assert!(notes(&map).contains("`mask_token`: `[MASK]` was used, not `/`"), "{}", notes(&map));
    assert!(notes(&map).contains("`truncation_side` is left"));
    let both = with("roberta", &[("vocab.txt", "[PAD]\n"), ("tokenizer_config.json", r#"{"do_lower_case": true}"#)]);
    assert!(notes(&both).contains("not `vocab.txt`") && notes(&both).contains("texts keep their case"));
}

#[test]
fn a_models_limit_is_known() {
    let limit = |json: &str| read(&with("uncased", &[("tokenizer_config.json", json)])).unwrap().max_tokens;
    assert_eq!(limit(r#"{"model_max_length": 512}"#), Some(512));
    assert_eq!(limit(r#"{"model_max_length": 1000000000000000019884624838656}"#), None);
    assert_eq!(limit(r#"{"model_max_length": null}"#), None);
}

#[test]
fn other_names_of_special_tokens_are_stored() {
    // The published name is also in the vocabulary and stays an ordinary token.
    let files = with("uncased", &[("tokenizer_config.json", r#"{"mask_token": "/"}"#)]);
    let tokenizer = read(&files).unwrap().tokenizer;
    assert_ne!(tokenizer.special().mask, 4);
    let kept = Tokenizer::from_json(tokenizer.to_json().unwrap().as_bytes(), "kept").unwrap();
    assert_eq!(kept.special(), tokenizer.special());
}

#[test]
fn unsupported_settings_are_refused_by_name() {
    let refused = |files: &BTreeMap<String, String>, words: &[&str]| {
        let error = read(files).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{error}");
        }
    };
    let configured = |json: &str| with("uncased", &[("tokenizer_config.json", json)]);
    refused(
        &configured(r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#),
        &["`BertJapaneseTokenizer`", "`tokenizer.json`"],
    );
    refused(&configured(r#"{"do_basic_tokenize": false}"#), &["tokenizer_config.json", "`do_basic_tokenize`"]);
    refused(&configured(r#"{"never_split": ["CT"]}"#), &["`never_split`", "`added_tokens_decoder`"]);
    refused(&configured(r#"{"do_lower_case": "no"}"#), &["tokenizer_config.json", "expected a boolean"]);
    refused(&configured(r#"{"cls_token": "<begin>"}"#), &["lacks `<begin>`"]);
    refused(&configured(r#"{"mask_token": "[PAD]"}"#), &["mask and pad need their own tokens"]);
    refused(&configured(r#"{"added_tokens_decoder": {"9999": {"content": "COVID"}}}"#), &["`COVID` has the id 9999"]);
    refused(&configured(r#"{"tokenizer_class": "RobertaTokenizer"}"#), &["`vocab.json` with `merges.txt`"]);
    refused(&with("roberta", &[("merges.txt", "t h</w>\n")]), &["`</w>`"]);
    let gap = files("json")["tokenizer.json"].replace("\"added_tokens\":[", "\"added_tokens\":[{\"id\":5000,\"content\":\"COVID\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":false},");
    let gap = gap.replace("\"added_tokens\": [", "\"added_tokens\": [{\"id\":5000,\"content\":\"COVID\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":false},");
    refused(&with("json", &[("tokenizer.json", &gap)]), &["`COVID` has the id 5000"]);
    // The library panics if its post-processor names a token that it does not define.
    let torn = files("json")["tokenizer.json"].replace("\"[CLS]\": {", "\"[CLX]\": {");
    assert!(torn.contains("[CLX]"));
    refused(&with("json", &[("tokenizer.json", &torn)]), &["tokenizer.json", "do not fit together"]);
    let one = |name: &str, content: &str| BTreeMap::from([(name.to_string(), content.to_string())]);
    refused(&one("spiece.model", "\n"), &["SentencePiece", "`spiece.model`"]);
    refused(&one("vocab.json", "{}"), &["only `vocab.json` was found"]);
    refused(&one("vocab.txt", "version https://git-lfs.github.com/spec/v1\n"), &["vocab.txt", "`git lfs pull`"]);
    refused(&one("tokenizer.json", "<!DOCTYPE html>"), &["tokenizer.json", "a web page"]);
    // GPT-2 has no mask token.
    let generated = [("vocab.json", r#"{"a":0,"<|endoftext|>":1}"#), ("merges.txt", "")];
    let config = (
        "tokenizer_config.json",
        r#"{"tokenizer_class":"GPT2Tokenizer","bos_token":"<|endoftext|>","eos_token":"<|endoftext|>"}"#,
    );
    let gpt2 = [generated[0], generated[1], config].map(|(name, content)| (name.to_string(), content.to_string()));
    refused(&BTreeMap::from(gpt2), &["lacks `<pad>`, `<mask>`"]);
}

#[test]
fn damaged_folders_give_a_tokenizer_that_can_be_stored_or_an_error() {
    let mut random = ptu_random::Key::new(7).stream(ptu_random::Place::Sample, 0);
    for name in ["cased", "renamed", "added", "over json", "prefix space"] {
        let whole = files(name);
        for _ in 0..40 {
            let mut files = whole.clone();
            let (place, bytes) = (random.below(files.len()), 1 + random.below(3));
            let content = files.values_mut().nth(place).unwrap();
            let mut damaged = content.clone().into_bytes();
            for _ in 0..bytes {
                let at = random.below(damaged.len());
                damaged[at] = 32 + random.below(95) as u8;
            }
            *content = String::from_utf8_lossy(&damaged).into_owned();
            let content = content.clone();
            let Ok(Published { tokenizer, .. }) = read(&files) else { continue };
            let kept = Tokenizer::from_json(tokenizer.to_json().unwrap().as_bytes(), "kept").unwrap();
            assert_eq!(kept.special(), tokenizer.special(), "{name}: {content:?}");
            // It may fail on a text, but only with an error.
            let text = "There is CT of the chest, COPD. \u{c9}\u{4e2d} <mask>";
            let _ = tokenizer.encode(text, 12).map(|text| assert!(text.ids.len() <= 12));
        }
    }
}

#[test]
fn a_file_in_place_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, "{}").unwrap();
    assert!(Tokenizer::from_folder(&path).unwrap_err().to_string().contains("give the folder"));
}
