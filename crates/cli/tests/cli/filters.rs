//! What `search --where` compares with what, what hits say of themselves, and what is told of those that are not there.

use serde_json::Value;

use crate::harness::{Place, Ran};
use crate::vectors::{png, trained};

/// Records whose names, labels and ages look like numbers or do not.
const PEOPLE: &str = "id,patient,image,text,age,dose,split\n\
    007,0012,img/0.png,Report number 0 of the lungs.,072Y,1,train\n\
    7,12,img/1.png,Report number 1 of the lungs.,61,-3,train\n\
    07.0,1.2e1,img/2.png,Report number 2 of the lungs.,9Y,-2.50,train\n\
    x1,p1,img/3.png,Report number 3 of the lungs.,60,9007199254740993,test\n\
    1e3,p2,img/4.png,Report number 4 of the lungs.,100,9007199254740992,test\n\
    1000,Mu\u{308}ller,img/5.png,Report number 5 of the lungs.,61.0,,test\n";

/// People embedded in `v.parquet`, one vector a text and one an image.
fn people() -> Place {
    let place = trained();
    for number in 0..6u32 {
        let pixels: Vec<u8> = (0..1600u32).map(|place| (place * (7 + number) % 251) as u8).collect();
        place.write(&format!("img/{number}.png"), png(40, &pixels));
    }
    place.write("people.csv", PEOPLE);
    place.good(&["embed", "run", "people.csv", "--out", "v.parquet"]);
    place
}

fn search(place: &Place, more: &[&str]) -> Ran {
    place.good(&[&["search", "v.parquet", "--model", "run", "--text", "lungs"], more].concat())
}

/// Ids that a filter keeps, in order, and the whole answer.
fn kept(place: &Place, filter: &str) -> (Vec<String>, Value) {
    let ran = search(place, &["--find", "texts", "--json", "--where", filter]);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    let id = |row: &Value| row["id"].as_str().unwrap().to_string();
    let mut ids: Vec<String> = json["found"].as_array().unwrap().iter().map(id).collect();
    ids.sort();
    // What is told to programs is told to people too.
    for note in json["notes"].as_array().unwrap() {
        assert!(ran.stderr.contains(note.as_str().unwrap()), "{note} is not in: {}", ran.stderr);
    }
    (ids, json)
}

#[test]
fn the_literal_of_a_filter_says_what_is_meant() {
    let place = people();
    for (filter, wanted) in [
        ("patient = \"0012\"", &["007"][..]),
        ("patient = 12", &["007", "07.0", "7"]),
        ("id = \"7\"", &["7"]),
        ("id = \"1000\"", &["1000"]),
        ("id = 1e3", &["1000", "1e3"]),
        ("id != \"7\" and id < \"1000\"", &["007", "07.0"]),
        ("id in ('7', '1e3')", &["1e3", "7"]),
        ("id in (7)", &["007", "07.0", "7"]),
        ("id between \"007\" and \"07.0\"", &["007", "07.0"]),
        ("not id = 7", &["1000", "1e3", "x1"]),
        ("dose < -2.5 or dose = -2.5", &["07.0", "7"]),
        ("dose between -3 and -1", &["07.0", "7"]),
        ("dose > 9007199254740992", &["x1"]),
        ("dose = \"-2.5\"", &[]),
        ("dose is null", &["1000"]),
        ("dose != 1", &["07.0", "1000", "1e3", "7", "x1"]),
        ("split = \"test\"", &["1000", "1e3", "x1"]),
        ("split = 'train' and source = 'people'", &["007", "07.0", "7"]),
        ("patient = \"M\u{fc}ller\"", &["1000"]),
        ("path like '%people.csv' or path like '%img/3.png'", &["x1"]),
        ("modality = 'text' and text like '%number 4%'", &["1e3"]),
    ] {
        assert_eq!(kept(&place, filter).0, wanted, "{filter}");
    }
}

#[test]
fn values_that_are_no_numbers_are_counted_aloud() {
    let place = people();
    let (ids, json) = kept(&place, "age >= 60");
    assert_eq!(ids, ["1000", "1e3", "7", "x1"]);
    assert_eq!((&json["no_numbers"]["age"], json["no_numbers"].as_object().unwrap().len()), (&Value::from(2), 1));
    assert_eq!(json["notes"][0], "2 values of `age` are not numbers");
    for filter in ["age != 60", "not age between 1 and 2", "age in (1, 'x')", "id = 'x1' and age < -1"] {
        assert_eq!(kept(&place, filter).1["no_numbers"]["age"], 2, "{filter}");
    }
    let (_, json) = kept(&place, "age = '60'");
    assert_eq!((json["notes"].as_array().unwrap().len(), &json["found"][0]["id"]), (0, &Value::from("x1")));
    let told = search(&place, &["--where", "patient < 100"]).stderr;
    assert!(told.contains("3 values of `patient` are not numbers"), "images alone are looked for: {told}");
    let told = search(&place, &["--where", "age >= \"60\""]).stderr;
    assert!(told.contains("letter by letter") && told.contains("quotation marks"), "{told}");
    let told = search(&place, &["--where", "dose != 1"]).stderr;
    assert!(told.contains("1 row has no `dose`") && told.contains("is not null"), "{told}");
}

#[test]
fn hits_show_where_they_come_from() {
    let place = people();
    let first = |stdout: &str, word: &str| stdout.lines().find(|line| line.contains(word)).unwrap().to_string();
    let line = first(&search(&place, &[]).stdout, "x1");
    for part in ["img/3.png", "age=60", "dose=9007199254740993", "Report number 3"] {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
    let paths = search(&place, &["--paths", "--top", "6"]).stdout;
    let mut paths: Vec<&str> = paths.lines().collect();
    paths.sort_unstable();
    let wanted: Vec<String> =
        (0..6).map(|number| place.path(&format!("img/{number}.png")).display().to_string()).collect();
    assert_eq!(paths, wanted);
    assert!(paths.iter().all(|path| std::path::Path::new(path).is_file()));
    let json: Value = serde_json::from_str(&search(&place, &["--json", "--where", "id = 'x1'"]).stdout).unwrap();
    assert_eq!(json["found"][0]["path"], wanted[3].as_str());
    assert_eq!(json["found"][0]["split"], "test");

    // Texts of files, and records of shards, which keep their labels, fields and the names of their images.
    place.write("notes/a.txt", "The lungs are clear.");
    place.good(&["prepare", "table", "people.csv", "shards", "--label", "dose"]);
    place.good(&["embed", "run", "notes", "shards", "--split", "test", "--out", "w.parquet"]);
    let asked = ["search", "w.parquet", "--model", "run", "--text", "lungs"];
    let texts = place.good(&[&asked[..], &["--find", "texts", "--paths"]].concat()).stdout;
    let mut texts: Vec<&str> = texts.lines().collect();
    texts.sort_unstable();
    assert_eq!(texts, [place.path("notes/a.txt").to_str().unwrap(), "img/3.png", "img/4.png", "img/5.png"]);
    let json = place.good(&[&asked[..], &["--json", "--where", "dose > 0 and age > 60"]].concat()).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let (labels, fields) = (&json["found"][0]["labels"], &json["found"][0]["fields"]);
    assert_eq!(
        (labels[0][0].as_str(), fields[0][0].as_str(), fields[0][1].as_str()),
        (Some("dose"), Some("age"), Some("100"))
    );
}

#[test]
fn nothing_found_says_what_kept_everything_out() {
    let place = people();
    let filtered = search(&place, &["--where", "age > 200"]);
    assert!(
        filtered.stdout.is_empty() && filtered.stderr.contains("--where keeps none of the 6"),
        "{}",
        filtered.stderr
    );
    let modality = search(&place, &["--find", "pairs", "--where", "age > 200"]);
    assert!(modality.stderr.contains("none of the 12 vectors is of a pair"), "{}", modality.stderr);
    let json: Value = serde_json::from_str(&search(&place, &["--find", "pairs", "--json"]).stdout).unwrap();
    assert_eq!(
        (&json["vectors"], &json["of_modality"], &json["kept"]),
        (&Value::from(12), &Value::from(0), &Value::from(0))
    );
    assert!(json["notes"][0].as_str().unwrap().contains("of a pair"), "{json}");
}

/// Every way to go wrong has the exit code that `--help` says.
#[test]
fn exit_codes_are_as_documented() {
    let place = people();
    let help = place.good(&["search", "--help"]).stdout;
    assert!(
        help.contains("Exit codes: 0 done, even if nothing was found") && help.contains("2 wrong arguments"),
        "{help}"
    );
    let asked = ["search", "v.parquet", "--model", "run"];
    let code = |more: &[&str]| {
        let output = place.command(&[&asked[..], more].concat()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(code(&["--text", "lungs", "--where", "age > 200"]).0, Some(0));
    for empty in ["", "  \n"] {
        let (code, said) = code(&["--text", empty]);
        assert!(code == Some(2) && said.contains("--text") && said.contains("empty"), "{said}");
    }
    let (nothing, said) = code(&[]);
    assert!(nothing == Some(2) && said.contains("--image") && said.contains("--text"), "{said}");
    assert_eq!(code(&["--text", "lungs", "--paths", "--json"]).0, Some(2));
    for (filter, parts) in [
        ("age >", &["column 6", "write comparisons such as"][..]),
        ("AGE >= 60", &["no row has `AGE` at column 1", "did you mean `age`?"]),
        ("id = \u{201c}7\u{201d}", &["`\u{201c}` at column 6", "write \" instead"]),
        ("age between 1 and \"x\"", &["a number", "a text", "write two numbers"]),
    ] {
        let (code, said) = code(&["--text", "lungs", "--where", filter]);
        assert!(code == Some(2) && parts.iter().all(|part| said.contains(part)), "{filter}: {code:?} {said}");
    }
    // Vectors of image files have no fields.
    place.good(&["embed", "run", "img", "--out", "i.parquet"]);
    let bare = ["search", "i.parquet", "--model", "run", "--text", "lungs", "--where", "age >= 60"];
    place.bad(&bare, &["no row has `age`", "`patient`", "these vectors have none"]);
    assert_eq!(code(&["--text", "lungs", "--precision", "f16"]).0, Some(2));
    assert_eq!(code(&["--text", "lungs", "--precision", "auto", "--top", "1"]).0, Some(0));
}

/// A text beyond the model's limit is told once, with the number of such texts.
#[test]
fn texts_that_are_cut_are_counted_once() {
    let place = people();
    let long = "the lungs are clear and the heart is of normal size ".repeat(8);
    let rows: String =
        (0..40).map(|row| format!("r{row},{}\n", if row % 4 == 0 { long.as_str() } else { "clear" })).collect();
    place.write("long.csv", format!("id,text\n{rows}"));
    let embed = |out: &str, more: &[&str]| place.good(&[&["embed", "run", "long.csv", "--out", out], more].concat());
    let said = embed("l.parquet", &[]).stderr;
    assert_eq!(said.matches("longer than the model's 24 tokens: 10").count(), 1, "{said}");
    let json: Value = serde_json::from_str(&embed("m.jsonl", &["--json", "--precision", "auto"]).stdout).unwrap();
    assert_eq!(json["cut"], 10);
    // What was done before is counted with the rest.
    let again: Value = serde_json::from_str(&embed("l.parquet", &["--resume", "--json"]).stdout).unwrap();
    assert_eq!((&again["cut"], &again["rows"]), (&Value::from(10), &Value::from(40)));
    let short = place.good(&["search", "l.parquet", "--model", "run", "--text", "lungs"]).stderr;
    assert!(!short.contains("longer"), "{short}");
    let asked = place.good(&["search", "l.parquet", "--model", "run", "--text", &long]).stderr;
    assert!(asked.contains("longer than the model's 24 tokens"), "{asked}");
}

#[test]
fn a_file_of_vectors_says_what_it_holds() {
    let place = people();
    let seen = place.good(&["inspect", "v.parquet"]).stdout;
    for part in ["12 of 32 numbers", "6 of image", "6 of text", "people 12", "train 6", "`age`: 12 rows, 6 different"] {
        assert!(seen.contains(part), "`{part}` is not in: {seen}");
    }
    let json = |paths: &[&str]| -> Value {
        serde_json::from_str(&place.good(&[&["inspect", "--json"], paths].concat()).stdout).unwrap()
    };
    let vectors = json(&["v.parquet"]);
    assert_eq!((&vectors["kind"], &vectors["modalities"]["image"]), (&Value::from("vectors"), &Value::from(6)));
    let all = json(&["run", "run/bundle", "data", "v.parquet"]);
    let kinds: Vec<&str> =
        all["inspected"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["run", "bundle", "shards", "vectors"]);
    assert_eq!(all["inspected"][0]["steps"], 2);
    assert!(all["inspected"][0]["bundle"]["weights"].as_u64() == all["inspected"][1]["weights"].as_u64(), "{all}");
    assert_eq!(all["inspected"][2]["manifest"]["source"], "phantom");
    let shard = "data/train-00000.parquet";
    place.bad(&["inspect", shard], &[shard, "name the folder: `data`"]);
    place.write("other.parquet", "not a parquet");
    place.bad(&["inspect", "other.parquet"], &["other.parquet", "not a parquet file"]);
    place.bad(&["inspect", "people.csv"], &["people.csv", ".parquet"]);
}

/// Where a page cannot be written, no time is spent before that is said.
#[test]
fn pages_that_cannot_be_written_are_found_first() {
    let place = people();
    for command in [
        &["search", "v.parquet", "--model", "nowhere", "--text", "lungs"][..],
        &["evaluate", "nowhere"],
        &["inspect", "nowhere"],
        &["watch", "run", "--once"],
        &["bench", "prepare", "--pairs", "10000000"],
    ] {
        for (page, cause) in
            [("img", "is a folder"), ("absent/p.html", "folder does not exist"), ("r.toml/p.html", "folder")]
        {
            place.bad(&[command, &["--page", page]].concat(), &[page, cause]);
        }
    }
    place.bad(
        &["embed", "nowhere", "nothing", "--out", "absent/v.parquet"],
        &["absent/v.parquet", "folder does not exist"],
    );
}
