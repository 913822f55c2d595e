//! Sizes and kind of the fusion.

use serde::{Deserialize, Serialize};

use super::{ImageConfig, ModelConfig};

/// The fusion of images and texts (specification, section 1.4).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionConfig {
    /// Two streams with cross-attention to each other, or one.
    #[serde(default, skip_serializing_if = "FusionKind::is_default")]
    pub kind: FusionKind,
    /// Width.
    pub width: usize,
    /// Number of layers (in each stream).
    pub layers: usize,
    /// Number of attention heads.
    pub heads: usize,
    /// Epsilon of the layer norms.
    pub eps: f64,
    /// Whether the mean of the outputs of an encoder is added to its first token before the fusion (published: no). The poolers, which
    /// read the first token, then see all tokens from the start.
    #[serde(default)]
    pub add_mean: bool,
}

/// How images and texts meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FusionKind {
    /// An image stream and a text stream with cross-attention to each other, as published.
    #[default]
    TwoStream,
    /// One stream: a Transformer of BERT's layers (post-norm) over the tokens of text and image together.
    SingleStreamBert,
    /// One stream: a Transformer of the image encoder's blocks (pre-norm) over the tokens of text and image together.
    SingleStreamVit,
}

impl FusionKind {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether text and image go through the same layers together.
    pub fn is_single_stream(self) -> bool {
        self != Self::TwoStream
    }
}

impl ModelConfig {
    /// The configuration of the blocks of a [`FusionKind::SingleStreamVit`]: those of the image encoder in the sizes of the fusion.
    pub fn single_stream_blocks(&self) -> ImageConfig {
        let fusion = &self.fusion;
        ImageConfig { width: fusion.width, heads: Some(fusion.heads), eps: fusion.eps, ..self.image }
    }

    /// Whether the layers of the text encoder are those of the fusion.
    pub fn text_layers_are_in_fusion(&self) -> bool {
        self.fusion.kind == FusionKind::SingleStreamBert && self.text.layers == 0
    }

    /// Whether the blocks of the image encoder are those of the fusion.
    pub fn image_blocks_are_in_fusion(&self) -> bool {
        self.fusion.kind == FusionKind::SingleStreamVit && self.image.layers == 0
    }

    /// Number of layers of the decoder: as many as the text encoder has, or, where that one has none, as the fusion has.
    pub fn decoder_layers(&self) -> usize {
        if self.text.layers > 0 { self.text.layers } else { self.fusion.layers }
    }
}
