//! Weights of published encoders as those of a fusion with one stream.

use crate::config::ModelConfig;
use crate::weights::{Array, Arrays};

/// Where published names of layers begin, and those of the fusion that take their place.
const TEXT_LAYERS: [&str; 2] = ["language_encoder.encoder.layer.", "multi_modal_layers."];
const IMAGE_BLOCKS: [&str; 2] = ["vision_encoder.visual.transformer.resblocks.", "multi_modal_blocks."];
const IMAGE_NORM: [&str; 2] = ["vision_encoder.visual.ln_post.", "multi_modal_ln_post."];
const REGISTERS: &str = "vision_encoder.visual.register_embedding";

/// Moves the layers of published encoders into a fusion with one stream, as far as the model has no layers of its encoders. The projection
/// of the encoder whose layers these are starts as the identity, so that they get the embeddings that they know. For a model with two
/// streams nothing changes.
pub fn into_single_stream(config: &ModelConfig, arrays: Arrays) -> Arrays {
    if !config.fusion.kind.is_single_stream() {
        return arrays;
    }
    let (of_text, of_image) = (config.text_layers_are_in_fusion(), config.image_blocks_are_in_fusion());
    let (has_text, has_image) = (config.text.layers > 0, config.image.layers > 0);
    let moved = |name: &str| -> Option<String> {
        for ([from, to], is_moved, is_kept) in
            [(TEXT_LAYERS, of_text, has_text), (IMAGE_BLOCKS, of_image, has_image), (IMAGE_NORM, of_image, has_image)]
        {
            if let Some(rest) = name.strip_prefix(from).filter(|_| !is_kept) {
                return (is_moved && is_within(rest, config.fusion.layers)).then(|| format!("{to}{rest}"));
            }
        }
        (has_image || name != REGISTERS).then(|| name.to_string())
    };
    let mut all: Arrays = arrays.into_iter().filter_map(|(name, array)| Some((moved(&name)?, array))).collect();
    let d = config.fusion.width;
    for (side, is_moved, width) in [("vision", of_image, config.image.width), ("language", of_text, config.text.width)]
    {
        let is_published = all.keys().any(|name| name.starts_with(&format!("{side}_encoder.")));
        if is_moved && is_published && width == d {
            all.insert(format!("multi_modal_{side}_proj.weight"), identity(d));
        }
    }
    all
}

/// Whether the rest of a name, which may begin with the number of a layer, belongs to the first layers.
fn is_within(rest: &str, layers: usize) -> bool {
    rest.split('.').next().and_then(|number| number.parse::<usize>().ok()).is_none_or(|number| number < layers)
}

fn identity(d: usize) -> Array {
    let mut values = vec![0.0; d * d];
    values.iter_mut().step_by(d + 1).for_each(|value| *value = 1.0);
    Array { shape: vec![d, d], values }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_random::Key;

    use super::*;
    use crate::config::FusionKind;
    use crate::{Model, Preset, TextStyle};

    /// A model with one stream takes all weights of both encoders that it has a place for, and computes with embeddings as they are.
    #[test]
    fn layers_move_into_the_fusion() {
        let base = Preset::Tiny.config(TextStyle::Roberta, 40, [0, 2, 1]);
        let encoders: Arrays = Model::new(&base, Key::new(1), &Device::flex())
            .unwrap()
            .to_arrays()
            .into_iter()
            .filter(|(name, _)| name.starts_with("vision_encoder.") || name.starts_with("language_encoder."))
            .collect();
        for (kind, layers, layer, projection) in [
            (FusionKind::SingleStreamBert, 3, "multi_modal_layers.2.attention.self.key.weight", "language"),
            (FusionKind::SingleStreamVit, 4, "multi_modal_blocks.3.mlp.c_fc.weight", "vision"),
        ] {
            let mut config = base.clone();
            (config.fusion.kind, config.fusion.layers) = (kind, layers);
            (config.image.layers, config.image.drop_last, config.text.layers) = (0, 0, 0);
            let moved = into_single_stream(&config, encoders.clone());
            let of_model = Model::new(&config, Key::new(1), &Device::flex()).unwrap().to_arrays();
            assert!(moved.keys().all(|name| of_model.contains_key(name)), "{kind:?}");
            assert!(moved.contains_key(layer) && moved.len() > 50, "{kind:?}: {}", moved.len());
            let eye = &moved[&format!("multi_modal_{projection}_proj.weight")].values;
            assert_eq!((eye[0], eye[1], eye.iter().sum::<f32>()), (1.0, 0.0, 128.0));
        }
        assert_eq!(into_single_stream(&base, encoders.clone()), encoders);
    }
}
