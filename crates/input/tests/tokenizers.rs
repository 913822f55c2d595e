//! Tests of tokenizers against published encodings, and of files that are not tokenizers.
//!
//! The published vocabularies are read from `../shared/data/tokenizers` beside the repository. If they do not exist, the
//! tests print a note and pass.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests are tests")]

use std::fs;
use std::path::{Path, PathBuf};

use ptu_input::{InputError, Tokenizer};

fn published(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tokenizers").join(name);
    if !folder.is_dir() {
        eprintln!("skipped: no `../shared/data/tokenizers/{name}` beside the repository");
        return None;
    }
    Some(folder)
}

fn roberta() -> Option<Tokenizer> {
    published("roberta-base").map(|folder| Tokenizer::from_folder(folder).unwrap().tokenizer)
}

fn bert() -> Option<Tokenizer> {
    published("bert-base-uncased").map(|folder| Tokenizer::from_folder(folder).unwrap().tokenizer)
}

fn small() -> Tokenizer {
    let texts = ["The heart is enlarged. No pleural effusion.", "No pneumothorax, no effusion. The heart is normal."];
    Tokenizer::train(texts, 320).unwrap()
}

#[test]
fn roberta_gives_the_published_ids() {
    let Some(tokenizer) = roberta() else { return };
    assert_eq!(tokenizer.vocabulary_size(), 50_265);
    let special = tokenizer.special();
    assert_eq!((special.start, special.pad, special.end, special.unknown, special.mask), (0, 1, 2, 3, 50_264));
    // By transformers 4's RobertaTokenizer.
    assert_eq!(tokenizer.encode("Hello world", 48).unwrap().ids, [0, 31414, 232, 2]);
    assert_eq!(tokenizer.encode("", 48).unwrap().ids, [0, 2]);
    assert_eq!(tokenizer.encode_pair("Hello", "world", 48).unwrap().ids, [0, 31414, 2, 2, 8331, 2]);
}

#[test]
fn roberta_words_are_runs_without_white_space() {
    let Some(tokenizer) = roberta() else { return };
    let text = "Cardiomegaly is mild-to-moderate.\n\nNo  pneumothorax";
    let encoded = tokenizer.encode(text, 48).unwrap();
    let mut words: Vec<String> = vec![];
    for (&id, word) in encoded.ids.iter().zip(&encoded.words) {
        let Some(word) = word else { continue };
        words.resize(words.len().max(*word as usize + 1), String::new());
        words[*word as usize].push_str(&tokenizer.decode(&[id]).unwrap());
    }
    assert_eq!(words, ["Cardiomegaly", "is", "mild-to-moderate.", "No", "pneumothorax"]);
    assert_eq!((encoded.words[0], *encoded.words.last().unwrap()), (None, None));
    // The tokens of the line breaks and of the double space belong to no word.
    assert!(encoded.words[1..encoded.words.len() - 1].contains(&None));
    assert_eq!(tokenizer.decode(&encoded.ids).unwrap(), text);
}

#[test]
fn bert_gives_the_published_ids() {
    let Some(tokenizer) = bert() else { return };
    let special = tokenizer.special();
    assert_eq!((special.start, special.end, special.pad, special.mask, special.unknown), (101, 102, 0, 103, 100));
    assert_eq!(tokenizer.vocabulary_size(), 30_522);
    assert_eq!(tokenizer.encode("Hello World", 48).unwrap().ids, [101, 7592, 2088, 102]);
    assert_eq!(tokenizer.encode_pair("hello", "world", 48).unwrap().ids, [101, 7592, 102, 2088, 102]);
    let encoded = tokenizer.encode("Hello, electrocardiographically world", 48).unwrap();
    let mut words = encoded.words.clone();
    words.dedup();
    assert_eq!(words, [None, Some(0), Some(1), Some(2), None]);
    assert!(encoded.words.iter().filter(|word| **word == Some(1)).count() > 2);
    assert_eq!(tokenizer.decode(&tokenizer.encode("Hello, world!", 9).unwrap().ids).unwrap(), "hello, world!");
}

#[test]
fn a_saved_tokenizer_is_the_same_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    for tokenizer in [Some(small()), roberta(), bert()].into_iter().flatten() {
        let path = folder.path().join("tokenizer.json");
        tokenizer.save(&path).unwrap();
        let again = Tokenizer::from_folder(folder.path()).unwrap().tokenizer;
        for text in ["The heart is enlarged; caf\u{e9}.", "", "no  effusion\n"] {
            assert_eq!(again.encode(text, 32).unwrap(), tokenizer.encode(text, 32).unwrap());
        }
        assert_eq!((again.special(), again.vocabulary_size()), (tokenizer.special(), tokenizer.vocabulary_size()));
        assert_eq!(again.to_json().unwrap(), fs::read_to_string(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the file");
    }
}

#[test]
fn truncation_keeps_the_end_token() {
    let tokenizer = small();
    let long = "the heart is normal. ".repeat(30);
    let whole = tokenizer.encode(&long, 10_000).unwrap();
    for most in [3, 4, 7, 48] {
        let cut = tokenizer.encode(&long, most).unwrap();
        assert_eq!(cut.ids.len(), most);
        assert_eq!(cut.words.len(), most);
        assert_eq!(cut.ids[..most - 1], whole.ids[..most - 1]);
        assert_eq!((cut.ids[most - 1], cut.words[most - 1]), (tokenizer.special().end, None));
    }
    assert!(tokenizer.encode(&long, 2).unwrap_err().to_string().contains("at least 3"));
    assert_eq!(tokenizer.encode("\u{0}", 3).unwrap().ids.len(), 3);
}

#[test]
fn the_longer_text_of_a_pair_is_truncated() {
    let tokenizer = small();
    let special = tokenizer.special();
    let pair = tokenizer.encode_pair("The heart", &"no effusion ".repeat(50), 24).unwrap();
    assert_eq!((pair.ids.len(), pair.words.len()), (24, 24));
    let first = tokenizer.encode("The heart", 24).unwrap();
    assert_eq!(pair.ids[..first.ids.len()], first.ids);
    assert_eq!(pair.ids[first.ids.len()], special.end);
    assert_eq!(*pair.ids.last().unwrap(), special.end);
    // The numbers of words continue through the second text.
    let mut words: Vec<u32> = pair.words.iter().flatten().copied().collect();
    words.dedup();
    assert_eq!(words, (0..words.len() as u32).collect::<Vec<_>>());
    assert_eq!(tokenizer.encode_pair("", "", 24).unwrap().ids, [0, 2, 2, 2]);
    assert!(tokenizer.encode_pair("a", "b", 5).unwrap_err().to_string().contains("no room"));
}

#[test]
fn names_of_special_tokens_in_a_text_are_ordinary() {
    for tokenizer in [Some(small()), roberta(), bert()].into_iter().flatten() {
        let encoded = tokenizer.encode("no </s> <mask> [SEP] [MASK] effusion", 64).unwrap();
        let special = tokenizer.special();
        let inner = &encoded.ids[1..encoded.ids.len() - 1];
        assert!(!inner.contains(&special.mask) && !inner.contains(&special.end), "{inner:?}");
    }
}

#[test]
fn very_long_texts_are_shortened_before_they_are_tokenised() {
    let megabyte = 1 << 20;
    for tokenizer in [Some(small()), roberta(), bert()].into_iter().flatten() {
        for text in
            ["x".repeat(megabyte), " ".repeat(megabyte), "\u{e9}\u{2003}".repeat(megabyte / 5), "\n".repeat(megabyte)]
        {
            let encoded = tokenizer.encode(&text, 48).unwrap();
            assert!(encoded.ids.len() <= 48);
            assert_eq!(*encoded.ids.last().unwrap(), tokenizer.special().end);
        }
        let prose = "The heart is enlarged. ".repeat(megabyte / 23);
        assert_eq!(tokenizer.encode(&prose, 48).unwrap(), tokenizer.encode(&prose[..2300], 48).unwrap());
        assert!(tokenizer.encode_pair(&prose, &prose, 48).unwrap().ids.len() <= 48);
    }
}

#[test]
fn unknown_ids_are_an_error() {
    let tokenizer = small();
    assert!(matches!(tokenizer.decode(&[0, 99_999, 2]), Err(InputError::UnknownId { id: 99_999, .. })));
    assert_eq!(tokenizer.decode(&[]).unwrap(), "");
    assert_eq!(tokenizer.decode(&[0, 1, 2, 3]).unwrap(), "");
}

#[test]
fn files_that_are_not_tokenizers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Tokenizer::from_folder(folder.path()), Err(InputError::NoTokenizer { .. })));
    assert!(matches!(Tokenizer::from_file(folder.path().join("absent.json")), Err(InputError::Read { .. })));
    let path = folder.path().join("tokenizer.json");
    let whole = small().to_json().unwrap();
    let without_mask = whole.replace("<mask>", "<veil>");
    let random = whole.replace("\"dropout\": null", "\"dropout\": 0.5");
    assert!(random != whole);
    let contents = [
        "",
        "null",
        "not json",
        "{\"model\":{\"type\":\"BPE\"}}",
        "{\"model\":{\"type\":\"Spell\",\"vocab\":{}}}",
        &"[".repeat(200_000),
        &whole[..whole.len() / 2],
        &without_mask,
        &random,
    ];
    for content in contents {
        fs::write(&path, content).unwrap();
        let error = Tokenizer::from_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json`"), "{error}");
    }
    let file = fs::File::create(&path).unwrap();
    file.set_len(65 << 20).unwrap();
    assert!(matches!(Tokenizer::from_file(&path), Err(InputError::TokenizerTooLarge { .. })));
    assert!(matches!(small().save(folder.path().join("no/such/folder.json")), Err(InputError::Write { .. })));
}

#[test]
fn damaged_vocabularies_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    let message = || Tokenizer::from_folder(folder.path()).unwrap_err().to_string();
    file("vocab.json", "{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"<unk>\":3,\"a\":4,\"b\":5,\"<mask>\":6}");
    file("merges.txt", "#version: 0.2\na b\n");
    assert!(message().contains("ab"), "{}", message());
    file("merges.txt", "#version: 0.2\na b c\n");
    assert!(message().contains("line 2"), "{}", message());
    file("merges.txt", "");
    assert_eq!(Tokenizer::from_folder(folder.path()).unwrap().tokenizer.encode("ab", 9).unwrap().ids, [0, 4, 5, 2]);
    file("vocab.json", "{\"a\":4000000000,\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"<unk>\":3,\"<mask>\":6}");
    assert!(message().contains("largest id"), "{}", message());
    file("vocab.json", "{\"a\":-4}");
    assert!(message().contains("vocab.json"), "{}", message());
    file("vocab.json", "{\"a\":4}");
    assert!(message().contains("`<s>`"), "{}", message());
    fs::remove_file(folder.path().join("vocab.json")).unwrap();
    file("vocab.txt", "hello\nworld\n");
    assert!(message().contains("`[PAD]`"), "{}", message());
    fs::write(folder.path().join("vocab.txt"), [0x80, 0xFE]).unwrap();
    assert!(message().contains("utf-8"), "{}", message());
    fs::write(folder.path().join("vocab.txt"), [0xFF, 0xFE, 0x41, 0]).unwrap();
    assert!(message().contains("UTF-16"), "{}", message());
}

#[test]
fn damaged_tokenizers_give_a_tokenizer_or_an_error() {
    let whole = small().to_json().unwrap().into_bytes();
    let mut random = ptu_random::Key::new(5).stream(ptu_random::Place::Sample, 0);
    for _ in 0..150 {
        let mut damaged = whole.clone();
        for _ in 0..2 {
            damaged[random.below(whole.len())] = 32 + random.below(95) as u8;
        }
        if let Ok(tokenizer) = Tokenizer::from_json(&damaged, "`damaged.json`") {
            // It may fail on a text, but only with an error.
            let _ = tokenizer.encode("The heart is enlarged. <s>", 12).map(|text| assert!(text.ids.len() <= 12));
        }
    }
}
