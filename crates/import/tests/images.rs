//! Image encoders in all layouts, and what is refused. The fixtures are those of `forward.rs`.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens, and says so")]

mod common;

use common::{copy, counting, fixture, renamed, weights};
use ptu_import::{
    ImageOptions, ImageWeights, ImportError, Origin, Part, Unsupported, UnusedReason, read_image_encoder,
};
use ptu_input::Transform;
use ptu_model::config::{ImageActivation, ImageConfig};
use ptu_model::weights::{Array, Arrays};

fn read(name: &str, weights: &Arrays) -> Result<ImageWeights, ImportError> {
    read_image_encoder(copy(name, weights).path(), &ImageOptions::default())
}

fn published(name: &str) -> ImageWeights {
    read_image_encoder(&fixture(name), &ImageOptions::default()).unwrap()
}

#[test]
fn configurations_follow_from_shapes_and_settings() {
    let clip = ImageConfig { drop_last: 0, heads: Some(2), ..ImageConfig::clip(12, 4, 8, 2) };
    let vit = ImageConfig { activation: ImageActivation::Gelu, pre_norm: false, patch_bias: true, ..clip };
    let dino = ImageConfig { eps: 1e-6, layer_scale: true, ..vit };
    let siglip = ImageConfig {
        eps: 1e-6,
        mlp_width: Some(20),
        activation: ImageActivation::GeluTanh,
        class_token: false,
        ..vit
    };
    for (name, expected) in [
        ("clip", clip),
        ("open-clip", clip),
        ("vit", ImageConfig { eps: 1e-12, mlp_width: Some(24), ..vit }),
        ("dinov2", dino),
        ("dinov2-registers", ImageConfig { registers: 3, ..dino }),
        ("siglip", siglip),
        ("timm", ImageConfig { eps: 1e-6, ..vit }),
        ("timm-dinov2", ImageConfig { registers: 2, ..dino }),
    ] {
        let found = published(name);
        assert_eq!(found.config, expected, "{name}");
        assert_eq!(found.report.assumed, [], "{name}");
    }
}

#[test]
fn queries_keys_and_values_are_joined_in_this_order() {
    let weights = weights("vit");
    let found = published("vit");
    for (kind, ours) in [("weight", "in_proj_weight"), ("bias", "in_proj_bias")] {
        let parts = ["query", "key", "value"].map(|part| format!("encoder.layer.1.attention.attention.{part}.{kind}"));
        let joined: Vec<f32> = parts.iter().flat_map(|name| weights[name].values.clone()).collect();
        let name = format!("vision_encoder.visual.transformer.resblocks.1.attn.{ours}");
        assert_eq!(found.arrays[&name].values, joined);
        assert_eq!(found.arrays[&name].shape[0], 24);
        let reported = found.report.weights.iter().find(|weight| weight.name == name).unwrap();
        assert_eq!(reported.origin, Origin::Matched { from: parts.to_vec() });
    }
}

#[test]
fn an_onnx_graph_gives_the_weights_that_it_was_exported_from() {
    let options = ImageOptions { heads: Some(2), ..ImageOptions::default() };
    let found = read_image_encoder(&fixture("dinov2-onnx"), &options).unwrap();
    let expected = published("dinov2");
    assert_eq!((found.config, found.arrays), (expected.config, expected.arrays));
    assert_eq!((found.preprocess, found.report.unused.len()), (None, 0));
    // It has no file beside it that gives the activation.
    assert_eq!(found.report.assumed.iter().map(|one| one.key).collect::<Vec<_>>(), ["image.activation"]);
}

#[test]
fn an_encoder_inside_of_a_larger_model_is_the_same() {
    for (name, from, to) in [
        ("clip", "vision_model.", ""),
        ("clip", "vision_model.", "clip.vision_model."),
        ("open-clip", "", "visual."),
        ("open-clip", "", "vision_encoder.visual."),
        ("open-clip", "", "vit_model.visual."),
        ("timm", "", "visual.trunk."),
        ("vit", "", "vit."),
        ("dinov2", "", "backbone."),
        ("siglip", "vision_model.", "siglip.vision_model."),
    ] {
        let mut moved = renamed(&weights(name), from, to);
        if !to.is_empty() {
            moved.insert("text_model.final_layer_norm.weight".into(), counting(&[4]));
            moved.insert("logit_scale".into(), counting(&[]));
        }
        let found = read(name, &moved).unwrap();
        let plain = published(name);
        assert_eq!((found.config, &found.arrays), (plain.config, &plain.arrays), "{name} as `{to}`");
        let others = found.report.unused.iter().filter(|tensor| tensor.reason == UnusedReason::OtherPart).count();
        assert_eq!(others, if to.is_empty() { 0 } else { 2 }, "{name} as `{to}`");
    }
}

#[test]
fn unused_tensors_have_a_reason() {
    let reasons = |name: &str| -> Vec<(String, UnusedReason)> {
        published(name).report.unused.into_iter().map(|tensor| (tensor.name, tensor.reason)).collect()
    };
    assert_eq!(reasons("dinov2"), [("embeddings.mask_token".into(), UnusedReason::PretrainingOnly)]);
    assert_eq!(reasons("timm").len(), 2);
    assert!(
        reasons("siglip")
            .iter()
            .all(|(name, reason)| { name.starts_with("vision_model.head.") && *reason == UnusedReason::Head })
    );
    let options = ImageOptions { drop_last: 1, ..ImageOptions::default() };
    let dropped = read_image_encoder(&fixture("clip"), &options).unwrap();
    assert_eq!((dropped.config.layers, dropped.config.drop_last), (2, 1));
    assert_eq!(dropped.report.unused.len(), 16);
    assert!(dropped.report.unused.iter().all(|tensor| tensor.reason == UnusedReason::DroppedBlock));
    assert!(!dropped.arrays.keys().any(|name| name.contains("resblocks.1.")));
    let error = read_image_encoder(&fixture("clip"), &ImageOptions { drop_last: 2, ..options }).unwrap_err();
    assert!(error.to_string().contains("image.drop_last"), "{error}");
}

#[test]
fn the_transforms_are_those_of_the_files() {
    let normalize = Transform::Normalize { mean: [0.5, 0.4, 0.3], deviation: [0.25, 0.5, 0.125] };
    let crop = |size| vec![Transform::ResizeShort { size }, Transform::CenterCrop { size: 12 }, normalize.clone()];
    assert_eq!(published("clip").preprocess.unwrap().evaluate, crop(16));
    assert_eq!(published("timm").preprocess.unwrap().evaluate, crop(16));
    assert_eq!(published("vit").preprocess.unwrap().evaluate, [Transform::Resize { size: 12 }, normalize.clone()]);
    let folder = copy("clip", &weights("clip"));
    std::fs::remove_file(folder.path().join("preprocessor_config.json")).unwrap();
    let options = ImageOptions::default();
    assert_eq!(read_image_encoder(folder.path(), &options).unwrap().preprocess, None);
    let options = ImageOptions { normalisation: Some([[0.5, 0.4, 0.3], [0.25, 0.5, 0.125]]), ..options };
    assert_eq!(read_image_encoder(folder.path(), &options).unwrap().preprocess.unwrap().evaluate, crop(12));
}

#[test]
fn positions_are_resized_and_the_report_says_so() {
    let options = ImageOptions { size: Some(20), ..ImageOptions::default() };
    let found = read_image_encoder(&fixture("siglip"), &options).unwrap();
    let name = "vision_encoder.visual.positional_embedding";
    assert_eq!((found.config.size, &found.arrays[name].shape), (20, &vec![25, 8]));
    let reported = found.report.weights.iter().find(|weight| weight.name == name).unwrap();
    assert!(matches!(reported.origin, Origin::Resized { grid: 3, to: 5, .. }));
    let error = read_image_encoder(&fixture("siglip"), &ImageOptions { size: Some(21), ..options }).unwrap_err();
    assert!(error.to_string().contains("multiple of the side of a patch, 4"), "{error}");
}

#[test]
fn what_is_missing_unknown_or_damaged_is_named() {
    let mut without = weights("vit");
    without.remove("encoder.layer.1.attention.attention.key.bias");
    let error = read("vit", &without).unwrap_err();
    assert!(matches!(&error, ImportError::Missing { names, .. } if names.len() == 1), "{error}");
    let allow = |pattern: &str| ImageOptions { allow_missing: vec![pattern.into()], ..ImageOptions::default() };
    let found = read_image_encoder(copy("vit", &without).path(), &allow("*.key.bias")).unwrap();
    let name = "vision_encoder.visual.transformer.resblocks.1.attn.in_proj_bias";
    let reported = found.report.weights.iter().find(|weight| weight.name == name).unwrap();
    assert_eq!((&reported.origin, found.arrays.contains_key(name)), (&Origin::Initialised, false));

    let mut with = weights("vit");
    with.insert("encoder.layer.0.adapter.weight".into(), counting(&[8]));
    let error = read("vit", &with).unwrap_err();
    assert!(error.to_string().contains("`encoder.layer.0.adapter.weight`"), "{error}");
    let found = read_image_encoder(copy("vit", &with).path(), &allow("*.adapter.*")).unwrap();
    assert!(found.report.unused.iter().any(|tensor| tensor.reason == UnusedReason::Allowed));

    for value in [f32::NAN, f32::INFINITY] {
        let mut damaged = weights("vit");
        damaged.get_mut("layernorm.weight").unwrap().values[3] = value;
        let error = read("vit", &damaged).unwrap_err();
        assert!(
            matches!(&error, ImportError::NotFinite { name, index: 3, .. } if name == "layernorm.weight"),
            "{error}"
        );
    }

    let mut other = weights("vit");
    other.insert("layernorm.bias".into(), counting(&[9]));
    let error = read("vit", &other).unwrap_err();
    assert!(
        matches!(&error, ImportError::Shape { found, expected, .. } if (&found[..], &expected[..]) == (&[9], &[8]))
    );

    // The number of layers is that of `config.json`, so that a file without its end is noticed.
    let mut shorter = weights("vit");
    shorter.retain(|name, _| !name.starts_with("encoder.layer.1."));
    assert!(matches!(read("vit", &shorter).unwrap_err(), ImportError::Missing { .. }));
}

#[test]
fn sizes_beyond_reason_are_refused_before_anything_is_made_of_them() {
    let folder = copy("vit", &weights("vit"));
    let settings = r#"{"model_type": "vit", "num_hidden_layers": 1000000000000}"#;
    std::fs::write(folder.path().join("config.json"), settings).unwrap();
    let error = read_image_encoder(folder.path(), &ImageOptions::default()).unwrap_err();
    assert!(error.to_string().contains("`image.layers` is 1000000000000"), "{error}");
    let options = ImageOptions { size: Some(4_000_000), ..ImageOptions::default() };
    let error = read_image_encoder(&fixture("vit"), &options).unwrap_err();
    assert!(error.to_string().contains("`image.size`"), "{error}");
}

#[test]
fn encoders_that_cannot_be_described_are_refused_by_name() {
    let refused = |name: &str, changes: &[(&str, &[usize])]| match read(name, &{
        let mut weights = weights(name);
        weights.extend(changes.iter().map(|(name, shape)| (name.to_string(), counting(shape))));
        weights
    }) {
        Err(ImportError::Unsupported { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("dinov2", &[("encoder.layer.0.mlp.weights_in.weight", &[8, 8])]), Unsupported::GatedMlp);
    assert_eq!(refused("timm", &[("blocks.0.mlp.fc2.weight", &[8, 16])]), Unsupported::GatedMlp);
    assert_eq!(refused("timm", &[("rope.periods", &[4])]), Unsupported::RotaryPositions);
    assert_eq!(refused("vit", &[("embeddings.position_embeddings", &[1, 11, 8])]), Unsupported::PositionGrid(11));
    let patch = "embeddings.patch_embeddings.projection.weight";
    assert_eq!(refused("vit", &[(patch, &[8, 1, 4, 4])]), Unsupported::Patches(vec![8, 1, 4, 4]));
    let folder = copy("vit", &weights("vit"));
    std::fs::write(folder.path().join("config.json"), r#"{"model_type": "vit", "hidden_act": "relu"}"#).unwrap();
    let error = read_image_encoder(folder.path(), &ImageOptions::default()).unwrap_err();
    assert!(error.to_string().contains("its activation is `relu`"), "{error}");
}

fn plain(tensors: &[(&str, &[usize])]) -> Result<ImageWeights, ImportError> {
    let arrays: Arrays = tensors.iter().map(|(name, shape)| (name.to_string(), counting(shape))).collect();
    let folder = tempfile::tempdir().unwrap();
    ptu_model::weights::write_arrays(&folder.path().join("model.safetensors"), &arrays).unwrap();
    read_image_encoder(folder.path(), &ImageOptions::default())
}

#[test]
fn other_networks_are_recognised() {
    let what = |tensors: &[(&str, &[usize])]| match plain(tensors) {
        Err(ImportError::Unsupported { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    let resnet: &[(&str, &[usize])] =
        &[("conv1.weight", &[4, 3, 7, 7]), ("bn1.running_mean", &[4]), ("fc.weight", &[2, 4])];
    assert_eq!(what(resnet), Unsupported::Convolutional);
    assert_eq!(what(&[("a.weight", &[4, 3, 3, 3]), ("b.weight", &[4, 4, 3, 3])]), Unsupported::Convolutional);
    let dino: &[(&str, &[usize])] = &[
        ("embeddings.patch_embeddings.weight", &[8, 3, 4, 4]),
        ("embeddings.register_tokens", &[1, 4, 8]),
        ("layer.0.attention.q_proj.weight", &[8, 8]),
    ];
    assert_eq!(what(dino), Unsupported::RotaryPositions);
    assert!(matches!(plain(&[("a", &[2])]).unwrap_err(), ImportError::UnknownLayout { wanted: Part::Image, .. }));
    let text = read_image_encoder(&fixture("bert"), &ImageOptions::default()).unwrap_err();
    assert!(matches!(text, ImportError::OtherPart { found: Part::Text, wanted: Part::Image, .. }), "{text}");
    let mut two = renamed(&weights("vit"), "", "student.");
    two.extend(renamed(&weights("vit"), "", "teacher."));
    assert!(matches!(read("vit", &two).unwrap_err(), ImportError::Ambiguous { names, .. } if names.len() == 2));
}

#[test]
fn positions_of_patches_only_give_the_class_token_the_position_zero() {
    let found = published("timm-dinov2");
    let positions = &found.arrays["vision_encoder.visual.positional_embedding"];
    let Array { shape, values } = &weights("timm-dinov2")["pos_embed"];
    assert_eq!((shape, &positions.shape), (&vec![1, 9, 8], &vec![10, 8]));
    assert_eq!((&positions.values[..8], &positions.values[8..]), (&[0.0; 8][..], &values[..]));
}

#[test]
fn another_filter_than_the_bicubic_one_is_told() {
    for (filter, expected) in [(2, &["resampling"][..]), (3, &[])] {
        let folder = copy("vit", &weights("vit"));
        let path = folder.path().join("preprocessor_config.json");
        let mut settings: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        settings["resample"] = filter.into();
        std::fs::write(&path, settings.to_string()).unwrap();
        let found = read_image_encoder(folder.path(), &ImageOptions::default()).unwrap();
        assert_eq!(found.report.assumed.iter().map(|one| one.key).collect::<Vec<_>>(), expected);
    }
}
