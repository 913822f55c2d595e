//! Sizes and style of the image encoder.

use serde::{Deserialize, Serialize};

/// The image encoder, a vision transformer (specification, section 1). The fields after `eps` say in what an encoder differs from that
/// of CLIP; a configuration without them describes CLIP's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Height and width of the input in pixels.
    pub size: usize,
    /// Height and width of a patch in pixels; `size` is a multiple of it.
    pub patch: usize,
    /// Width.
    pub width: usize,
    /// Number of blocks of the published encoder, including the blocks that are not used. Without blocks, embedded patches go to the fusion as
    /// they are.
    pub layers: usize,
    /// Number of blocks at the end that are not used (published: 1).
    pub drop_last: usize,
    /// Epsilon of the layer norms.
    pub eps: f64,
    /// Number of attention heads; `None` for one for every 64 of the width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
    /// Width of the hidden layer of the MLPs; `None` for four times the width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlp_width: Option<usize>,
    /// Activation of the MLPs.
    #[serde(default, skip_serializing_if = "ImageActivation::is_default")]
    pub activation: ImageActivation,
    /// Whether a learned class token stands before the patches. Without it, the mean of all tokens after the last layer norm is put
    /// before them, so that the fusion has a first token that stands for the whole image.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub class_token: bool,
    /// Whether there is a layer norm before the blocks (`ln_pre`).
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub pre_norm: bool,
    /// Whether the patch embedding has a bias.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub patch_bias: bool,
    /// Whether the outputs of attention and MLP are scaled by learned vectors (LayerScale).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub layer_scale: bool,
    /// Number of register tokens, which go through the blocks behind the class token and are removed after them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub registers: usize,
    /// Side of the squares of patches whose outputs are averaged to one token before the fusion (this project): 1 for no averaging, 2 for a
    /// fourth of the tokens. Squares at the right and lower edge that have fewer patches repeat their last ones.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub merge: usize,
}

/// The activation of the MLPs of an image encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageActivation {
    /// `x sigmoid(1.702 x)`, that of CLIP.
    #[default]
    QuickGelu,
    /// GELU with the error function.
    Gelu,
    /// GELU by its tanh approximation, that of SigLIP.
    GeluTanh,
}

impl ImageActivation {
    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::QuickGelu => "quick_gelu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(number: &usize) -> bool {
    *number == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl ImageConfig {
    /// The encoder of CLIP with these sizes, as published: its last block is not used.
    pub fn clip(size: usize, patch: usize, width: usize, layers: usize) -> Self {
        Self {
            size,
            patch,
            width,
            layers,
            drop_last: 1,
            eps: 1e-5,
            heads: None,
            mlp_width: None,
            activation: ImageActivation::QuickGelu,
            class_token: true,
            pre_norm: true,
            patch_bias: false,
            layer_scale: false,
            registers: 0,
            merge: 1,
        }
    }

    /// Patches along one side.
    pub fn grid(&self) -> usize {
        self.size / self.patch
    }

    /// Number of tokens of an image in the fusion: the first one, and those of its patches.
    pub fn tokens(&self) -> usize {
        1 + self.grid().div_ceil(self.merge).pow(2)
    }

    /// Number of blocks that are used.
    pub fn used_layers(&self) -> usize {
        self.layers - self.drop_last
    }

    /// Number of attention heads.
    pub fn heads(&self) -> usize {
        self.heads.unwrap_or(self.width / 64)
    }

    /// Width of the hidden layer of the MLPs.
    pub fn mlp_width(&self) -> usize {
        self.mlp_width.unwrap_or(4 * self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_of_clip_is_not_written() {
        let clip = ImageConfig::clip(224, 16, 768, 12);
        let json = serde_json::to_value(clip).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 6, "{json}");
        assert_eq!(serde_json::from_value::<ImageConfig>(json).unwrap(), clip);
        let dino = ImageConfig {
            activation: ImageActivation::Gelu,
            class_token: false,
            pre_norm: false,
            patch_bias: true,
            layer_scale: true,
            registers: 4,
            merge: 2,
            heads: Some(6),
            mlp_width: Some(100),
            ..clip
        };
        let json = serde_json::to_value(dino).unwrap();
        assert_eq!(json["activation"], "gelu");
        assert_eq!(serde_json::from_value::<ImageConfig>(json).unwrap(), dino);
    }
}
