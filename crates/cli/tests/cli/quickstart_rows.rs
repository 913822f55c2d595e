//! `quickstart` on tables with rows that cannot be used, mended or left out, and on one table spelt in several ways.

use crate::harness::Place;
use crate::vectors::png;

/// A model that learns in a second.
const SETS: [&str; 6] = [
    "train.batch=4",
    "text.vocabulary=300",
    "model.image.size=32",
    "model.image.layers=2",
    "model.fusion.layers=2",
    "train.steps=2",
];

/// So many pictures, and a table of them with splits; those of `broken` are no pictures.
fn table(place: &Place, splits: &[&str], broken: &[usize]) {
    let mut rows = "image,text,split\n".to_string();
    for (number, split) in splits.iter().enumerate() {
        let pixels: Vec<u8> = (0..32 * 32).map(|pixel| (pixel * (number + 1) % 251) as u8).collect();
        let picture = png(32, &pixels);
        let picture = if broken.contains(&number) { &picture[..picture.len() / 2] } else { &picture };
        place.write(&format!("pictures/{number}.png"), picture);
        rows += &format!("pictures/{number}.png,Case number {number} with finding {}.,{split}\n", number % 5);
    }
    place.write("pairs.csv", rows);
}

fn asked<'a>(table: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let sets: Vec<&str> = SETS.iter().flat_map(|set| ["--set", set]).collect();
    [&["quickstart", "--table", table, "--out", "q"], &sets[..], more].concat()
}

const SPLITS: [&str; 16] = [
    "train", "train", "train", "train", "train", "train", "train", "train", "train", "train", "validate", "validate",
    "test", "test", "test", "test",
];

#[test]
fn a_table_that_was_refused_is_taken_once_it_is_mended() {
    let place = Place::new();
    table(&place, &SPLITS, &[1]);
    place.exits(&asked("pairs.csv", &[]), 1, &["pairs.csv", "line 3", "`--skip-bad`"]);
    assert!(place.path("q").exists());
    let mended = std::fs::read_to_string(place.path("pairs.csv")).unwrap().replace("pictures/1.png", "pictures/0.png");
    place.write("pairs.csv", mended);
    let ran = place.good(&asked("pairs.csv", &[]));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[lines.len() - 2].contains("R@10 says nothing here: only 4 pairs were scored"), "{}", ran.stdout);
    assert!(lines[lines.len() - 1].starts_with("quickstart: R@10"), "{}", ran.stdout);
    // The same table, however it is spelt.
    let whole = place.path("pairs.csv").display().to_string();
    for spelt in ["./pairs.csv", "pictures/../pairs.csv", &whole] {
        assert!(place.good(&asked(spelt, &[])).stderr.contains("finished already"), "{spelt}");
    }
    // Its shards may be taken away once it has ended.
    std::fs::rename(place.path("q/data"), place.path("shards")).unwrap();
    assert!(place.good(&asked("pairs.csv", &[])).stderr.contains("finished already"));
    std::fs::rename(place.path("shards"), place.path("q/data")).unwrap();
    // Another one is told in words of the command.
    place.write("other/pairs.csv", "image,text\n");
    std::fs::copy(place.path("pairs.csv"), place.path("second.csv")).unwrap();
    let ran = place.exits(&asked("second.csv", &["--patient", "split"]), 1, &["`--table` (", "pairs.csv, now "]);
    let said = &ran.stderr;
    assert!(said.contains("`--patient` (not given, now split)") && said.contains("choose another --out"), "{said}");
    assert!(!said.contains('{') && !said.contains("None"), "{said}");
}

#[test]
fn broken_images_are_left_out_told_and_counted() {
    let place = Place::new();
    table(&place, &SPLITS, &[1, 10, 11, 12]);
    let words = ["4 rows were skipped", "line 3: ", "there is no validation pair", "line 12"];
    let ran = place.exits(&asked("pairs.csv", &["--skip-bad"]), 3, &words);
    assert!(ran.stdout.contains("skipped rows or files: 4") && ran.stdout.contains("N 3"), "{}", ran.stdout);
    let again = place.exits(&asked("pairs.csv", &["--skip-bad"]), 3, &["finished already"]);
    assert!(again.stdout.contains("skipped rows or files: 4"), "{}", again.stdout);
}

#[test]
fn too_few_pairs_for_broken_images_say_so_and_may_be_mended() {
    let place = Place::new();
    table(&place, &SPLITS, &[12, 13, 14, 15]);
    let words = ["10 usable pairs in `train`", "0 in `test`", "4 rows were skipped", "line 14: ", "correct these rows"];
    place.exits(&asked("pairs.csv", &["--skip-bad"]), 1, &words);
    table(&place, &SPLITS, &[12]);
    place.exits(&asked("pairs.csv", &["--skip-bad"]), 3, &[]);
}
