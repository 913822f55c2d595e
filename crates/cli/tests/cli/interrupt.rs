//! An interrupted command says so at once and ends with exit code 130, whatever it is doing.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::Place;
use crate::vectors::trained;

/// Sends a signal.
fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn start(place: &Place, arguments: &[&str]) -> Child {
    place.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Interrupts a command once `ready` holds: what it says next, how soon, the rest of what it says, its exit code.
fn interrupted(mut child: Child, name: &str, ready: impl Fn() -> bool) -> (String, Option<i32>) {
    let stderr = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(stderr).lines().map_while(Result::ok);
        lines.map(|line| (Instant::now(), line)).collect::<Vec<_>>()
    });
    while !ready() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be interrupted");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, name);
    let asked = Instant::now();
    let code = child.wait().unwrap().code();
    let lines = reader.join().unwrap();
    let said = lines.iter().find(|(_, line)| line.contains("interrupted"));
    let (when, _) = said.unwrap_or_else(|| panic!("nothing is said: {lines:?}"));
    assert!(when.saturating_duration_since(asked) < Duration::from_millis(500), "{lines:?}");
    (lines.into_iter().map(|(_, line)| line + "\n").collect(), code)
}

#[test]
fn embedding_saves_and_goes_on() {
    let place = trained();
    place.good(&["prepare", "phantom", "many", "--pairs", "3000", "--seed", "6", "--side", "32"]);
    let embed = ["embed", "run", "many", "--out", "v.parquet"];
    let parts = place.path(".v.parquet.partial");
    let child = start(&place, &[&embed[..], &["--save-every", "3600"]].concat());
    let (said, code) = interrupted(child, "-INT", || parts.join("writing").exists());
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("finished work is being saved") && said.contains("`--resume`"), "{said}");
    assert!(std::fs::read_dir(&parts).unwrap().flatten().any(|entry| entry.path().extension().is_some()));
    place.good(&[&embed[..], &["--resume"]].concat());
}

#[test]
fn what_saves_nothing_ends_at_once() {
    let place = trained();
    let prepare = ["prepare", "phantom", "many", "--pairs", "20000", "--seed", "6"];
    let blocks = place.path(".many.prepare");
    let (said, code) = interrupted(start(&place, &prepare), "-TERM", || blocks.exists());
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("continue with the same command"), "{said}");
    assert!(!place.path("many").exists());

    place.good(&["prepare", "phantom", "large", "--pairs", "3000", "--test", "2600", "--seed", "7", "--side", "32"]);
    let evaluate = ["evaluate", "run", "--data", "large", "--gallery", "2600", "--force"];
    let begun = Instant::now();
    let (said, code) = interrupted(start(&place, &evaluate), "-INT", || begun.elapsed() > Duration::from_millis(300));
    assert_eq!(code, Some(130), "{said}");
}

#[test]
fn a_run_is_saved_and_says_how_to_go_on() {
    let place = trained();
    let long =
        ["pretrain", "r.toml", "--out", "long", "--set", "train.steps=100000", "--set", "train.save_every=100000"];
    let log = place.path("long/log.jsonl");
    let stepped = || std::fs::metadata(&log).is_ok_and(|file| file.len() > 0);
    let (said, code) = interrupted(start(&place, &long), "-INT", stepped);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("the current step is finished and saved") && said.contains("--resume"), "{said}");
    assert!(place.path("long/bundle/model.safetensors").exists());
    let begun = Instant::now();
    let watched = || begun.elapsed() > Duration::from_millis(300);
    let (said, code) = interrupted(start(&place, &["watch", "long"]), "-INT", watched);
    assert_eq!(code, Some(130), "{said}");
}

/// Under `nohup` work outlives its terminal; without, a terminal that is closed interrupts it.
#[test]
fn a_closed_terminal_ends_only_what_hears_of_it() {
    let place = trained();
    place.good(&["prepare", "phantom", "many", "--pairs", "3000", "--seed", "6", "--side", "32"]);
    let embed = |out: &str| {
        let program = env!("CARGO_BIN_EXE_ptunifier");
        format!("exec {program} embed run many --save-every 3600 --out {out}")
    };
    let start = |script: String| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(place.path(""));
        shell.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let begun = |out: &str| place.path(&format!(".{out}.partial/writing")).exists();
    // Tests that run under `nohup` themselves hand that on.
    let ignored = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
    });
    if ignored {
        eprintln!("these tests ignore SIGHUP: what a terminal that is closed does to others was not looked at");
    } else {
        let (said, code) = interrupted(start(embed("v.parquet")), "-HUP", || begun("v.parquet"));
        assert_eq!(code, Some(130), "{said}");
    }
    let mut child = start(format!("trap '' HUP; {}", embed("w.parquet")));
    while !begun("w.parquet") {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be hung up on");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "-HUP");
    assert!(child.wait().unwrap().success());
    assert!(place.path("w.parquet").exists());
}
