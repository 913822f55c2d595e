//! Tokenizers and pictures of other people: taken as they say, or refused by what they are.

use crate::harness::{Place, bytes};

/// A small vocabulary of texts in upper and lower case.
fn cased() -> String {
    let mut tokens: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "There", "is", "CT", ".", ","].map(String::from).to_vec();
    for letter in ('a'..='z').chain('A'..='Z') {
        tokens.extend([letter.to_string(), format!("##{letter}")]);
    }
    tokens.join("\n") + "\n"
}

#[test]
fn a_tokenizers_own_configuration_is_honoured_and_kept() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.write("cased/vocab.txt", cased());
    place.write(
        "cased/tokenizer_config.json",
        r#"{"do_lower_case": false, "tokenizer_class": "BertTokenizer", "model_max_length": 8}"#,
    );
    let pretrain = |out: &str, tokenizer: &str| {
        let set = format!("text.tokenizer={tokenizer:?}");
        place.good(&["pretrain", "r.toml", "--out", out, "--set", &set, "--set", "train.steps=1"])
    };
    let lowercase = |out: &str| {
        let json: serde_json::Value =
            serde_json::from_slice(&bytes(&place.path(&format!("{out}/tokenizer.json")))).unwrap();
        json["normalizer"]["lowercase"].as_bool().unwrap()
    };
    let ran = pretrain("run", "cased");
    assert!(!lowercase("run"));
    let said = ran.stdout + &ran.stderr;
    assert!(said.contains("cased`: its model was made for texts of at most 8 tokens"), "{said}");
    // The bundle's tokenizer is the run's, byte for byte, and serves as one again.
    assert_eq!(bytes(&place.path("run/bundle/tokenizer.json")), bytes(&place.path("run/tokenizer.json")));
    pretrain("again", "run/bundle");
    assert_eq!(bytes(&place.path("again/tokenizer.json")), bytes(&place.path("run/tokenizer.json")));
    // Unsaid: the vocabulary shows it.
    std::fs::remove_file(place.path("cased/tokenizer_config.json")).unwrap();
    let ran = pretrain("unsaid", "cased");
    assert!(!lowercase("unsaid"));
    let said = ran.stdout + &ran.stderr;
    assert!(said.contains("so texts keep their case"), "{said}");
    // Names that no reader of one file would guess.
    place.write("cased/special_tokens_map.json", r#"{"mask_token": "z"}"#);
    pretrain("renamed", "cased");
    place.good(&["evaluate", "renamed"]);
    place.write("cased/tokenizer_config.json", r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#);
    let arguments = ["pretrain", "r.toml", "--out", "refused", "--set", "text.tokenizer=\"cased\""];
    place.bad(&arguments, &["cased`", "BertJapaneseTokenizer", "`tokenizer.json`"]);
}

#[test]
fn what_is_no_picture_that_is_read_is_named_by_its_form() {
    let place = Place::new();
    let dicom = [&[0; 128], b"DICM".as_slice(), &[2, 0]].concat();
    let forms: [(&str, &[u8], &[&str]); 9] = [
        ("a.jp2", b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", &["JPEG 2000, which is not read", "save it as PNG"]),
        ("a.png", b"\xFF\x4F\xFF\x51\0\x29\0\0", &["JPEG 2000"]),
        (
            "b.png",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
            &["Git LFS pointer", "git lfs pull"],
        ),
        ("c.png", b"<!DOCTYPE html><title>Sign in</title>", &["a web page (HTML)", "login"]),
        ("d.dcm", &dicom, &["DICOM", "pydicom"]),
        ("e.gif", b"GIF89a\x01\0\x01\0\x80\0\0", &["GIF", "save it as PNG"]),
        ("f.bmp", b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0", &["BMP"]),
        ("g.avif", b"\0\0\0\x1cftypavif\0\0\0\0", &["AVIF"]),
        ("h.jpg", b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n", &["a PDF"]),
    ];
    for (name, content, words) in forms {
        place.write(name, content);
        place.write("t.csv", format!("image,text\n{name},Clear lungs.\n"));
        place.bad(&["prepare", "table", "t.csv", "out"], &[&["t.csv", "line 2", name][..], words].concat());
    }
}
