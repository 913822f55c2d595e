//! Imported encoders compute what their own programs compute. The fixtures are written by `tools/reference/encoders.py` with torch
//! 2.15.0, transformers 4.57.6, timm 1.0.31 and open_clip_torch 3.3.0.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens, and says so")]

mod common;

use std::path::Path;

use burn::tensor::Tensor;
use common::fixture;
use ptu_import::{
    AssembleOptions, ImageOptions, Imported, TextOptions, assemble, read_image_encoder, read_text_encoder,
};
use ptu_input::{Images, Texts};
use ptu_kernels::Pass;
use safetensors::SafeTensors;

/// Shape and bytes of a tensor in a file of expected values.
fn stored(file: &Path, name: &str) -> (Vec<usize>, Vec<u8>) {
    let bytes = std::fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    (tensor.shape().to_vec(), tensor.data().to_vec())
}

fn floats(file: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let (shape, bytes) = stored(file, name);
    (shape, bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect())
}

fn model(image: &str, text: &str, options: &ImageOptions, heads: Option<usize>) -> Imported {
    let image = read_image_encoder(&fixture(image), options).unwrap();
    let text = read_text_encoder(&fixture(text), &TextOptions { heads, ..TextOptions::default() }).unwrap();
    assemble(image, text, &AssembleOptions::default()).unwrap()
}

fn worst(tokens: Tensor<2>, expected: &[f32]) -> f32 {
    let values: Vec<f32> = tokens.into_data().try_into_vec().unwrap();
    assert_eq!(values.len(), expected.len());
    values.iter().zip(expected).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}

fn image_error(name: &str, expected: &str, options: &ImageOptions) -> f32 {
    let imported = model(name, "bert", options, None);
    let file = fixture(name).join(expected);
    let (shape, planes) = floats(&file, "input");
    let images = Images { count: shape[0], side: shape[2], planes, outputs: None };
    let model = imported.bundle.model;
    let tokens = model.image.encode(&model.image.embed(&images, None, &Pass::off()), &Pass::off());
    worst(tokens.tokens, &floats(&file, "tokens").1)
}

#[test]
fn image_encoders_compute_what_their_programs_compute() {
    for name in ["clip", "vit", "dinov2", "dinov2-registers", "siglip", "timm", "timm-dinov2", "open-clip"] {
        let error = image_error(name, "expected.safetensors", &ImageOptions::default());
        println!("{name}: {error:e}");
        assert!(error < 2e-5, "{name}: {error}");
    }
}

#[test]
fn resized_positions_give_what_transformers_gives() {
    let options = ImageOptions { size: Some(20), ..ImageOptions::default() };
    let error = image_error("dinov2", "expected-20.safetensors", &options);
    println!("dinov2, resized: {error:e}");
    assert!(error < 2e-5, "{error}");
}

fn text_error(name: &str, expected: &str, heads: Option<usize>) -> f32 {
    let model = model("clip", name, &ImageOptions::default(), heads).bundle.model;
    let file = fixture(name).join(expected);
    let (shape, bytes) = stored(&file, "input");
    let ids: Vec<u32> = bytes.chunks_exact(8).map(|id| i64::from_le_bytes(id.try_into().unwrap()) as u32).collect();
    let texts = Texts::collect(ids.chunks(shape[1]));
    let tokens = model.text.encode(model.text.embed(&texts, &Pass::off()), &Pass::off());
    worst(tokens.tokens, &floats(&file, "tokens").1)
}

#[test]
fn text_encoders_compute_what_transformers_computes() {
    for name in ["bert", "roberta"] {
        let error = text_error(name, "expected.safetensors", None);
        println!("{name}: {error:e}");
        assert!(error < 2e-5, "{name}: {error}");
    }
}

/// A model of open_clip whose encoders are of timm and of transformers. It is too large for a fixture: `cargo xtask interop` makes one.
#[test]
fn both_encoders_of_biomedclip_compute_what_open_clip_computes() {
    if !fixture("biomedclip").exists() {
        println!("there is no model in the layout of BiomedCLIP here: not tested");
        return;
    }
    let image = image_error("biomedclip", "expected.safetensors", &ImageOptions::default());
    // Its configuration names an architecture of the Hub, which says how many heads there are.
    let text = text_error("biomedclip", "expected-text.safetensors", Some(2));
    println!("biomedclip: {image:e}, {text:e}");
    assert!(image < 1e-4 && text < 1e-4, "{image} {text}");
}
