//! What a command writes: to new files and over pages of ours, over nothing else, and readable by whom any new file is.

use crate::harness::{Place, bytes};
use crate::vectors::trained;

#[test]
fn a_page_replaces_nothing_but_a_page() {
    let place = trained();
    place.good(&["embed", "run", "data", "--only", "images", "--out", "v.parquet"]);
    place.write("mine.csv", "image,text\n");
    place.write("a.jpg", b"\xff\xd8\xff");
    place.write("letter.html", "<!DOCTYPE html>\n<html><head><title>ptunifier</title></head></html>");
    place.write("empty.html", "");
    for command in [
        &["search", "v.parquet", "--model", "run", "--text", "lungs"][..],
        &["inspect", "data"],
        &["inspect", "run"],
        &["evaluate", "run"],
        &["watch", "run", "--once"],
        &["bench", "prepare"],
        &["bench", "scale"],
    ] {
        for file in ["mine.csv", "v.parquet", "a.jpg", "letter.html", "empty.html"] {
            let before = bytes(&place.path(file));
            let words = [file, "not a page of ptunifier", "a new file that ends in `.html`"];
            let ran = place.exits(&[command, &["--page", file]].concat(), 1, &words);
            assert!(ran.stdout.is_empty(), "{command:?} works first: {}", ran.stdout);
            assert_eq!(bytes(&place.path(file)), before, "{command:?} {file}");
        }
        place.exits(&[command, &["--page", "new.pdf"]].concat(), 2, &["--page new.pdf", "`.html`"]);
        place.exits(&[command, &["--page", "nowhere/p.html"]].concat(), 1, &["nowhere/p.html", "does not exist"]);
        place.exits(&[command, &["--page", "data"]].concat(), 1, &["`data`", "it is a folder"]);
    }
    assert!(!place.path("new.pdf").exists());
    for command in [
        &["search", "v.parquet", "--model", "run", "--text", "lungs", "--page", "found.html"][..],
        &["inspect", "data", "--page", "found.html"],
        &["watch", "run", "--once", "--page", "NEW.HTM"],
        &["inspect", "run", "--page", "NEW.HTM"],
    ] {
        place.good(command);
    }
    // A page of ours is one under any name.
    std::fs::copy(place.path("found.html"), place.path("page")).unwrap();
    place.good(&["inspect", "data", "--page", "page"]);
}

#[cfg(unix)]
#[test]
fn a_link_or_a_pipe_is_no_page() {
    let place = Place::new();
    place.phantom();
    place.write("mine.csv", "image,text\n");
    std::os::unix::fs::symlink("mine.csv", place.path("link.html")).unwrap();
    std::os::unix::fs::symlink("nothing", place.path("loose.html")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(place.path("pipe.html")).status().unwrap().success());
    for file in ["link.html", "loose.html", "pipe.html", "/dev/null"] {
        place.exits(&["inspect", "data", "--page", file], 1, &[file, "not a page of ptunifier"]);
    }
}

/// Whatever writes them, files have the permission that the umask leaves, so that colleagues can read them.
#[cfg(unix)]
#[test]
fn all_files_are_as_readable_as_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.recipe();
    let make = "umask 027; set -e
        \"$0\" prepare phantom data --pairs 60 --seed 5 --side 32
        \"$0\" pretrain r.toml --out run
        \"$0\" embed run data --out v.parquet
        \"$0\" embed run data --out v.npy
        \"$0\" embed run data --out v.jsonl
        \"$0\" evaluate run --page page.html";
    let made = std::process::Command::new("sh")
        .args(["-c", make, env!("CARGO_BIN_EXE_ptunifier")])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (mut folders, mut seen) = (vec![place.path("")], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, about) = (entry.path(), entry.metadata().unwrap());
            if about.is_dir() {
                folders.push(path);
            } else if !path.ends_with("r.toml") {
                let mode = about.permissions().mode() & 0o777;
                assert_eq!(mode, 0o640, "{}: {mode:o}", path.display());
                seen += 1;
            }
        }
    }
    for file in ["run/bundle/model.safetensors", "run/best/model.safetensors", "v.parquet", "page.html"] {
        assert!(place.path(file).exists(), "{file}");
    }
    assert!(seen > 20, "{seen}");
}
