//! Tokenizers, pictures and folders of other people: taken as they say, or refused by what they are.

use crate::harness::{Place, bytes};
use crate::vectors::{png, trained};

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
        (
            "a.jp2",
            b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ",
            &["JPEG 2000, which is not supported", "save it as PNG"],
        ),
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

/// `embed run INPUTS --out OUT` with more arguments: exit code, what it printed, what it said.
fn embed(place: &Place, inputs: &[&str], more: &[&str]) -> (Option<i32>, String, String) {
    let output = place.command(&[&["embed", "run"], inputs, more].concat()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(!stderr.contains("panicked"), "{stderr}");
    (output.status.code(), stdout, stderr)
}

fn has(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in: {text}"));
}

fn picture(shift: u32) -> Vec<u8> {
    png(40, &(0..1600u32).map(|place| (place * (7 + shift) % 251) as u8).collect::<Vec<u8>>())
}

#[test]
fn nothing_in_a_folder_vanishes() {
    let place = trained();
    let dicom = [&[0; 128], b"DICM".as_slice(), &[2, 0]].concat();
    for (name, content) in [
        ("in/0.png", picture(0).as_slice()),
        ("in/1.jfif", &picture(1)),
        ("in/sub/2", &picture(2)),
        ("in/a.dcm", &dicom),
        ("in/sub/IM0001", &dicom),
        ("in/b.gif", b"GIF89a\x01\0\x01\0\x80\0\0"),
        ("in/c.bmp", b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0"),
        ("in/d.docx", b"PK\x03\x04\x14\0\0\0word/document.xml"),
        ("in/table.csv", b"image,text\n0.png,Clear.\n"),
        ("in/README.md", b"Notes."),
        ("in/.DS_Store", b""),
    ] {
        place.write(name, content);
    }
    let (code, printed, said) = embed(&place, &["in"], &["--out", "v.parquet"]);
    assert_eq!((code, printed.trim()), (Some(3), "3 vectors in v.parquet"));
    for name in [
        "in/a.dcm: is DICOM",
        "in/sub/IM0001: is DICOM",
        "in/b.gif: is GIF",
        "in/c.bmp: is BMP",
        "in/d.docx: is a Word",
    ] {
        has(&said, &["skipped: ", name, "save its picture as PNG"]);
    }
    has(&said, &["for example `in/table.csv`", "which are not read: 1 .md, 1 hidden"]);
    // What is no input alone does not change the exit code, and programs are told of it too.
    ["in/a.dcm", "in/sub/IM0001", "in/b.gif", "in/c.bmp", "in/d.docx"]
        .iter()
        .for_each(|name| std::fs::remove_file(place.path(name)).unwrap());
    let (code, printed, _) = embed(&place, &["in"], &["--out", "w.parquet", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, report["notes"].as_array().unwrap().len(), &report["rows"]), (Some(0), 2, &3.into()));
    place.write("tables/t.csv", "text\nClear.\n");
    place.bad(
        &["embed", "run", "tables", "--out", "x.parquet"],
        &["`tables` contains no image", "for example `tables/t.csv`"],
    );
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_costs_itself_alone() {
    let place = trained();
    place.write("in/0.png", picture(0));
    place.write("in/sub/1.png", picture(1));
    std::os::unix::fs::symlink("nowhere.png", place.path("in/gone.png")).unwrap();
    std::os::unix::fs::symlink("..", place.path("in/sub/round")).unwrap();
    let (code, printed, said) = embed(&place, &["in"], &["--out", "v.parquet"]);
    assert_eq!((code, printed.trim()), (Some(3), "2 vectors in v.parquet"));
    has(&said, &["in/gone.png: is a link to a file that does not exist", "in/sub/round: is a link to `in`"]);
}

#[test]
fn work_that_gives_no_vector_fails_and_leaves_no_file() {
    let place = trained();
    place.write("0.png", picture(0));
    place.write("0.txt", "Clear lungs.");
    place.write("t.csv", "image,text\n0.png,\n,Clear.\n");
    place.write("bad.png", "no picture");
    place.write("in/a.gif", b"GIF89a\x01\0\x01\0\x80\0\0");
    for (inputs, only, words) in [
        (&["0.png"][..], "texts", &["none of the inputs has a text, which `--only` selects", "remove `--only`"][..]),
        (&["0.txt"], "images", &["none of the inputs has an image"]),
        (&["0.png", "0.txt"], "pairs", &["none of the inputs has an image with a text"]),
        (&["t.csv"], "pairs", &["no input gave a vector", "of 2 inputs 0 were skipped, and 2 do not have"]),
        (&["bad.png"], "images", &["skipped: bad.png", "all 1 inputs were skipped"]),
        (&["in"], "images", &["skipped: in/a.gif: is GIF", "all 1 inputs were skipped"]),
    ] {
        let (code, printed, said) = embed(&place, inputs, &["--only", only, "--out", "v.parquet"]);
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{inputs:?}: {said}");
        has(&said, words);
        assert!(!place.path("v.parquet").exists() && !place.path(".v.parquet.partial").exists(), "{inputs:?}");
    }
    // Some have it: they are embedded, and those without are counted.
    let (code, printed, said) = embed(&place, &["t.csv", "0.png"], &["--only", "texts", "--out", "v.parquet"]);
    assert_eq!((code, printed.trim()), (Some(0), "1 vectors in v.parquet"));
    has(&said, &["inputs without a text, which `--only` selects: 2"]);
}

/// The names of an array stand in a second file, which may be somebody's.
#[test]
fn no_file_of_the_user_is_written_over() {
    let place = trained();
    place.write("0.png", picture(0));
    for (out, taken) in
        [("v.npy", "v.npy.jsonl"), ("v.npy", "v.npy"), ("w.parquet", "w.parquet"), ("x.jsonl", "x.jsonl")]
    {
        place.write(taken, "mine\n");
        place.exits(&["embed", "run", "0.png", "--out", out], 1, &[taken, "exists: name another file"]);
        assert_eq!(std::fs::read_to_string(place.path(taken)).unwrap(), "mine\n");
        std::fs::remove_file(place.path(taken)).unwrap();
    }
}

#[test]
fn finished_work_says_its_true_numbers_in_every_format() {
    let place = trained();
    place.write("t.csv", "image,text\n0.png,One.\nabsent.png,Two.\n,Three.\n");
    place.write("0.png", picture(0));
    for out in ["v.parquet", "v.npy", "v.jsonl"] {
        let more = ["--out", out, "--only", "images", "--json"];
        let first = embed(&place, &["t.csv"], &more);
        let again = embed(&place, &["t.csv"], &[&more[..], &["--resume"]].concat());
        let report: serde_json::Value = serde_json::from_str(&first.1).unwrap();
        assert_eq!((first.0, &report["rows"], &report["passed"]), (Some(3), &1.into(), &1.into()), "{out}");
        assert_eq!((again.0, again.1), (first.0, first.1), "{out}");
        // Only the bar has nothing to show any more.
        let said =
            |text: &str| text.lines().filter(|line| !line.starts_with("embed ")).map(String::from).collect::<Vec<_>>();
        assert_eq!(said(&again.2), said(&first.2), "{out}");
    }
    // A file of lines of an older version notes nothing beside its header.
    let older: String = std::fs::read_to_string(place.path("v.jsonl")).unwrap();
    let (line, rest) = older.split_once('\n').unwrap();
    let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
    line.as_object_mut().unwrap().remove("notes").unwrap();
    place.write("v.jsonl", format!("{line}\n{rest}"));
    let (code, printed, _) = embed(&place, &["t.csv"], &["--out", "v.jsonl", "--only", "images", "--resume"]);
    assert_eq!((code, printed.trim()), (Some(0), "1 vectors in v.jsonl"));
}

/// A parquet file with its images in it, as the Hugging Face Hub has them.
#[test]
fn pictures_within_a_table_are_shown_and_ranked() {
    let place = trained();
    place.good(&["embed", "run", "data/test-00000.parquet", "--out", "v.parquet"]);
    let asked = ["search", "v.parquet", "--model", "run", "--text", "a hand", "--top", "3"];
    place.good(&[&asked[..], &["--rerank", "3", "--page", "found.html"]].concat());
    let page = String::from_utf8(bytes(&place.path("found.html"))).unwrap();
    assert_eq!(page.matches("data:image/png;base64").count(), 3);
    let found = place.good(&[&asked[..], &["--json"]].concat()).stdout;
    has(&found, &["data/test-00000.parquet, row "]);
}
