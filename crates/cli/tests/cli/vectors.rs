//! Vectors and search from end to end.

use std::time::Duration;

use ptu_random::{Key, Place as Draw};
use serde_json::Value;

use crate::harness::{Place, bytes};

/// Kills of a real process.
const KILLS: usize = 10;

/// A model in `run`, sixty pairs in `data`.
pub fn trained() -> Place {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=2"]);
    place
}

/// Rows of a NumPy array of vectors.
fn numpy(bytes: &[u8], width: usize) -> Vec<Vec<f32>> {
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let values: Vec<f32> =
        bytes[header..].chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    values.chunks_exact(width).map(<[f32]>::to_vec).collect()
}

fn lines(text: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(text).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn vectors_of_an_encoder_alone_are_of_one_modality() {
    let place = trained();
    let embed = |only: &str, out: &str| {
        place.good(&["embed", "run", "data", "--space", "encoder", "--only", only, "--out", out]);
        let told = place.good(&["inspect", out, "--json"]).stdout;
        crate::finetune::json(&told)
    };
    for (only, width) in [("images", 128), ("texts", 64)] {
        let told = embed(only, &format!("{only}.parquet"));
        assert!(told.to_string().contains(&format!("\"width\":{width}")), "{told}");
    }
    let call = ["embed", "run", "data", "--space", "encoder", "--out", "x.parquet"];
    place.bad(&call, &["of one modality", "--only images"]);
    let search = ["search", "images.parquet", "--model", "run", "--text", "effusion"];
    place.bad(&search, &["images.parquet", "encoder alone", "--space contrast"]);
}

/// What `search` finds is what one finds by hand in the same vectors.
#[test]
fn search_finds_what_a_plain_product_finds() {
    let place = trained();
    let embed = |out: &str| place.good(&["embed", "run", "data", "--only", "images", "--out", out]);
    assert!(embed("v.parquet").stdout.contains("60 vectors in v.parquet"));
    embed("v.npy");
    place.write("query.txt", "A radiograph of the chest with an effusion.");
    place.good(&["embed", "run", "query.txt", "--out", "q.jsonl"]);
    let query: Vec<f64> = lines(&bytes(&place.path("q.jsonl")))[1]["vector"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect();
    let vectors = numpy(&bytes(&place.path("v.npy")), query.len());
    let names = lines(&bytes(&place.path("v.npy.jsonl")));
    assert_eq!((vectors.len(), names.len()), (60, 61));
    let score = |row: usize| vectors[row].iter().zip(&query).map(|(x, y)| f64::from(*x) * y).sum::<f64>();
    let mut order: Vec<usize> = (0..60).collect();
    order.sort_by(|one, other| score(*other).total_cmp(&score(*one)));
    let by_hand: Vec<&str> = order[..10].iter().map(|row| names[row + 1]["id"].as_str().unwrap()).collect();
    let text = "A radiograph of the chest with an effusion.";
    let asked = ["search", "v.parquet", "--model", "run", "--text", text];
    let json: Value = serde_json::from_str(&place.good(&[&asked[..], &["--json"]].concat()).stdout).unwrap();
    let found: Vec<&str> = json["found"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(found, by_hand);

    let table =
        place.good(&[&asked[..], &["--where", "organ = \"chest\" and split = \"test\"", "--top", "3"]].concat());
    assert!(
        !table.stdout.is_empty() && table.stdout.lines().all(|line| line.contains("organ=chest")),
        "{}",
        table.stdout
    );
    place.good(&[&asked[..], &["--rerank", "20", "--page", "sheet.html"]].concat());
    let sheet = String::from_utf8(bytes(&place.path("sheet.html"))).unwrap();
    assert_eq!(sheet.matches("data:image/png;base64").count(), 10, "a picture for each that was found");
}

#[test]
fn either_half_and_both_are_asked_and_found() {
    let place = trained();
    place.good(&["embed", "run", "data", "--split", "test", "--out", "v.parquet"]);
    place.good(&["embed", "run", "data", "--split", "test", "--space", "features", "--out", "f.parquet"]);
    let file = place.write("x.png", picture());
    let file = file.to_str().unwrap();
    for arguments in [
        &["search", "v.parquet", "--image", file, "--find", "texts", "--rerank", "5"][..],
        &["search", "v.parquet", "--image", file, "--text", "a hand"],
        &["search", "f.parquet", "--image", file, "--text", "a hand", "--find", "pairs"],
    ] {
        let found = place.good(&[arguments, &["--model", "run", "--top", "4"]].concat()).stdout;
        assert_eq!(found.lines().count(), 4, "{arguments:?}: {found}");
    }
}

/// A grey picture of so many pixels a side.
pub fn png(side: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    bytes
}

fn picture() -> Vec<u8> {
    png(40, &(0..1600u32).map(|place| (place * 7 % 251) as u8).collect::<Vec<u8>>())
}

/// Killed at random moments and gone on with, the file is that of work that was never interrupted.
#[test]
fn killed_and_resumed_gives_the_same_bytes() {
    let place = trained();
    place.good(&["prepare", "phantom", "many", "--pairs", "2000", "--seed", "6", "--side", "32"]);
    let embed = |out: &str| {
        let mut command = place.command(&["embed", "run", "many", "--out", out, "--resume", "--save-every", "0"]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command
    };
    assert!(embed("whole.parquet").status().unwrap().success());
    let mut moments = Key::new(5).stream(Draw::Sample, 0);
    let (mut kills, mut lives) = (0, 0);
    while kills < KILLS && lives < 10 * KILLS {
        let mut child = embed("killed.parquet").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(30 + moments.below(400) as u64));
        lives += 1;
        if child.try_wait().unwrap().is_some() {
            // A fast machine is done before enough kills were seen: it starts again from nothing.
            if kills > 2 {
                break;
            }
            std::fs::remove_file(place.path("killed.parquet")).unwrap();
            continue;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 2, "only {kills} kills");
    assert!(embed("killed.parquet").status().unwrap().success());
    assert_eq!(bytes(&place.path("whole.parquet")), bytes(&place.path("killed.parquet")));
    assert!(!place.path(".killed.parquet.partial").exists());
    // Once more changes nothing.
    assert!(embed("killed.parquet").status().unwrap().success());
}

#[test]
fn what_cannot_be_embedded_is_listed_once_and_told_by_the_exit_code() {
    let place = trained();
    let odd = 300;
    for number in 0..odd {
        place.write(&format!("in/{number:03}.png"), "no picture");
    }
    place.write("in/x.png", picture());
    let output = place.command(&["embed", "run", "in/*.png", "--out", "v.parquet", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let left_out = report["left_out"].as_array().unwrap();
    assert_eq!((left_out.len(), report["rows"].as_u64()), (odd, Some(1)));
    assert!(left_out[0]["cause"].as_str().unwrap().contains("text"), "{}", left_out[0]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.matches("in/007.png:").count(), 1);
    assert!(stderr.contains("250 more"), "{stderr}");
}

#[test]
fn wrong_requests_say_what_would_be_right() {
    let place = trained();
    place.good(&["embed", "run", "data", "--split", "test", "--out", "v.parquet"]);
    let embed = |rest: &[&'static str]| [&["embed", "run"], rest].concat();
    place.bad(&embed(&["nowhere", "--out", "x.parquet"]), &["nowhere", "is not there"]);
    place.bad(&embed(&["*.jpg", "--out", "x.parquet"]), &["*.jpg", "matches no file"]);
    place.bad(&embed(&["data", "--out", "x.txt"]), &["x.txt", ".parquet"]);
    place.bad(&embed(&["data", "--out", "v.parquet"]), &["v.parquet", "exists"]);
    place.bad(&embed(&["data", "--out", "v.parquet", "--resume"]), &["v.parquet", "other inputs"]);
    let search = |rest: &[&'static str]| [&["search", "v.parquet", "--model", "run"], rest].concat();
    place.bad(&search(&[]), &["--image", "--text"]);
    place.bad(&search(&["--text", "x", "--where", "organ = "]), &["organ = ", "column 9"]);
    place.bad(&search(&["--text", "x", "--where", "organs = \"hand\""]), &["`organs` at column 1", "`organ`"]);
    place.bad(&search(&["--text", "x", "--find", "texts", "--rerank", "3"]), &["with an image"]);
    place.write("words.png", "a text in place of an image");
    place.bad(&search(&["--image", "words.png"]), &["words.png", "text"]);
    place.bad(&["search", "run/log.jsonl", "--model", "run", "--text", "x"], &["log.jsonl", "parquet"]);
    place.good(&["pretrain", "r.toml", "--out", "other", "--set", "train.steps=1", "--set", "seed=3"]);
    place
        .bad(&["search", "v.parquet", "--model", "other", "--text", "x"], &["another model", "embed the inputs again"]);
}

/// Interrupted work is not mixed with other work, nor thrown away.
#[test]
fn interrupted_work_is_said() {
    let place = trained();
    place.good(&["prepare", "phantom", "many", "--pairs", "3000", "--seed", "6", "--side", "32"]);
    let embed = ["embed", "run", "many", "--out", "v.parquet", "--save-every", "0"];
    let mut child = place.command(&embed).stderr(std::process::Stdio::null()).spawn().unwrap();
    let parts = place.path(".v.parquet.partial");
    let is_part = |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|ending| ending == "parquet");
    while !std::fs::read_dir(&parts).is_ok_and(|entries| entries.flatten().any(|entry| is_part(&entry))) {
        assert!(child.try_wait().unwrap().is_none(), "finished before it could be interrupted");
        std::thread::sleep(Duration::from_millis(5));
    }
    place.bad(&[&embed[..], &["--resume"]].concat(), &["another process"]);
    child.kill().unwrap();
    child.wait().unwrap();
    place.bad(&embed, &["interrupted", "--resume"]);
    place.bad(&[&embed[..], &["--resume", "--only", "texts"]].concat(), &["other options"]);
    place.good(&[&embed[..], &["--resume"]].concat());
}
