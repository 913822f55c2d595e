//! Whole checkpoints, and models that are assembled from two encoders.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens, and says so")]

mod common;

use burn::tensor::Device;
use common::{copy, counting, fixture, weights};
use ptu_import::{
    AssembleOptions, CheckpointOptions, ImageOptions, ImportError, Part, TextOptions, UnusedReason, assemble, parts,
    read_checkpoint, read_image_encoder, read_text_encoder,
};
use ptu_model::config::{Pooling, PromptsConfig, Similarity};
use ptu_model::weights::{Arrays, write_arrays};
use ptu_model::{Bundle, HeadKind, Model, ModelConfig, Preset, TextStyle};
use ptu_random::Key;

fn config() -> ModelConfig {
    let mut config = Preset::Tiny.config(TextStyle::Roberta, 40, [0, 2, 1]);
    (config.text.layers, config.fusion.layers, config.image.layers) = (1, 2, 3);
    (config.text.heads, config.fusion.heads) = (4, 4);
    let pool = |size, take| PromptsConfig::Pool { size, take, pooling: Pooling::Mean, similarity: Similarity::Dot };
    (config.image_prompts, config.text_prompts) = (pool(12, 3), pool(10, 4));
    config
}

fn options() -> CheckpointOptions {
    let tokenizer = Some(fixture("roberta"));
    CheckpointOptions { heads: Some(4), prompts: Some([3, 4]), tokenizer, ..CheckpointOptions::default() }
}

/// Writes arrays as a checkpoint.
fn stored(arrays: &Arrays) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(&folder.path().join("model.safetensors"), arrays).unwrap();
    folder
}

fn own() -> Arrays {
    Model::new(&config(), Key::new(5), &Device::flex()).unwrap().to_arrays()
}

#[test]
fn a_published_checkpoint_gives_its_configuration_and_weights() {
    let mut with_unused = own();
    with_unused.insert("vision_encoder.token_embedding.weight".into(), counting(&[3, 2]));
    let found = read_checkpoint(stored(&with_unused).path(), &options()).unwrap();
    assert_eq!((&found.config, &found.arrays), (&config(), &own()));
    assert_eq!(found.report.unused[0].reason, UnusedReason::OtherPart);
    let imported = found.bundle().unwrap();
    assert_eq!(imported.bundle.model.to_arrays(), own());
    let folder = tempfile::tempdir().unwrap();
    imported.bundle.save(folder.path(), &imported.card).unwrap();
    assert_eq!(Bundle::load(folder.path(), &Device::flex()).unwrap().model.to_arrays(), own());
}

#[test]
fn names_of_meter_are_mapped() {
    let names = [
        ("language_encoder.", "text_transformer."),
        ("vision_encoder.", "vit_model."),
        ("multi_modal_vision_layers.", "cross_modal_image_layers."),
        ("multi_modal_language_layers.", "cross_modal_text_layers."),
        ("multi_modal_vision_proj.", "cross_modal_image_transform."),
        ("multi_modal_language_proj.", "cross_modal_text_transform."),
        ("multi_modal_vision_pooler.", "cross_modal_image_pooler."),
        ("multi_modal_language_pooler.", "cross_modal_text_pooler."),
        ("modality_type_embeddings.", "token_type_embeddings."),
        ("mlm_head.", "mlm_score."),
        ("itm_head.", "itm_score."),
    ];
    let is_meters = |name: &str| !name.starts_with("itc_head") && !name.starts_with("pseudo_");
    let expected: Arrays = own().into_iter().filter(|(name, _)| is_meters(name)).collect();
    let meter = expected.iter().map(|(name, array)| {
        let new = names.iter().find_map(|(ours, theirs)| Some(format!("{theirs}{}", name.strip_prefix(ours)?)));
        (new.unwrap(), array.clone())
    });
    let found = read_checkpoint(stored(&meter.collect()).path(), &options()).unwrap();
    assert_eq!(found.arrays, expected);
    assert_eq!((found.config.heads.as_slice(), found.config.fusion.eps), (&[HeadKind::Mlm, HeadKind::Itm][..], 1e-12));
    assert_eq!((found.config.image_prompts.rows(), found.report.layout.as_str()), (0, "METER"));
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let mut arrays = own();
    arrays.remove("itm_head.fc.bias");
    let error = read_checkpoint(stored(&arrays).path(), &options()).unwrap_err();
    assert!(matches!(&error, ImportError::Missing { names, .. } if names == &["itm_head.fc.bias"]), "{error}");
    let allowed = CheckpointOptions { allow_missing: vec!["itm_head.*".into()], ..options() };
    let imported = read_checkpoint(stored(&arrays).path(), &allowed).unwrap().bundle().unwrap();
    assert_eq!(imported.initialised, ["itm_head.fc.bias"]);
    arrays = own();
    arrays.insert("adapter".into(), counting(&[2]));
    let error = read_checkpoint(stored(&arrays).path(), &options()).unwrap_err();
    assert!(matches!(&error, ImportError::Unexplained { names, .. } if names == &["adapter"]), "{error}");
    arrays = own();
    arrays.insert("itm_head.fc.bias".into(), counting(&[3]));
    assert!(matches!(read_checkpoint(stored(&arrays).path(), &options()).unwrap_err(), ImportError::Shape { .. }));
    let error = read_checkpoint(&fixture("vit"), &options()).unwrap_err();
    assert!(error.to_string().contains("is not recognised as a PTUnifier or METER checkpoint"), "{error}");
    let none = CheckpointOptions { tokenizer: None, ..options() };
    let error = read_checkpoint(stored(&own()).path(), &none).unwrap().bundle().unwrap_err();
    assert!(error.to_string().contains("--tokenizer"), "{error}");
}

#[test]
fn two_encoders_of_different_widths_become_a_bundle() {
    let folder = copy("vit", &weights("vit"));
    std::fs::write(folder.path().join("README.md"), "---\nlicense: apache-2.0\n---\n").unwrap();
    let image = read_image_encoder(folder.path(), &ImageOptions::default()).unwrap();
    let text = read_text_encoder(&fixture("roberta"), &TextOptions::default()).unwrap();
    let (visual, words) = (image.arrays.clone(), text.arrays.clone());
    let options =
        AssembleOptions { fusion_width: Some(64), fusion_heads: Some(2), seed: 7, ..AssembleOptions::default() };
    let imported = assemble(image, text, &options).unwrap();
    let arrays = imported.bundle.model.to_arrays();
    for (name, array) in visual.iter().chain(&words) {
        assert_eq!(&arrays[name], array, "{name}");
        assert!(!imported.initialised.contains(name));
    }
    assert_eq!(imported.initialised.len() + visual.len() + words.len(), arrays.len());
    let new = Model::new(imported.bundle.model.config(), Key::new(7), &Device::flex()).unwrap().to_arrays();
    for name in &imported.initialised {
        assert_eq!(arrays[name], new[name], "{name}");
    }
    let config = imported.bundle.model.config();
    assert_eq!((config.fusion.width, config.fusion.layers, config.fusion.heads), (64, 1, 2));
    assert!(imported.card.contains("licence apache-2.0") && imported.card.contains("not stated"), "{}", imported.card);
    let folder = tempfile::tempdir().unwrap();
    imported.bundle.save(folder.path(), &imported.card).unwrap();
    let loaded = Bundle::load(folder.path(), &Device::flex()).unwrap();
    assert_eq!((loaded.model.to_arrays(), loaded.preprocess), (arrays, imported.bundle.preprocess));
}

#[test]
fn a_model_without_normalisation_is_not_assembled() {
    let folder = copy("vit", &weights("vit"));
    std::fs::remove_file(folder.path().join("preprocessor_config.json")).unwrap();
    let image = read_image_encoder(folder.path(), &ImageOptions::default()).unwrap();
    let text = read_text_encoder(&fixture("bert"), &TextOptions::default()).unwrap();
    let error = assemble(image, text, &AssembleOptions::default()).unwrap_err();
    assert!(error.to_string().contains("--mean"), "{error}");
}

#[test]
fn the_parts_of_a_file_are_told() {
    let both = |image: &str, text: &str| {
        let mut both = common::renamed(&weights(image), "", "visual.trunk.");
        both.extend(common::renamed(&weights(text), "", "text.transformer."));
        parts(stored(&both).path()).unwrap()
    };
    assert_eq!(both("timm", "bert"), [Part::Image, Part::Text]);
    assert_eq!(parts(&fixture("vit")).unwrap(), [Part::Image]);
    assert_eq!(parts(&fixture("roberta")).unwrap(), [Part::Text]);
    assert_eq!(parts(stored(&own()).path()).unwrap(), [Part::Whole]);
    assert_eq!(parts(stored(&Arrays::from([("a".into(), counting(&[2]))])).path()).unwrap(), []);
}
