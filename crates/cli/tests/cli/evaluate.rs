//! Scores that say on what they were made, and leaks that are found.

use std::path::Path;

use crate::harness::{Place, bytes};

/// Forty pairs in `data`, a model that has learned from them for two steps in `run`.
fn trained(place: &Place) {
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=2", "--set", "train.validate_every=0"]);
}

fn json(place: &Place, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&place.good(&[&["evaluate"], arguments, &["--json"]].concat()).stdout).unwrap()
}

/// Shards of `data`, written out as pictures and a table: `row` gives picture, text and split of a record by its number.
fn table(place: &Place, folder: &str, rows: &[(Vec<u8>, String, &str)]) {
    let mut csv = String::from("image,text,split,kind\n");
    for (number, (picture, text, split)) in rows.iter().enumerate() {
        place.write(&format!("{folder}/{number}.png"), picture);
        csv += &format!("{number}.png,\"{text}\",{split},{}\n", ["a", "b"][number % 2]);
    }
    place.write(&format!("{folder}/pairs.csv"), csv);
}

/// A picture whose shapes follow from its number, as PNG.
fn picture(number: u32) -> Vec<u8> {
    encoded(number, png::Compression::Fast)
}

/// The same picture, packed more or less.
fn encoded(number: u32, compression: png::Compression) -> Vec<u8> {
    const SIDE: u32 = 48;
    let shade = |x: u32, y: u32| ((x * (number % 7 + 1)) ^ (y * (number / 7 + 1))) as u8;
    let pixels = (0..SIDE * SIDE).flat_map(|place| {
        let shade = shade(place % SIDE, place / SIDE);
        [shade, shade.wrapping_add(number as u8), 255 - shade]
    });
    let (pixels, mut bytes) = (pixels.collect::<Vec<u8>>(), vec![]);
    let mut encoder = png::Encoder::new(&mut bytes, SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(compression);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

/// Forty-eight pairs of one's own, a model of them in `run`.
fn own(place: &Place) -> Vec<(Vec<u8>, String, &'static str)> {
    let split = |number: u32| if number < 30 { "train" } else { "test" };
    let rows: Vec<_> = (0..48)
        .map(|number| (picture(number), format!("shape number {number} of the series"), split(number)))
        .collect();
    table(place, "first", &rows);
    place.good(&["prepare", "table", "first/pairs.csv", "data", "--label", "kind"]);
    place.write("r.toml", crate::harness::RECIPE.replace("hits = \"cause\"\n", ""));
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=4", "--set", "train.validate_every=0"]);
    rows
}

/// The same pictures under another name, as other files, with other texts: the bundle alone knows them.
#[test]
fn pictures_that_were_learned_from_are_found_under_any_name() {
    let place = Place::new();
    let rows = own(&place);
    let learned = place.path("run/bundle/learned.safetensors");
    assert!(learned.exists());
    assert!(String::from_utf8(bytes(&place.path("run/bundle/README.md"))).unwrap().contains("learned.safetensors"));
    let others: Vec<_> = (0..48)
        .map(|number| {
            let split = if number < 9 { "test" } else { "train" };
            (encoded(number, png::Compression::NoCompression), format!("another text of {number}"), split)
        })
        .collect();
    assert!(rows.iter().zip(&others).all(|(one, other)| one.0 != other.0), "other bytes, the same pixels");
    table(&place, "second", &others);
    place.good(&["prepare", "table", "second/pairs.csv", "other", "--label", "kind"]);
    place.bad(&["evaluate", "run", "--data", "other"], &["other", "learned from", "images of 9 of 9 pairs", "--force"]);
    // Neither the run nor its data need to be there.
    std::fs::rename(place.path("run/bundle"), place.path("alone")).unwrap();
    std::fs::rename(place.path("data"), place.path("moved")).unwrap();
    place.bad(&["evaluate", "alone", "--data", "other"], &["learned from", "9 of 9 pairs"]);
    let forced = place.good(&["evaluate", "alone", "--data", "other", "--force"]).stdout;
    assert!(forced.contains("note: the model was trained on the images of 9 of 9 pairs"), "{forced}");
    // Without the hashes, only ids are compared, and a note says so.
    std::fs::remove_file(place.path("alone/learned.safetensors")).unwrap();
    let by_ids = place.good(&["evaluate", "alone", "--data", "other"]).stdout;
    assert!(by_ids.contains("only the ids of records were compared"), "{by_ids}");
}

/// Another table of the same file name, so with the same ids, holds other pairs.
#[test]
fn a_table_of_the_same_name_is_no_leak() {
    let place = Place::new();
    own(&place);
    let others: Vec<_> = (100..130)
        .map(|number| (picture(number), format!("shape number {} of the series", number - 100), "test"))
        .collect();
    table(&place, "second", &others);
    place.good(&["prepare", "table", "second/pairs.csv", "other", "--label", "kind"]);
    let scored = place.good(&["evaluate", "run", "--data", "other", "--gallery", "30"]).stdout;
    assert!(scored.contains("all 30 pairs"), "{scored}");
    // Equal texts are not a leak, but they are reported.
    assert!(scored.contains("note: 30 of 30 texts are word for word"), "{scored}");
    // Equal names alone are not a leak either: the pictures must be equal too.
    std::fs::remove_file(place.path("run/bundle/learned.safetensors")).unwrap();
    let scored = place.good(&["evaluate", "run", "--data", "other", "--gallery", "30"]).stdout;
    assert!(scored.contains("only the ids of records were compared"), "{scored}");
    // The same pictures under the same names are found in this way.
    place.good(&["prepare", "table", "first/pairs.csv", "again", "--label", "kind", "--seed", "9"]);
    let rows: Vec<_> = (0..12).map(|number| (picture(number), format!("shape number {number}"), "test")).collect();
    table(&place, "third", &rows);
    place.good(&["prepare", "table", "third/pairs.csv", "third-data", "--label", "kind"]);
    place.bad(&["evaluate", "run", "--data", "third-data"], &["12 of 12 pairs", "/data`)"]);
}

/// A damaged list is named, and the weights beside it are none the worse.
#[test]
fn a_damaged_list_of_hashes_is_named() {
    let place = Place::new();
    trained(&place);
    place.write("run/bundle/learned.safetensors", "no hashes");
    place.bad(&["evaluate", "run"], &["learned.safetensors", "not a list of hashes"]);
}

/// What cannot be asked is said first of all: nothing is scored, nothing written.
#[test]
fn what_cannot_be_asked_is_said_before_anything_is_scored() {
    let place = Place::new();
    trained(&place);
    let refused = |arguments: &[&str], words: &[&str]| {
        let ran = place.run(&[&["evaluate", "run"], arguments].concat());
        assert!(!ran.success, "{arguments:?}: {}", ran.stdout);
        for word in words {
            assert!(ran.stderr.contains(word), "{arguments:?} does not say `{word}`: {}", ran.stderr);
        }
        assert!(
            !ran.stderr.contains("scoring") && ran.stdout.is_empty(),
            "{arguments:?}: {}{}",
            ran.stderr,
            ran.stdout
        );
    };
    refused(&["--label", "nolabel"], &["/data` has the label `nolabel`", "there are", "`finding`"]);
    refused(&["--label", "finding", "--label", "findng"], &["`findng`", "there are `finding`"]);
    refused(&["--hits", "cuase"], &["`cuase`", "`cause`"]);
    refused(&["--by", "nothing"], &["`nothing`", "`cause`"]);
    refused(&["--label", "finding", "--sentence", "no class here"], &["no class here", "`{}`"]);
    refused(&["--sentence", "a {}"], &["--label"]);
    refused(&["--page", "absent/page.html"], &["absent/page.html"]);
    refused(&["--precision", "f17"], &["f17"]);
    place.bad(&["evaluate", "run/bundle", "--data", "data", "--page", "p.html"], &["run/bundle", "not a run folder"]);
    assert!(!place.path("run/scores.json").exists());
    // A label that the recipe names may be missing from other data: it is told.
    let rows: Vec<_> = (0..12).map(|number| (picture(number), format!("shape {number}"), "test")).collect();
    table(&place, "own", &rows);
    place.good(&["prepare", "table", "own/pairs.csv", "other", "--label", "kind"]);
    let told = place.good(&["evaluate", "run", "--data", "other"]).stdout;
    assert!(told.contains("note: no record of `other` has the label `cause`; there is `kind`"), "{told}");
    place.bad(&["evaluate", "run", "--data", "other", "--label", "kind"], &["`kind`", "split `train`", "other"]);
}

/// Scores of other settings than the recipe's do not take the place of the run's own; more about the same pairs is added.
#[test]
fn a_runs_own_scores_are_not_overwritten() {
    let place = Place::new();
    trained(&place);
    let saved = || -> serde_json::Value { serde_json::from_slice(&bytes(&place.path("run/scores.json"))).unwrap() };
    place.good(&["evaluate", "run", "--gallery", "5"]);
    assert!(!place.path("run/scores.json").exists(), "not the recipe's settings");
    place.good(&["evaluate", "run"]);
    let own = saved();
    let set = &own["phantom"]["scored_on"];
    assert_eq!((set["split"].as_str(), set["pairs"].as_u64()), (Some("test"), own["phantom"]["pairs"].as_u64()));
    for other in [
        &["--gallery", "5"][..],
        &["--seed", "3"],
        &["--split", "validate"],
        &["--hits", "finding"],
        &["--by", "finding"],
        &["--split", "train", "--force"],
    ] {
        let ran = place.good(&[&["evaluate", "run"], other].concat());
        assert_eq!(saved(), own, "{other:?}");
        assert!(ran.stderr.contains("scores.json` was not changed"), "{other:?}: {}", ran.stderr);
    }
    // The same data by name is the same.
    place.good(&["evaluate", "run", "--data", "./data", "--rerank", "3"]);
    let more = saved();
    assert_eq!(more["phantom"]["retrieval"], own["phantom"]["retrieval"]);
    assert_eq!(more["phantom"]["rerank"], 3);
    let ran = place.good(&["evaluate", "run", "--rerank", "4"]);
    assert!(ran.stderr.contains("already has scores of this kind"), "{}", ran.stderr);
    assert_eq!(saved(), more);
}

#[test]
fn the_scored_set_is_named_and_other_sets_are_kept_apart() {
    let place = Place::new();
    trained(&place);
    let table = place.good(&["evaluate", "run", "--gallery", "4"]).stdout;
    assert!(table.lines().next().unwrap().contains("split test, 4 of "), "{table}");
    assert!(table.contains("drawn with seed 0"), "{table}");
    place.good(&["evaluate", "run", "--page", "run.html"]);
    let page = text(&place.path("run.html"));
    assert!(
        page.contains("split test, ") && page.contains("drawn at random by seed 0") || page.contains("Shown are all")
    );
    assert!(page.contains("2 of 2</dd>"), "{page}");
    // A second run with another gallery stands beside it with a note, and in a table of its own.
    let more = ["--set", "train.steps=2", "--set", "train.validate_every=0", "--set", "evaluate.gallery=3"];
    place.good(&[&["pretrain", "r.toml", "--out", "small"], &more[..]].concat());
    place.good(&["evaluate", "small"]);
    place.good(&["inspect", "run", "small", "--page", "both.html"]);
    let page = text(&place.path("both.html"));
    assert!(page.contains("not scored on the same pairs"), "{page}");
    assert_eq!(page.matches("This table as LaTeX").count(), 2);
    // Several as one are scored alike; a mean over other pairs there is not.
    let spread = json(&place, &["run", "small"])["spread"].clone();
    assert!(spread[0]["mean"].is_number() && spread[0]["same_pairs"] == true, "{spread}");
    place.good(&["prepare", "phantom", "data2", "--pairs", "60", "--seed", "6", "--side", "32"]);
    place.write("r2.toml", crate::harness::RECIPE.replace("\"data\"", "\"data2\""));
    place.good(&["pretrain", "r2.toml", "--out", "other", "--set", "train.steps=2"]);
    let ran = place.good(&["evaluate", "run", "other"]);
    assert!(ran.stderr.contains("not scored on the same pairs"), "{}", ran.stderr);
    let spread = json(&place, &["run", "other"])["spread"].clone();
    assert!(spread[0]["mean"].is_null() && spread[0]["same_pairs"] == false, "{spread}");
}

fn text(path: &Path) -> String {
    String::from_utf8(bytes(path)).unwrap()
}

/// Median rank and perplexity are compared too, and several sentences a class have one vector.
#[test]
fn every_score_is_compared_and_sentences_may_be_several() {
    let place = Place::new();
    place.good(&["prepare", "phantom", "data", "--pairs", "200", "--seed", "5", "--side", "32"]);
    place.recipe();
    for (out, seed) in [("a", "seed=0"), ("b", "seed=1")] {
        place.good(&["pretrain", "r.toml", "--out", out, "--set", "train.steps=3", "--set", seed]);
    }
    let compared = json(&place, &["a", "--compare", "b"])["compared"].clone();
    let of = |name: &str| {
        let one = compared.as_array().unwrap().iter().find(|one| one["score"] == name);
        one.unwrap_or_else(|| panic!("{name}: {compared}")).clone()
    };
    for name in ["image-to-text median rank", "MLM perplexity", "MLM perplexity, no image"] {
        let one = of(name);
        assert!(one["difference"]["low"].is_number() && one["lower_is_better"] == true, "{one}");
    }
    assert_eq!(of("MLM accuracy")["lower_is_better"], false);
    let table = place.good(&["evaluate", "a", "--compare", "b"]).stdout;
    assert!(table.contains("(below 0 is better)"), "{table}");

    let by = |sentences: &[&str]| {
        let sentences: Vec<&str> = sentences.iter().flat_map(|one| ["--sentence", one]).collect();
        let scores = json(&place, &[&["a", "--label", "finding"], &sentences[..]].concat());
        scores["sources"]["phantom"]["labels"]["finding"].clone()
    };
    let (one, two) = (by(&["The image shows {}."]), by(&["The image shows {}.", "A picture of {}."]));
    assert!(two["by_sentences"]["value"].is_number(), "{two}");
    assert_eq!(two["sentences"].as_array().unwrap().len(), 2);
    // The same sentence twice has the vector of one.
    let twice = by(&["The image shows {}.", "The image shows {}."]);
    assert_eq!(twice["by_sentences"], one["by_sentences"]);
    // A recipe may list them, or have one.
    let recipe = std::fs::read_to_string(place.path("a/recipe.toml")).unwrap();
    let listed =
        recipe.replace("[evaluate]", "[evaluate]\nlabels = [\"finding\"]\nsentence = [\"The {}.\", \"A {}.\"]");
    place.write("a/recipe.toml", listed);
    assert_eq!(json(&place, &["a"])["sources"]["phantom"]["labels"]["finding"]["sentences"][1], "A {}.");
}

/// Commands that a page prints, as a shell reads them.
fn printed(page: &str) -> Vec<String> {
    let commands = page.split("<pre class=\"command\"").skip(1).filter_map(|rest| rest.split_once('>'));
    let commands = commands.filter_map(|(_, rest)| rest.split_once("</pre>"));
    let plain =
        |html: &str| html.replace("&#39;", "'").replace("&quot;", "\"").replace("&lt;", "<").replace("&amp;", "&");
    commands.map(|(command, _)| plain(command)).collect()
}

/// On a table of one's own, in a folder whose name a shell would take apart; `evaluate` gives the numbers of the page.
#[test]
fn commands_on_a_page_work_as_they_are_printed() {
    let place = Place::new();
    let mut csv = String::from("image,text,kind\n");
    for number in 0..60 {
        place.write(&format!("mine/{number}.png"), picture(number));
        csv += &format!("{number}.png,\"shape number {number}, it's one\",{}\n", ["a", "b"][number as usize % 2]);
    }
    place.write("mine/pairs.csv", csv);
    let sets = ["train.steps=3", "train.validate_every=0", "train.batch=4"].map(|set| ["--set", set]).concat();
    let ran = place.good(&[&["quickstart", "--table", "mine/pairs.csv", "--out", "it's my own"], &sets[..]].concat());
    let page = text(&place.path("it's my own/report.html"));
    let commands = printed(&page);
    assert!(commands.len() >= 4, "{commands:?}");
    let said: Vec<String> = commands.iter().map(|command| place.shell(command)).collect();
    let line = ran.stdout.lines().last().unwrap();
    let plain = |command: &String| command.starts_with("ptunifier evaluate") && !command.contains("--missing");
    let scores = &said[commands.iter().position(plain).unwrap()];
    let value = |name: &str| {
        let row = scores.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        row.split_whitespace().nth(name.split(' ').count()).unwrap().parse::<f64>().unwrap()
    };
    for (name, word) in [("image-to-text R@10", 3), ("text-to-image R@10", 5)] {
        let told: f64 = line.split(' ').nth(word).unwrap().parse().unwrap();
        assert!((value(name) - told).abs() < 0.006, "{name}: {scores}{line}");
        assert!(page.contains(&format!("<strong>{:.3}</strong>", value(name))), "{name} is not on the page");
    }
    let pairs = line.rsplit(' ').next().unwrap();
    assert!(scores.lines().next().unwrap().contains(&format!("all {pairs} pairs")), "{scores}");
    assert!(place.path("it's my own/missing.html").exists());
    // Those of the drawn corpus, but for the one that asks for a table of one's own.
    place.good(&[&["quickstart", "--out", "q", "--pairs", "100"], &sets[..]].concat());
    let commands = printed(&text(&place.path("q/report.html")));
    let (own, others): (Vec<&String>, Vec<&String>) =
        commands.iter().partition(|command| command.contains("pairs.csv"));
    assert_eq!((own.len(), others.len()), (1, 5), "{commands:?}");
    others.into_iter().for_each(|command| drop(place.shell(command)));
}
