//! Fusion of images and texts (specification, section 1.4). The rest of the crate uses only this type and does not depend on the kind of
//! fusion.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ptu_kernels::{Packed, Pass};

use crate::config::{FusionKind, ModelConfig};
use crate::layer::Linear;
use crate::single_stream::SingleStream;
use crate::two_stream::TwoStream;
use crate::{Fused, Pairs};

/// Layers in which images and texts meet, and the poolers after them.
#[derive(Module, Debug)]
pub struct Fusion {
    /// The layers.
    pub layers: FusionLayers,
    /// Pooler of the first token of an image.
    pub image_pooler: Linear,
    /// Pooler of the first token of a text.
    pub text_pooler: Linear,
}

/// The kinds of fusion.
#[derive(Module, Debug)]
pub enum FusionLayers {
    /// An image stream and a text stream with cross-attention to each other.
    TwoStream(TwoStream),
    /// One Transformer over the tokens of both.
    SingleStream(SingleStream),
}

impl Fusion {
    /// A fusion with the configured sizes.
    pub fn new(config: &ModelConfig, device: &Device) -> Self {
        let d = config.fusion.width;
        let layers = match config.fusion.kind {
            FusionKind::TwoStream => FusionLayers::TwoStream(TwoStream::new(&config.fusion, device)),
            FusionKind::SingleStreamBert => FusionLayers::SingleStream(SingleStream::bert(config, device)),
            FusionKind::SingleStreamVit => FusionLayers::SingleStream(SingleStream::vit(config, device)),
        };
        Self { layers, image_pooler: Linear::new(d, d, device), text_pooler: Linear::new(d, d, device) }
    }

    /// Number of layers.
    pub(crate) fn layers(&self) -> usize {
        match &self.layers {
            FusionLayers::TwoStream(streams) => streams.layers(),
            FusionLayers::SingleStream(stream) => stream.layers(),
        }
    }

    /// Runs pairs through the first `layers` layers; `pairs` gives the numbers of their sequences among images and texts. A sequence may be
    /// in several pairs.
    ///
    /// # Panics
    /// If the number of a sequence, or the position of a token to read, is out of range.
    pub(crate) fn forward(&self, sequences: [&Packed; 2], pairs: &Pairs, layers: usize, pass: &Pass) -> Fused {
        match &self.layers {
            FusionLayers::TwoStream(streams) => streams.forward_pairs(sequences, pairs, layers, pass),
            FusionLayers::SingleStream(stream) => stream.forward_pairs(sequences, pairs, layers, pass),
        }
    }

    /// Runs image `i` with text `i` through all layers and reads all tokens. Also returns the states of the `padding` of each text,
    /// which attends to the text and the image without being attended to.
    pub(crate) fn forward_padded(&self, image: Packed, text: Packed, padding: Packed, pass: &Pass) -> (Fused, Packed) {
        match &self.layers {
            FusionLayers::TwoStream(streams) => streams.forward_padded(image, text, padding, pass),
            FusionLayers::SingleStream(stream) => stream.forward_padded(&image, &text, padding, pass),
        }
    }

    /// Applies the poolers to the first tokens of some pairs and concatenates the results, text first: `[pairs, 2d]`.
    pub(crate) fn pool(&self, fused: &Fused, pairs: impl IntoIterator<Item = usize> + Clone) -> Tensor<2> {
        let pool = |x: &Packed, pooler: &Linear| pooler.forward(x.first_tokens(pairs.clone()), &Pass::off()).tanh();
        Tensor::cat(vec![pool(&fused.text, &self.text_pooler), pool(&fused.image, &self.image_pooler)], 1)
    }

    /// Attention weights of each token of a text over the tokens of its image, in the last layer, averaged over heads. For each pair
    /// `[tokens of the text, tokens of the image]`; each row sums to 1.
    pub(crate) fn text_attention(&self, image: Packed, text: Packed) -> Vec<Vec<f32>> {
        match &self.layers {
            FusionLayers::TwoStream(streams) => streams.text_attention(image, text),
            FusionLayers::SingleStream(stream) => stream.text_attention(&image, &text),
        }
    }
}
