//! Exit codes, and messages about arguments: each names the option, or the folder that was probably meant.

use std::process::Stdio;

use crate::harness::Place;
use crate::vectors::{png, trained};

#[test]
fn wrong_arguments_end_with_two_and_name_the_option() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.write("a.png", png(32, &[7; 32 * 32]));
    place.write("t.csv", "image,text\na.png,Clear.\n");
    let quickstart = ["quickstart", "--table", "t.csv", "--out", "q"];
    let prepare = ["prepare", "table", "t.csv", "out"];
    let pretrain = ["pretrain", "r.toml", "--out", "run"];
    for (command, more, words) in [
        (&quickstart[..], &["--validate", "0.7", "--test", "0.6"][..], &["`--validate 0.7`", "`--test 0.6`"][..]),
        (&quickstart, &["--validate", "-1"], &["'-1'", "--validate", "from 0 to 1"]),
        (&quickstart, &["--test", "nan"], &["--test", "from 0 to 1"]),
        (&quickstart, &["--seed", "-1"], &["'-1'", "--seed"]),
        (&quickstart, &["--minutes", "-1"], &["'-1'", "--minutes"]),
        (&quickstart, &["--text", "nope"], &["t.csv", "no column `nope`, which `--text` names", "`image`, `text`"]),
        (&quickstart, &["--image", "nope"], &["no column `nope`, which `--image` names"]),
        (&quickstart, &["--set", "train.steps=3", "--set", "train.stepz=3"], &["`--set train.stepz=3`", "train.steps"]),
        (&quickstart, &["--set", "steps"], &["`--set steps`"]),
        (&quickstart, &["--set", "train.steps=3", "--minutes", "3"], &["`--minutes`"]),
        (&prepare, &["--validate", "0.7", "--test", "0.6"], &["`--validate 0.7`", "`--test 0.6`"]),
        (&prepare, &["--test", "-0.5"], &["'-0.5'", "--test"]),
        (&prepare, &["--label", "mood"], &["no column `mood`, which `--label` names"]),
        (&["prepare", "phantom", "p"], &["--image-missing", "-1"], &["--image-missing"]),
        (&["prepare", "--describe", "chexnet"], &[], &["`chexnet`"]),
        (&pretrain, &["--set", "train.stepz=3"], &["`--set train.stepz=3`", "r.toml", "train.steps"]),
        (&pretrain, &["--set", "train.steps=0"], &["`--set train.steps=0`", "at least 1"]),
        (&prepare, &["--threads", "0"], &["--threads", "at least 1"]),
        (&["evaluate", "run"], &["--gallery", "0"], &["--gallery", "at least 1"]),
        (&["evaluate", "run"], &["--rerank", "0"], &["--rerank", "at least 1"]),
        (&["doctor", "r.toml"], &["--set", "train.stepz=3"], &["`--set train.stepz=3`"]),
    ] {
        let ran = place.exits(&[command, more].concat(), 2, words);
        assert!(!ran.stderr.contains("as a value, use"), "{}", ran.stderr);
    }
    // What is wrong in a file is no fault of the arguments.
    place.write("bad.toml", "data = [\"data\"]\n[train]\nstepz = 3\n");
    place.exits(&["pretrain", "bad.toml", "--out", "run", "--set", "seed=1"], 1, &["bad.toml", "train.stepz"]);
    place.exits(&["quickstart", "--table", "nowhere.csv", "--out", "q"], 1, &["nowhere.csv"]);
    place.exits(&["man", "t.csv"], 1, &["cannot create the folder `t.csv`"]);
    for made in ["q", "out", "run", "p"] {
        assert!(!place.path(made).exists(), "{made}");
    }
}

#[test]
fn what_is_left_out_ends_with_three() {
    let place = Place::new();
    place.write("good.csv", "text,split\nWords.,train\nMore words.,test\n");
    place.write("bad.csv", "text,split\nWords.,train\n,train\n");
    let prepare = |table, out, more: &[&str], code| {
        place.exits(&[&["prepare", "table", table, out], more].concat(), code, &[]).stdout
    };
    prepare("good.csv", "good", &[], 0);
    prepare("good.csv", "skipping", &["--skip-bad"], 0);
    assert!(prepare("bad.csv", "bad", &["--skip-bad"], 3).contains("skipped 1 record"));
    prepare("bad.csv", "half", &["--skip-bad", "--part", "1/1"], 0);
    place.exits(&["prepare", "join", "joined", "half"], 3, &[]);
    // An image that two splits have is left out of one of them as a rule.
    place.write("a.png", png(32, &(0..32 * 32u32).map(|pixel| (pixel * 7 % 251) as u8).collect::<Vec<u8>>()));
    std::fs::copy(place.path("a.png"), place.path("b.png")).unwrap();
    place.write(
        "twice.csv",
        "image,text,split\na.png,Words.,train\na.png,Words.,train\nb.png,Words.,test\n,Words.,train\n",
    );
    let more = ["--dedup", "--allow-missing"];
    assert!(prepare("twice.csv", "twice", &more, 0).contains("its image is one of `test` too"));
    // A folder of which one file is the table, and another is skipped.
    for file in ["metadata.csv", "more.csv"] {
        place.write(&format!("folder/{file}"), "text\nWords.\nMore words.\n");
    }
    assert!(prepare("folder", "passed", &[], 3).contains("more.csv"));
}

#[test]
fn every_help_tells_exit_codes() {
    let place = Place::new();
    let names = |help: &str| -> Vec<String> {
        let list = help.split("Commands:").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
        let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names = names.filter_map(|line| line.split_whitespace().next());
        names.filter(|name| *name != "help").map(String::from).collect()
    };
    let whole = place.good(&["-h"]).stdout;
    assert_eq!(names(&whole).len(), 23, "{whole}");
    for name in names(&whole) {
        let help = place.good(&[&name, "-h"]).stdout;
        let below = names(&help);
        let has = |help: &str, name: &str| {
            assert_eq!(help.matches("Exit codes: 0").count(), 1, "{name}: {help}");
            let skipping = ["quickstart", "embed", "classify", "ask", "report", "summarise", "match"];
            let left_out = name.starts_with("prepare") || skipping.contains(&name);
            assert_eq!(help.contains("3 done but some"), left_out, "{name}: {help}");
        };
        has(&help, &name);
        for second in below {
            has(&place.good(&[&name, &second, "-h"]).stdout, &format!("{name} {second}"));
        }
    }
    place.good(&["man", "pages"]);
    let page = std::fs::read_to_string(place.path("pages/ptunifier-prepare-table.1")).unwrap();
    assert!(page.contains("Exit codes: 0 done"), "{page}");
}

#[test]
fn a_folder_that_holds_a_run_is_told_with_the_run() {
    let place = trained();
    std::fs::create_dir(place.path("own")).unwrap();
    std::fs::rename(place.path("run"), place.path("own/run")).unwrap();
    place.good(&["embed", "own/run", "data", "--only", "images", "--out", "v.parquet"]);
    for command in [
        &["embed", "own", "data", "--out", "w.parquet"][..],
        &["search", "v.parquet", "--model", "own", "--text", "lungs"],
        &["evaluate", "own"],
        &["evaluate", "own/run", "--compare", "own"],
        &["inspect", "own"],
        &["watch", "own", "--once"],
        &["pretrain", "--resume", "own"],
    ] {
        place.bad(command, &["`own`", "name `own/run`"]);
    }
    std::fs::create_dir(place.path("own/second")).unwrap();
    std::fs::copy(place.path("own/run/recipe.toml"), place.path("own/second/recipe.toml")).unwrap();
    place.bad(&["inspect", "own"], &["holds runs", "`own/run` or `own/second`"]);
}

#[test]
fn the_best_model_stands_beside_chance() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.good(&["pretrain", "r.toml", "--out", "run"]);
    let seen = place.good(&["inspect", "run"]).stdout;
    let best = seen.lines().find(|line| line.contains("best ")).expect(&seen);
    assert!(best.contains("R@10") && best.contains("(chance level 1.000)"), "six validation pairs: {best}");
    // So few pairs, and such hits, say little.
    let scored = place.good(&["evaluate", "run"]).stdout;
    assert!(scored.contains("note: R@10 says nothing here: only 6 pairs were scored"), "{scored}");
    place.good(&["prepare", "phantom", "more", "--pairs", "80", "--test", "40", "--seed", "9", "--side", "32"]);
    for (more, told) in [(&["--gallery", "11"][..], true), (&["--gallery", "40"], false)] {
        let scored = place.good(&[&["evaluate", "run", "--data", "more"], more].concat()).stdout;
        assert_eq!(scored.contains("note: R@10 says little here: a random guess"), told, "{scored}");
    }
    let json: serde_json::Value = serde_json::from_str(&place.good(&["inspect", "run", "--json"]).stdout).unwrap();
    assert!(json["best"]["chance"].is_number(), "{json}");
}

#[test]
fn no_cure_takes_a_folder_of_the_user_away() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place.write("mine/letter.txt", "dear");
    for folder in ["mine", "."] {
        for command in [
            &["prepare", "phantom", folder, "--pairs", "60"][..],
            &["prepare", "vqa-rad", "mine", folder],
            &["pretrain", "r.toml", "--out", folder],
            &["quickstart", "--out", folder],
        ] {
            let ran = place.run(command);
            assert!(!ran.success && !ran.stderr.contains("remove"), "{command:?}: {}", ran.stderr);
            assert!(
                ran.stderr.contains("folder") || ran.stderr.contains("does not contain"),
                "{command:?}: {}",
                ran.stderr
            );
        }
    }
    place.bad(&["prepare", "phantom", "mine", "--pairs", "60"], &["`mine`", "name another folder"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_named() {
    let place = Place::new();
    place.phantom();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = place.command(&["inspect", "data", "--json"]);
    let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("cannot write to standard output") && said.contains("space"), "{said}");
}

#[test]
fn a_preparation_tells_per_cent() {
    let place = Place::new();
    let said = place.good(&["prepare", "phantom", "data", "--pairs", "60", "--side", "32"]).stderr;
    assert!(said.contains("prepare 100 % ") && !said.contains("/1000"), "{said}");
}
