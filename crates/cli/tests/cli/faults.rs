//! Faults that real machines have, on real processes and real small file systems: nothing of a run is lost.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ptu_random::{Key, Place as Draw};

use crate::harness::{Place, bytes};

/// Times that the power is cut.
const CUTS: usize = 8;

fn long_run(place: &Place, out: &str, extra: &[&str]) -> Command {
    let mut command = place.command(&["pretrain", "r.toml", "--out", out, "--resume"]);
    command.args(["--set", "train.steps=120", "--set", "train.save_every=5", "--set", "train.validate_every=40"]);
    command.args(extra).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn stderr_of(child: Child) -> (bool, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Waits until a run has logged something.
fn wait_for_steps(log: &Path, child: &mut Child) {
    while !std::fs::read_to_string(log).is_ok_and(|log| log.lines().count() > 7) {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it logged");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ready() -> Place {
    let place = Place::new();
    place.phantom();
    place.recipe();
    place
}

/// What two runs must share to the last bit.
fn same(one: &Path, other: &Path) {
    for file in ["log.jsonl", "bundle/model.safetensors", "best/model.safetensors"] {
        assert_eq!(bytes(&one.join(file)), bytes(&other.join(file)), "{file} differs");
    }
}

#[test]
fn losses_that_are_not_finite_stop_the_run_with_its_state_saved() {
    let place = ready();
    let sets = ["weights.mlm=1e39", "train.bad_steps=3", "train.steps=60"].map(|set| ["--set", set]).concat();
    place.bad(&[&["pretrain", "r.toml", "--out", "run"], &sets[..]].concat(), &["finite", "3 steps", "run"]);
    let log = String::from_utf8(bytes(&place.path("run/log.jsonl"))).unwrap();
    let skipped: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &serde_json::Value| event["event"] == "skipped")
        .collect();
    assert_eq!(skipped.len(), 3, "{log}");
    assert!(skipped.iter().all(|event| event["ids"].as_array().unwrap().len() == 8), "the records are written down");
    assert!(std::fs::read_dir(place.path("run/state")).unwrap().flatten().count() > 0, "a state is saved");
}

/// A batch system warns before it kills: the step is ended, the state saved, and the run goes on elsewhere.
#[cfg(unix)]
#[test]
fn a_terminated_run_goes_on_as_if_nothing_had_been() {
    let place = ready();
    assert!(long_run(&place, "whole", &[]).output().unwrap().status.success());
    let mut child = long_run(&place, "stopped", &[]).spawn().unwrap();
    wait_for_steps(&place.path("stopped/log.jsonl"), &mut child);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let (_, said) = stderr_of(child);
    assert!(!said.contains("panicked"), "{said}");
    let steps = |run: &str| {
        let log = String::from_utf8(bytes(&place.path(run).join("log.jsonl"))).unwrap();
        log.lines().filter(|line| line.contains("\"event\":\"step\"")).count()
    };
    assert!(steps("stopped") < 120, "it was stopped on the way");
    assert!(long_run(&place, "stopped", &[]).output().unwrap().status.success());
    same(&place.path("whole"), &place.path("stopped"));
}

/// A shard that becomes unreadable while it is read: the message names it, and once it is back the run goes on.
#[test]
fn a_reader_that_dies_takes_nothing_with_it() {
    let place = ready();
    assert!(long_run(&place, "whole", &[]).output().unwrap().status.success());
    let shard = place.path("data/train-00000.parquet");
    let mut child = long_run(&place, "broken", &[]).spawn().unwrap();
    wait_for_steps(&place.path("broken/log.jsonl"), &mut child);
    let away = place.path("away.parquet");
    std::fs::rename(&shard, &away).unwrap();
    let (success, said) = stderr_of(child);
    assert!(!success && said.contains("train-00000.parquet") && !said.contains("panicked"), "{said}");
    std::fs::rename(&away, &shard).unwrap();
    assert!(long_run(&place, "broken", &[]).output().unwrap().status.success());
    same(&place.path("whole"), &place.path("broken"));
}

/// A file system in a file, mounted; taken down when it goes.
pub struct Disk {
    at: PathBuf,
}

impl Disk {
    /// An empty one in memory that is soon full; `None` where none can be mounted.
    pub fn small(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self { at: at.to_path_buf() })
    }

    /// Makes room.
    pub fn grow(&self) {
        let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&self.at).status();
        assert!(grown.unwrap().success());
    }

    fn mount(image: &Path, at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        // Nothing reaches the image but what somebody syncs: the system's own rounds are put off.
        let mounted = Command::new("mount").args(["-o", "loop,commit=300"]).arg(image).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self { at: at.to_path_buf() })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process that has just been killed may still hold it for a moment.
        for _ in 0..50 {
            if Command::new("umount").arg(&self.at).output().is_ok_and(|output| output.status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The power is cut at random moments: what was not synced is gone. A copy of the disk's image, made the moment the process
/// is killed, holds what a real disk would; the run goes on from that copy each time.
#[test]
fn cut_power_loses_nothing_that_was_saved() {
    let place = ready();
    let image = |cut: usize| place.path(&format!("disk{cut}.img"));
    let made = Command::new("sh")
        .arg("-c")
        .arg(format!("truncate -s 64M {0} && mkfs.ext4 -q {0}", image(0).display()))
        .output()
        .is_ok_and(|output| output.status.success());
    let first = made.then(|| Disk::mount(&image(0), &place.path("disk"))).flatten();
    let Some(mut disk) = first else {
        println!("no file system can be mounted from a file here: not tested");
        return;
    };
    assert!(long_run(&place, "whole", &[]).output().unwrap().status.success());
    let mut moments = Key::new(3).stream(Draw::Sample, 0);
    for cut in 1..=CUTS {
        let mut child = long_run(&place, "disk/run", &[]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(150 + moments.below(900) as u64));
        child.kill().unwrap();
        std::fs::copy(image(cut - 1), image(cut)).unwrap();
        child.wait().unwrap();
        drop(disk);
        std::fs::remove_file(image(cut - 1)).unwrap();
        disk =
            Disk::mount(&image(cut), &place.path("disk")).expect("a journalled file system mounts after a power cut");
    }
    let (success, said) = stderr_of(long_run(&place, "disk/run", &[]).spawn().unwrap());
    assert!(success, "{said}");
    same(&place.path("whole"), &place.path("disk/run"));
}

/// Embedding onto a disk that fills up: the message says so, and with room the work goes on.
#[test]
fn a_full_disk_stops_embedding_and_loses_nothing() {
    let place = ready();
    place.good(&["pretrain", "r.toml", "--out", "run", "--set", "train.steps=2"]);
    place.good(&["prepare", "phantom", "many", "--pairs", "3000", "--seed", "6", "--side", "32"]);
    let Some(disk) = Disk::small(&place.path("disk"), "128k") else {
        println!("no small file system can be mounted here: not tested");
        return;
    };
    let embed = ["embed", "run", "many", "--out", "disk/v.parquet", "--save-every", "0"];
    let full = place.run(&embed);
    assert!(!full.success && full.stderr.contains("space") && full.stderr.contains("v.parquet"), "{}", full.stderr);
    disk.grow();
    place.good(&[&embed[..], &["--resume"]].concat());
    place.good(&["embed", "run", "many", "--out", "w.parquet"]);
    assert_eq!(bytes(&place.path("disk/v.parquet")), bytes(&place.path("w.parquet")));
}

/// Preparing onto a disk that fills up: the message says so, and with room the same command goes on.
#[test]
fn a_full_disk_stops_preparing_and_loses_nothing() {
    let place = Place::new();
    let Some(disk) = Disk::small(&place.path("disk"), "2m") else {
        println!("no small file system can be mounted here: not tested");
        return;
    };
    let prepare = ["prepare", "phantom", "disk/out", "--pairs", "3000", "--seed", "6"];
    let full = place.run(&prepare);
    assert!(!full.success && full.stderr.contains("space"), "{}", full.stderr);
    assert!(!place.path("disk/out").exists());
    let blocks = || std::fs::read_dir(place.path("disk/.out.prepare")).unwrap().flatten().count();
    assert!(blocks() > 5, "{}", blocks());
    disk.grow();
    place.good(&prepare);
    place.good(&["prepare", "phantom", "whole", "--pairs", "3000", "--seed", "6"]);
    for file in std::fs::read_dir(place.path("whole")).unwrap().flatten() {
        assert_eq!(bytes(&place.path("disk/out").join(file.file_name())), bytes(&file.path()));
    }
}
