//! Models leave the program, and come back as they were.

use serde_json::Value;

use crate::harness::{Place, bytes};

/// A pre-trained model in `run`, and phantom records in `data`.
fn pretrained() -> Place {
    let place = Place::new();
    place.phantom();
    place.recipe();
    let sets = ["--set", "train.steps=2", "--set", "train.validate_every=0"];
    place.good(&[&["pretrain", "r.toml", "--out", "run"][..], &sets].concat());
    place
}

/// The vectors of phantom records of one modality, line by line.
fn vectors(place: &Place, model: &str, modality: &str) -> Vec<Vec<f64>> {
    let file = format!("{}-{modality}.jsonl", model.replace('/', "-"));
    place.good(&["embed", model, "data", "--only", modality, "--space", "features", "--out", &file]);
    let text = std::fs::read_to_string(place.path(&file)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let numbers = |line: &Value| Some(line.get("vector")?.as_array()?.iter().filter_map(Value::as_f64).collect());
    lines.filter_map(|line| numbers(&line)).collect()
}

#[test]
fn a_checkpoint_with_published_names_is_imported_as_it_was() {
    let place = pretrained();
    place.good(&["export", "run", "--to", "ptunifier", "out"]);
    place.good(&["import", "out/ptunifier.ckpt", "--out", "again"]);
    for modality in ["images", "texts", "pairs"] {
        let found = vectors(&place, "again", modality);
        assert!(!found.is_empty());
        assert_eq!(found, vectors(&place, "run", modality), "{modality}");
    }
    let config = |path: &str| -> Value { serde_json::from_slice(&bytes(&place.path(path))).unwrap() };
    assert_eq!(config("again/config.json")["trained_on"], config("run/bundle/config.json")["trained_on"]);
    assert_eq!(
        bytes(&place.path("again/preprocessor_config.json")),
        bytes(&place.path("run/bundle/preprocessor_config.json"))
    );
}

#[test]
fn a_hugging_face_export_is_still_a_bundle() {
    let place = pretrained();
    let said = place.good(&["export", "run", "--to", "hf", "out", "--json"]).stdout;
    let said: Value = serde_json::from_str(&said).unwrap();
    for file in ["modeling_ptunifier.py", "processing_ptunifier.py", "tokenizer_config.json", "model.safetensors"] {
        assert!(
            said["files"].as_array().unwrap().iter().any(|one| one == file) && place.path("out").join(file).exists()
        );
    }
    assert_eq!(vectors(&place, "out", "pairs"), vectors(&place, "run", "pairs"));
    place.exits(&["import", "out", "--out", "again"], 1, &["`out` is a bundle of this program already"]);
    let config: Value = serde_json::from_slice(&bytes(&place.path("out/config.json"))).unwrap();
    assert_eq!(config["auto_map"]["AutoModel"], "modeling_ptunifier.PTUnifierModel");
    // The card says what the model learned from, and its scores.
    let card = |out: &str| String::from_utf8(bytes(&place.path(out).join("README.md"))).unwrap();
    assert!(
        card("out").contains("| phantom | 48 | synthetic, free |") && card("out").contains("None yet"),
        "{}",
        card("out")
    );
    place.good(&["evaluate", "run"]);
    place.good(&["export", "run", "--to", "hf", "scored"]);
    assert!(card("scored").contains("ITM accuracy") && card("scored").contains("model-index: ["), "{}", card("scored"));
}

#[test]
fn graphs_share_their_weights() {
    let place = pretrained();
    place.good(&["export", "run", "--to", "onnx", "out"]);
    let weights = std::fs::metadata(place.path("out/weights.bin")).unwrap().len();
    let of_bundle = std::fs::metadata(place.path("run/bundle/model.safetensors")).unwrap().len();
    assert!(
        weights < 2 * of_bundle,
        "each weight is stored once, tables of prompts in 64 bits too: {weights} {of_bundle}"
    );
    let card = String::from_utf8(bytes(&place.path("out/README.md"))).unwrap();
    assert!(card.contains("onnxruntime") && !card.contains("transformers"), "{card}");
    for graph in ["image", "text", "pair", "image_encoder", "text_encoder"] {
        let graph = std::fs::metadata(place.path(&format!("out/{graph}.onnx"))).unwrap().len();
        assert!(graph < 200_000, "{graph}");
    }
}

#[test]
fn what_cannot_be_exported_says_why() {
    let place = pretrained();
    place.write("full/file", "x");
    place.exits(&["export", "run", "--to", "hf", "full"], 1, &["`full` is not empty"]);
    place.exits(&["export", "run", "--to", "pickle", "out"], 2, &["hf", "onnx", "ptunifier"]);
    place.exits(&["export", "nowhere", "--to", "hf", "out"], 2, &["`nowhere` does not exist"]);
    place.write("broken/config.json", "{}");
    place.bad(&["export", "broken", "--to", "onnx", "out"], &["broken"]);
    assert!(!place.path("out").exists(), "a failed export leaves no folder");
    // Weights of a training that diverged.
    place.good(&["export", "run", "--to", "hf", "diverged"]);
    let mut weights = bytes(&place.path("diverged/model.safetensors"));
    let end = weights.len() - 4;
    weights[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    place.write("diverged/model.safetensors", weights);
    for format in ["hf", "onnx", "ptunifier"] {
        place.bad(&["export", "diverged", "--to", format, "out"], &["diverged/model.safetensors", "not finite"]);
    }
    // A checkpoint whose carried settings were changed.
    place.good(&["export", "run", "--to", "ptunifier", "out"]);
    let mut changed = bytes(&place.path("out/ptunifier.ckpt"));
    let at = changed.windows(11).position(|window| window == b"\"positions\"").unwrap();
    changed[at + 1] = b'P';
    place.write("out/changed.ckpt", changed);
    place.bad(&["import", "out/changed.ckpt", "--out", "again"], &["changed.ckpt"]);
}

#[test]
fn a_model_with_one_stream_has_no_published_names() {
    let place = Place::new();
    place.phantom();
    place.recipe();
    let kind = "model.fusion.kind=\"single_stream_bert\"";
    let sets = ["--set", "train.steps=2", "--set", "train.validate_every=0", "--set", kind];
    place.good(&[&["pretrain", "r.toml", "--out", "run"][..], &sets].concat());
    place.exits(&["export", "run", "--to", "ptunifier", "no"], 1, &["one stream", "--to hf", "--to onnx"]);
    assert!(!place.path("no").exists());
    for format in ["hf", "onnx"] {
        place.good(&["export", "run", "--to", format, format]);
    }
    assert_eq!(vectors(&place, "hf", "pairs"), vectors(&place, "run", "pairs"));
}
