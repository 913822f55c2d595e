//! `quickstart`: what it says, how it goes on, what it refuses before any work.

use std::process::Stdio;
use std::time::{Duration, Instant};

use ptu_random::{Key, Place as Draw};

use crate::harness::{Place, Ran, bytes};
use crate::vectors::png;

/// Kills of a real process.
const KILLS: usize = 8;

/// A model that learns in a second.
const SMALL: [&str; 5] =
    ["train.batch=4", "text.vocabulary=300", "model.image.size=32", "model.image.layers=2", "model.fusion.layers=2"];

/// Its steps.
const STEPS: [&str; 3] = ["train.steps=12", "train.save_every=3", "train.validate_every=6"];

fn sets(sets: &[&'static str]) -> Vec<&'static str> {
    sets.iter().flat_map(|set| ["--set", set]).collect()
}

/// Forty pairs of twenty cases in `pairs.csv`, with columns of unusual names.
fn table(place: &Place) {
    let mut rows = "where,what,case\n".to_string();
    for number in 0..40u32 {
        let pixels: Vec<u8> = (0..32 * 32u32).map(|pixel| (pixel * (number + 1) % 251) as u8).collect();
        place.write(&format!("pictures/{number}.png"), png(32, &pixels));
        rows +=
            &format!("pictures/{number}.png,Case number {number} with finding {}.,case{}\n", number % 5, number / 2);
    }
    place.write("pairs.csv", rows);
}

const TABLE: [&str; 9] =
    ["quickstart", "--table", "pairs.csv", "--image", "where", "--text", "what", "--patient", "case"];

fn asked<'a>(out: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    [&TABLE[..], &["--out", out], &sets(&SMALL), &sets(&STEPS), extra].concat()
}

/// Files that must be the same whatever happened on the way.
const SAME: [&str; 6] = [
    "run/log.jsonl",
    "run/bundle/model.safetensors",
    "run/recipe.toml",
    "run/scores.json",
    "vectors.parquet",
    "data/manifest.json",
];

#[test]
fn it_is_given_again_after_kills_at_random_moments() {
    let place = Place::new();
    table(&place);
    let start = Instant::now();
    // In a folder of the same name, which stands in the recipe.
    let whole = place.good(&asked("q", &[]));
    let length = start.elapsed();
    std::fs::rename(place.path("q"), place.path("whole")).unwrap();
    let mut moments = Key::new(4).stream(Draw::Sample, 0);
    for _ in 0..KILLS {
        let life = length.mul_f64(moments.unit());
        let mut child = place.command(&asked("q", &[])).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(life);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let again = place.good(&asked("q", &[]));
    for file in SAME {
        assert_eq!(bytes(&place.path("whole").join(file)), bytes(&place.path("q").join(file)), "{file} differs");
    }
    let last = |ran: &Ran| ran.stdout.lines().last().map(str::to_string).unwrap();
    assert_eq!(last(&whole), last(&again));
    assert!(place.path("q/report.html").exists());
    // Finished, it does no work again.
    let made = |name: &str| std::fs::metadata(place.path(name)).unwrap().modified().unwrap();
    let before = (made("q/report.html"), made("q/vectors.parquet"), made("q/run/recipe.toml"));
    let finished = place.good(&asked("q", &[]));
    assert_eq!((made("q/report.html"), made("q/vectors.parquet"), made("q/run/recipe.toml")), before);
    assert!(finished.stderr.contains("finished already") && last(&finished) == last(&whole), "{}", finished.stderr);
}

#[test]
fn another_command_does_not_go_on_in_its_folder() {
    let place = Place::new();
    table(&place);
    place.good(&asked("q", &[]));
    for (extra, words) in [
        (&["--seed", "1"][..], &["cannot be continued", "`--seed` (0, now 1)", "another --out"][..]),
        (&["--set", "train.warmup=0.5"], &["--set"]),
        (&["--minutes", "3"], &["`--minutes`", "`--set train.steps`"]),
        (&["--test", "0.3"], &["`--test` (0.2, now 0.3)"]),
        (&["--skip-bad"], &["`--skip-bad` (not given, now given)"]),
    ] {
        place.bad(&asked("q", extra), words);
    }
    place.bad(
        &["quickstart", "--out", "q"],
        &["cannot be continued", "the corpus (table `", "pairs.csv`, now phantom pairs)"],
    );
    place.write(
        "pairs.csv",
        std::fs::read_to_string(place.path("pairs.csv")).unwrap().replace("number 3 ", "number three "),
    );
    place.bad(&asked("q", &[]), &["the table, which has changed"]);
    place.write("letters/dear.txt", "dear");
    place.bad(&asked("letters", &[]), &["letters", "not empty"]);
}

#[test]
fn what_is_wrong_is_found_before_any_work_and_leaves_no_folder() {
    let place = Place::new();
    table(&place);
    for (arguments, words) in [
        (asked("q", &["--set", "train.stepz=3"]), &["train.stepz", "train.steps"][..]),
        (asked("q", &["--set", "nonsense"]), &["error: cannot apply `--set nonsense`: write it as key=value"]),
        (asked("q", &["--set", "train.batch=\"many\""]), &["train.batch"]),
        (asked("q", &["--minutes", "3"]), &["`--minutes` and `--set train.steps`", "use only one of them"]),
        (vec!["quickstart", "--table", "pairs.csv", "--out", "q"], &["pairs.csv", "`--image", "`--text"]),
        (vec!["quickstart", "--table", "nowhere.csv", "--out", "q"], &["nowhere.csv"]),
        (vec!["quickstart", "--image", "where", "--out", "q"], &["--table"]),
        (asked("q", &["--test", "1.5"]), &["test"]),
    ] {
        place.bad(&arguments, words);
        assert!(!place.path("q").exists(), "{arguments:?} leaves a folder");
    }
}

#[test]
fn a_table_without_anything_to_ask_about_is_refused_first() {
    let place = Place::new();
    for number in 0..5 {
        place.write(&format!("{number}.png"), png(32, &[number; 32 * 32]));
    }
    let rows = |splits: [&str; 5]| {
        let rows = splits.iter().enumerate().map(|(number, split)| format!("{number}.png,finding {number},{split}"));
        format!("image,text,split\n{}\n", rows.collect::<Vec<_>>().join("\n"))
    };
    let refused = |words: &[&str]| {
        place.bad(&["quickstart", "--table", "five.csv", "--out", "q"], words);
        assert!(!place.path("q").exists());
    };
    place.write("five.csv", rows(["train"; 5]));
    refused(&["five.csv", "`split`", "5 pairs in `train`", "none in `test`", "remove the column"]);
    place.write("five.csv", rows(["train", "train", "validate", "validate", "validate"]));
    refused(&["none in `test`"]);
    place.write("five.csv", rows(["test"; 5]));
    refused(&["none in `train`"]);
    // Drawn splits have an option.
    place.write("five.csv", rows(["train"; 5]).replace("split", "kind"));
    place.bad(&["quickstart", "--table", "five.csv", "--test", "0", "--out", "q"], &["none in `test`", "`--test`"]);
    assert!(!place.path("q").exists());
}

#[test]
fn it_says_at_its_start_how_long_it_takes_and_has_steps_for_the_time() {
    let place = Place::new();
    table(&place);
    let arguments =
        [&TABLE[..], &["--out", "q", "--minutes", "1"], &sets(&SMALL), &sets(&["train.validate_every=0"])].concat();
    let start = Instant::now();
    let told = place.good(&arguments).stderr;
    let lines: Vec<&str> = told.lines().collect();
    let first = lines.iter().position(|line| line.contains("1 minute at most")).expect(&told);
    let then =
        lines.iter().position(|line| line.contains(" steps of about ") && line.contains(" in all")).expect(&told);
    let step = lines.iter().position(|line| line.starts_with("step 1/")).expect(&told);
    assert!(first < then && then < step, "{told}");
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
    let recipe = String::from_utf8(bytes(&place.path("q/run/recipe.toml"))).unwrap();
    let steps: u64 = recipe.lines().find_map(|line| line.strip_prefix("steps = ")?.parse().ok()).unwrap();
    assert!(steps >= 20, "{steps}");
}
