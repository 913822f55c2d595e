//! Pre-training that starts from published weights, or from a model of this project.

use std::path::Path;

use ptu_model::weights::{Arrays, read_arrays};

use crate::finetune::{json, picture};
use crate::harness::{Place, bytes};

const RECIPE: &str = r#"
data = ["data"]
augment = { crop = false }
[text]
max_tokens = 8
[train]
steps = 6
batch = 8
[optimizer]
learning_rate = 1e-3
[model]
preset = "tiny"
fusion = { width = 16, layers = 2, heads = 2 }
image_prompts = { size = 16, take = 4 }
text_prompts = { size = 16, take = 4 }
[model.init]
image = "weights/dinov2"
text = "weights/bert"
"#;
const FROZEN: &str = "train.freeze=[\"vision_encoder\", \"language_encoder\"]";

/// Pairs whose texts are words of the tokenizer in `weights/bert`, and copies of published encoders in `weights`.
fn with_weights() -> Place {
    let place = Place::new();
    for encoder in ["dinov2", "bert", "dinov2-onnx"] {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/fixtures").join(encoder);
        for file in std::fs::read_dir(fixture).unwrap() {
            let file = file.unwrap();
            place.write(&format!("weights/{encoder}/{}", file.file_name().display()), bytes(&file.path()));
        }
    }
    std::fs::remove_file(place.path("weights/bert/expected.safetensors")).unwrap();
    for other in ["expected.safetensors", "expected-20.safetensors"] {
        std::fs::remove_file(place.path("weights/dinov2").join(other)).unwrap();
    }
    let mut table = "image,text,side,patient\n".to_string();
    for number in 0..40u32 {
        let (left, letter) = (number.is_multiple_of(2), char::from(b'a' + (number % 20) as u8));
        place.write(&format!("{number}.png"), picture(left, number));
        table += &format!("{number}.png,{letter} {} x,{left},p{number}\n", if left { 'y' } else { 'z' });
    }
    place.write("pairs.csv", table);
    place.good(&["prepare", "table", "pairs.csv", "data", "--label", "side"]);
    place.write("r.toml", RECIPE);
    place
}

/// The weights of a run whose names begin like this.
fn weights(place: &Place, bundle: &str, beginning: &str) -> Arrays {
    let all = read_arrays(&place.path(bundle).join("model.safetensors")).unwrap();
    let found: Arrays = all.into_iter().filter(|(name, _)| name.starts_with(beginning)).collect();
    assert!(!found.is_empty(), "{bundle} has no {beginning}");
    found
}

fn pretrain(place: &Place, out: &str, sets: &[&str]) -> String {
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    place.good(&["pretrain", "r.toml", "--out", out].into_iter().chain(sets).collect::<Vec<_>>()).stderr
}

#[test]
fn pretraining_starts_from_published_encoders() {
    let place = with_weights();
    let said = pretrain(&place, "run", &[FROZEN, "model.image.size=20"]);
    for words in [
        "training starts from `dinov2/model.safetensors` and `bert/model.safetensors`; new and random: ",
        "cached as f16",
    ] {
        assert!(said.contains(words), "{said}");
    }
    place.good(&["import", "--image", "weights/dinov2", "--text", "weights/bert", "--out", "b", "--size", "20"]);
    for encoder in ["vision_encoder.", "language_encoder."] {
        assert_eq!(weights(&place, "run/bundle", encoder), weights(&place, "b", encoder), "{encoder} is frozen");
    }
    let of = |bundle: &str, file: &str| String::from_utf8(bytes(&place.path(bundle).join(file))).unwrap();
    let (config, imported) = (json(&of("run/bundle", "config.json")), json(&of("b", "config.json")));
    assert_eq!((&config["image"], &config["text"]), (&imported["image"], &imported["text"]));
    assert_eq!(config["weights_from"], imported["weights_from"]);
    assert_eq!(config["weights_from"][1]["layout"], "transformers, BERT");
    assert_eq!(of("run/bundle", "tokenizer.json"), of("b", "tokenizer.json"));
    let colours =
        |bundle: &str| json(&of(bundle, "preprocessor_config.json"))["evaluate"].as_array().unwrap().last().cloned();
    assert_eq!(colours("run/bundle"), colours("b"));
    // Where the weights come from stays known, also after fine-tuning.
    place.write("f.toml", "data = [\"data\"]\n[task]\nkind = \"classification\"\nlabel = \"side\"\n[train]\nsteps = 1\nbatch = 4\n[text]\nmax_tokens = 8\n");
    place.good(&["finetune", "f.toml", "--model", "run", "--out", "tuned"]);
    for bundle in ["run/bundle", "tuned/bundle"] {
        let card = of(bundle, "README.md");
        let row = "| weights from | `dinov2/model.safetensors` (transformers, DINOv2), licence: not stated";
        assert!(card.contains(row), "{card}");
    }
}

#[test]
fn a_run_goes_on_without_the_weights_that_it_started_from() {
    let place = with_weights();
    pretrain(&place, "run", &[]);
    std::fs::remove_dir_all(place.path("weights")).unwrap();
    place.good(&["pretrain", "--resume", "run", "--set", "train.steps=8"]);
    place.bad(&["pretrain", "r.toml", "--out", "other"], &["weights/dinov2"]);
}

#[test]
fn weights_are_frozen_for_the_first_steps() {
    let place = with_weights();
    place.good(&["import", "--image", "weights/dinov2", "--text", "weights/bert", "--out", "b"]);
    let frozen = |steps| [FROZEN.to_string(), "train.freeze_steps=3".into(), format!("train.steps={steps}")];
    for (run, steps) in [("three", 3), ("four", 4)] {
        let sets = frozen(steps);
        pretrain(&place, run, &sets.iter().map(String::as_str).collect::<Vec<_>>());
        for encoder in ["vision_encoder.", "language_encoder."] {
            let [now, before] = [&format!("{run}/bundle"), "b"].map(|bundle| weights(&place, bundle, encoder));
            assert_eq!(now == before, steps == 3, "{encoder} {steps}");
        }
    }
}

#[test]
fn pretraining_goes_on_from_a_model_with_other_data() {
    let place = with_weights();
    pretrain(&place, "first", &[]);
    place.good(&["prepare", "table", "pairs.csv", "more", "--no-fields", "--source", "more"]);
    let recipe =
        "data = [\"more\"]\n[text]\nmax_tokens = 8\n[train]\nsteps = 2\nbatch = 8\n[model.init]\nmodel = \"first\"\n";
    place.write("more.toml", recipe);
    let said = place.good(&["pretrain", "more.toml", "--out", "second"]).stderr;
    assert!(said.contains("training starts from") && said.contains("first"), "{said}");
    let config = |run: &str| json(&String::from_utf8(bytes(&place.path(run).join("bundle/config.json"))).unwrap());
    let (first, second) = (config("first"), config("second"));
    for part in ["image", "text", "fusion", "image_prompts", "heads", "weights_from"] {
        assert_eq!(first[part], second[part], "{part}");
    }
    let names: Vec<&str> =
        second["trained_on"].as_array().unwrap().iter().map(|one| one["source"].as_str().unwrap()).collect();
    assert_eq!(names, ["pairs", "more"]);
    assert_ne!(weights(&place, "first/bundle", "mlm_head"), weights(&place, "second/bundle", "mlm_head"));
}

#[test]
fn a_quickstart_starts_from_published_encoders() {
    let place = with_weights();
    let small =
        ["model.image.size=24", "train.steps=4", "text.max_tokens=8", "model.fusion.width=16", "model.fusion.heads=2"];
    let small = small.iter().flat_map(|set| ["--set", set]);
    let start = ["quickstart", "--table", "pairs.csv", "--out", "own", "--init", "weights/dinov2", "weights/bert"];
    let ran = place.good(&start.into_iter().chain(small).collect::<Vec<_>>());
    assert!(ran.stderr.contains("training starts from `dinov2/model.safetensors` and `bert/model.safetensors`"));
    assert!(ran.stdout.lines().last().unwrap().starts_with("quickstart: R@10 image-to-text 0."), "{}", ran.stdout);
    place.good(&["search", "own/vectors.parquet", "--model", "own/run", "--text", "a y x"]);
    let refused = |init: &[&str], words: &[&str]| {
        let start = ["quickstart", "--table", "pairs.csv", "--out", "other", "--init"];
        place.exits(&[&start, init].concat(), 2, words);
        assert!(!place.path("other").exists());
    };
    refused(&["weights/dinov2"], &["`--init`", "a text encoder is missing"]);
    refused(&["weights/bert", "weights/dinov2", "weights/bert"], &["`weights/bert` holds a text encoder", "name one"]);
    refused(&["own/run/bundle", "weights/bert"], &["`own/run/bundle` is a bundle of this program", "model.init.model"]);
    // What is missing is said before any work, so that the same folder takes the corrected command.
    let onnx = ["weights/dinov2-onnx", "weights/bert", "--set", "model.image.heads=2", "--set", "model.image.size=24"];
    let start = ["quickstart", "--table", "pairs.csv", "--out", "other", "--init"];
    place.bad(&[&start[..], &onnx].concat(), &["`model.init.mean`", "--set 'model.init.mean=[0.485,0.456,0.406]'"]);
    assert!(!place.path("other").exists());
    place.exits(&["quickstart", "--out", "other", "--init", "weights/bert"], 2, &["--table"]);
}

#[test]
fn weights_that_cannot_be_used_say_why() {
    let place = with_weights();
    let fails = |sets: &[&str], words: &[&str]| {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        place.bad(&["pretrain", "r.toml", "--out", "x"].into_iter().chain(sets).collect::<Vec<_>>(), words);
    };
    fails(&["model.init.image=\"weights/bert\""], &["holds a text encoder, but an image encoder is asked for"]);
    fails(&["model.init.text=\"weights/dinov2\""], &["holds an image encoder, but a text encoder is asked for"]);
    fails(&["model.init.image=\"absent\""], &["absent"]);
    let onnx = ["model.init.image=\"weights/dinov2-onnx\"", "model.image.heads=2"];
    fails(&onnx, &["`model.init.mean`", "[0.485,0.456,0.406]"]);
    fails(&["model.image.size=21"], &["21", "multiple"]);
    fails(&["text.max_tokens=13"], &["`text.max_tokens`", "12"]);
}
