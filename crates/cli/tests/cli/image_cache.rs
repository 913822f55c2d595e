//! Fine-tuning with a frozen image encoder whose outputs are computed once.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::faults::Disk;
use crate::finetune::{QUESTIONS, SIDE, json, prepared, recipe};
use crate::harness::{Place, bytes};

/// The name of the file in the run folder.
const CACHE: &str = "image-outputs.f16";
/// An image encoder that is frozen and sees the same images in each step.
const FROZEN: [&str; 4] = ["--set", "train.freeze=[\"vision_encoder\"]", "--set", "augment.crop=false"];

/// The layer norm behind the blocks is trained, so the outputs of the only block are stored.
const LAST_TRAINED: &str = "train.freeze_except=[\"vision_encoder.visual.ln_post\"]";

/// Fine-tunes with the recipe `x.toml`; returns what the run reported.
fn finetune(place: &Place, out: &str, sets: &[&str]) -> String {
    finetune_from(place, "run", out, sets)
}

/// Fine-tunes `model` with the recipe `x.toml`; returns what the run reported.
fn finetune_from(place: &Place, model: &str, out: &str, sets: &[&str]) -> String {
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let call = ["finetune", "x.toml", "--model", model, "--out", out].into_iter().chain(FROZEN).chain(sets);
    place.good(&call.collect::<Vec<_>>()).stderr
}

/// The losses of the steps in the log of a run.
fn losses(place: &Place, run: &str) -> Vec<f64> {
    let log = String::from_utf8(bytes(&place.path(&format!("{run}/log.jsonl")))).unwrap();
    log.lines().filter_map(|line| json(line)["loss"].as_f64()).collect()
}

#[test]
fn cached_outputs_give_the_losses_of_computed_ones() {
    let place = prepared();
    for (name, task) in [("side", SIDE), ("ask", QUESTIONS)] {
        recipe(&place, "x.toml", task);
        let [cached, computed] = ["cached", "computed"].map(|kind| format!("{name}-{kind}"));
        // The texts of classification are missing here, so prompts that the image selects take their place.
        let said = finetune(&place, &cached, &["train.steps=20", "finetune.prompts=\"trained\""]);
        assert!(said.contains("for 120 images are cached as f16"), "{said}");
        let sets = ["train.steps=20", "finetune.prompts=\"trained\"", "train.cache=false"];
        let said = finetune(&place, &computed, &sets);
        assert!(said.contains("computed in each step: train.cache is false"), "{said}");
        assert!(place.path(&cached).join(CACHE).exists() && !place.path(&computed).join(CACHE).exists());
        let [one, other] = [&cached, &computed].map(|run| losses(&place, run));
        assert_eq!((one.len(), other.len()), (20, 20));
        // Outputs are rounded to 11 significant bits, and so small differences of the gradients add up over the steps.
        assert!(one.iter().zip(&other).all(|(x, y)| (x - y).abs() < 0.01 * y), "{one:?}\n{other:?}");
        assert!((one[0] - other[0]).abs() < 1e-3 * other[0] && one != other, "{one:?}\n{other:?}");
        // What the model learned from is known without decoding the images again.
        let learned = |run: &str| bytes(&place.path(&format!("{run}/bundle/learned.safetensors")));
        assert_eq!(learned(&cached), learned(&computed));
        let task = |run: &str| json(&String::from_utf8(bytes(&place.path(&format!("{run}/best/task.json")))).unwrap());
        assert_eq!(task(&cached)["cached_images"], "f16");
        assert!(task(&computed).get("cached_images").is_none());
        let evaluated = place.good(&["evaluate", &cached]).stdout;
        assert!(evaluated.contains("trained on f16-cached outputs of the frozen image encoder"), "{evaluated}");
        let report = json(&place.good(&["evaluate", &cached, "--json"]).stdout);
        assert_eq!(report["sources"]["pairs"]["receipt"]["cached_images"], "f16");
        let report = json(&place.good(&["evaluate", &computed, "--json"]).stdout);
        assert!(report["sources"]["pairs"]["receipt"].get("cached_images").is_none());
    }
}

/// What happens to the file between a kill and the resumption.
fn damage(kill: usize, cache: &Path, foreign: &Path) {
    let whole = bytes(cache);
    match kill {
        0 => {}
        1 => std::fs::remove_file(cache).unwrap(),
        2 => std::fs::write(cache, &whole[..whole.len() / 2]).unwrap(),
        3 => {
            let mut changed = whole.clone();
            changed[whole.len() / 2] ^= 8;
            std::fs::write(cache, changed).unwrap();
        }
        _ => std::fs::write(cache, bytes(foreign)).unwrap(),
    }
}

#[test]
fn cached_outputs_of_the_first_blocks_give_the_losses_of_computed_ones() {
    let place = prepared();
    recipe(&place, "x.toml", SIDE);
    let sets = [LAST_TRAINED, "train.steps=20", "train.log_every=1"];
    let said = finetune(&place, "cached", &sets);
    assert!(
        said.contains("of the first block of the image encoder, which is frozen, for 120 images are cached"),
        "{said}"
    );
    let said = finetune(&place, "computed", &[&sets[..], &["train.cache=false"]].concat());
    assert!(said.contains("which is frozen, are computed in each step: train.cache is false"), "{said}");
    let [one, other] = ["cached", "computed"].map(|run| losses(&place, run));
    assert!(one.len() == 20 && one.iter().zip(&other).all(|(x, y)| (x - y).abs() < 0.01 * y), "{one:?}\n{other:?}");
    // The same steps without the layer norm end elsewhere: it is trained.
    finetune(&place, "frozen", &sets[1..]);
    let frozen = losses(&place, "frozen");
    assert!(frozen.iter().zip(&one).any(|(x, y)| (x - y).abs() > 1e-6), "{frozen:?}\n{one:?}");
    // The outputs of all of the encoder are not those of its first block.
    let said = finetune(&place, "again", &sets);
    assert!(said.contains("the outputs for 120 of 120 images are copied"), "{said}");
}

#[test]
fn a_killed_run_gives_the_same_bits_whatever_happens_to_the_file() {
    for except in ["train.freeze_except=[]", LAST_TRAINED] {
        a_killed_run_gives_the_same_bits(except);
    }
}

fn a_killed_run_gives_the_same_bits(except: &str) {
    let place = prepared();
    recipe(&place, "x.toml", SIDE);
    // It does not lie beside the other one, which would copy its outputs.
    finetune(&place, "apart/whole", &[except]);
    // Another encoder: its file must not be used.
    place.good(&["pretrain", "r.toml", "--out", "other", "--set", "seed=9", "--set", "train.steps=2"]);
    let sets = FROZEN.into_iter().chain(["--set", except]);
    let call = ["finetune", "x.toml", "--model", "other", "--out", "foreign", "--set", "train.steps=1"];
    place.good(&call.into_iter().chain(sets.clone()).collect::<Vec<_>>());
    let (killed, cache) = (place.path("killed"), place.path("killed").join(CACHE));
    let call = ["finetune", "x.toml", "--model", "run", "--out", "killed", "--resume"];
    let call: Vec<&str> = call.into_iter().chain(sets).collect();
    let steps = || std::fs::read_to_string(killed.join("log.jsonl")).map_or(0, |log| log.lines().count());
    let mut notes = vec![];
    for kill in 0..5 {
        let (before, said) = (steps(), place.path("said"));
        let stderr = std::fs::File::create(&said).unwrap();
        let mut child = place.command(&call).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        // A resumed run first cuts the log to its saved state, which is at most three steps behind.
        while steps() < before + 4 {
            assert!(child.try_wait().unwrap().is_none(), "the run is killed before its end");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        notes.push(std::fs::read_to_string(said).unwrap());
        damage(kill, &cache, &place.path("foreign").join(CACHE));
    }
    notes.push(place.good(&call).stderr);
    for (kill, wanted) in [(2, "is damaged (it has"), (3, "is damaged (its checksum"), (4, "for another model")] {
        let said = &notes[kill + 1];
        assert!(said.contains(wanted) && said.contains("computed again"), "{kill}: {said}");
    }
    assert!([1, 2].iter().all(|run| !notes[*run].contains("computed again")), "{notes:?}");
    for file in ["bundle/model.safetensors", "best/model.safetensors", "best/task.json", "log.jsonl", CACHE] {
        let [one, other] = ["apart/whole", "killed"].map(|run| bytes(&place.path(&format!("{run}/{file}"))));
        assert_eq!(one, other, "{file} differs");
    }
}

#[test]
fn outputs_are_copied_from_the_run_of_another_seed() {
    let place = prepared();
    recipe(&place, "x.toml", SIDE);
    let run = |out: &str, sets: &[&str]| finetune(&place, out, &[&["train.steps=6"], sets].concat());
    let copied = "copied from other runs of the same encoder";
    assert!(!run("apart/second", &["seed=1"]).contains(copied));
    let said = run("seeds/0", &["finetune.share=0.5"]);
    assert!(!said.contains(copied), "{said}");
    let said = run("seeds/1", &["seed=1"]);
    assert!(said.contains("images are copied from other runs of the same encoder"), "{said}");
    for file in ["bundle/model.safetensors", "log.jsonl", CACHE] {
        let [one, other] = ["apart/second", "seeds/1"].map(|run| bytes(&place.path(&format!("{run}/{file}"))));
        assert_eq!(one, other, "{file} differs");
    }
    // The run that training starts from may have them too; one of another encoder has none of use.
    let said = finetune_from(&place, "seeds/1", "elsewhere/next", &["train.steps=1"]);
    assert!(said.contains("the outputs for 120 of 120 images are copied"), "{said}");
    place.good(&["pretrain", "r.toml", "--out", "other", "--set", "seed=9", "--set", "train.steps=2"]);
    assert!(!finetune_from(&place, "other", "seeds/2", &["train.steps=1"]).contains(copied));
}

#[test]
fn a_run_says_why_outputs_are_not_cached() {
    let place = prepared();
    recipe(&place, "x.toml", SIDE);
    let said = |out: &str, sets: &[&str], words: &[&str]| {
        let said = finetune(&place, out, &[&["train.steps=1", "train.validate_every=0"], sets].concat());
        let line = said.lines().find(|line| line.contains("outputs of the frozen image encoder")).unwrap_or_default();
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {said}");
        assert_eq!((place.path(out).join(CACHE).exists(), line.is_empty()), (false, words.is_empty()), "{said}");
    };
    said("crops", &["augment.crop=true"], &["at random", "augment.crop = false"]);
    said("changes", &["augment.operations=1"], &["augment.operations = 0"]);
    said("patches", &["train.patch_keep=0.5"], &["train.patch_keep"]);
    said("limit", &["train.cache_limit=300000"], &["needs 0.3 MB", "train.cache_limit is 0.3 MB"]);
    said("text", &["task.input=\"text\""], &["reads no images"]);
    said("one", &["train.freeze=[\"vision_encoder.visual.conv1\"]"], &[]);
    said("trained", &["train.freeze=[]"], &[]);
    let except = "train.freeze_except=[\"language_encoder\"]";
    let call = ["finetune", "x.toml", "--model", "run", "--out", "x", "--set", except].into_iter().chain(FROZEN);
    place.bad(&call.collect::<Vec<_>>(), &["train.freeze_except", "which `train.freeze` does not freeze"]);
    place.bad(
        &["finetune", "x.toml", "--model", "run", "--out", "x", "--set", "train.cache=1"],
        &["train.cache", "boolean"],
    );
}

#[test]
fn a_full_disk_stops_the_run_with_a_message() {
    let place = prepared();
    recipe(&place, "x.toml", SIDE);
    let Some(disk) = Disk::small(&place.path("disk"), "256k") else {
        println!("no small file system can be mounted here: not tested");
        return;
    };
    let call = ["finetune", "x.toml", "--model", "run", "--out", "disk/run", "--set", "train.steps=1"];
    let call: Vec<&str> = call.into_iter().chain(FROZEN).collect();
    let full = place.run(&call);
    assert!(!full.success, "{}", full.stderr);
    for word in ["No space", CACHE, "train.cache = false"] {
        assert!(full.stderr.contains(word), "{word}: {}", full.stderr);
    }
    disk.grow();
    place.good(&call);
}
