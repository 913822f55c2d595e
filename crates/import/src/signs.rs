//! Names of tensors that show that an encoder cannot be described.

use crate::source::Source;
use crate::unsupported::Unsupported;

/// Parts of names that show what is not supported, most specific first.
const SIGNS: &[(&str, Unsupported)] = &[
    ("rope", Unsupported::RotaryPositions),
    ("rotary", Unsupported::RotaryPositions),
    ("mlp.weights_in", Unsupported::GatedMlp),
    ("mlp.w12", Unsupported::GatedMlp),
    ("mlp.fc1_g", Unsupported::GatedMlp),
    ("mlp.gate_proj", Unsupported::GatedMlp),
    ("relative_position_bias", Unsupported::RelativePositions),
    ("relative_attention_bias", Unsupported::RelativePositions),
    ("attn.rel_pos", Unsupported::RelativePositions),
];

/// The tensor below `prefix` that shows that its encoder is not supported, and what it shows.
pub(crate) fn sign(source: &Source, prefix: &str) -> Option<(String, Unsupported)> {
    let below = || source.names().filter(|name| name.starts_with(prefix));
    SIGNS
        .iter()
        .find_map(|(part, what)| below().find(|name| name.contains(part)).map(|name| (name.to_string(), what.clone())))
}

/// The tensor that shows that a file without any known layout holds a convolutional network or an encoder of DINOv3.
pub(crate) fn sign_of_unknown(source: &Source) -> Option<(String, Unsupported)> {
    let dino = source.names().find(|name| name.ends_with("embeddings.patch_embeddings.weight"));
    if let Some(name) = dino.filter(|_| source.names().any(|name| name.ends_with("embeddings.register_tokens"))) {
        return Some((name.to_string(), Unsupported::RotaryPositions));
    }
    let norm = source.names().find(|name| name.ends_with("running_mean"));
    let mut kernels = source.names().filter(|name| source.shape(name).is_some_and(|shape| shape.len() == 4));
    let (first, second) = (kernels.next(), kernels.next());
    // A vision transformer has one convolution, the patch embedding.
    let name = norm.or(second.and(first))?;
    Some((name.to_string(), Unsupported::Convolutional))
}
