//! Fusion of images and texts (specification, section 1). The rest of the crate uses only this enum and does not depend on
//! the kind of fusion.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ptu_kernels::{Packed, Pass};

use crate::config::FusionConfig;
use crate::two_stream::TwoStream;
use crate::{Fused, Pairs};

/// The kinds of fusion.
#[derive(Module, Debug)]
pub enum Fusion {
    /// An image stream and a text stream with cross-attention to each other.
    TwoStream(TwoStream),
}

impl Fusion {
    /// A fusion with the configured sizes.
    pub fn new(config: &FusionConfig, device: &Device) -> Self {
        Self::TwoStream(TwoStream::new(config, device))
    }

    /// Runs pairs through all layers; `pairs` gives the numbers of their sequences in `images` and `texts`. A sequence may be in
    /// several pairs.
    ///
    /// # Panics
    /// If the number of a sequence, or the position of a token to read, is out of range.
    pub(crate) fn forward(&self, images: &Packed, texts: &Packed, pairs: &Pairs, pass: &Pass) -> Fused {
        match self {
            Self::TwoStream(streams) => streams.forward_pairs(images, texts, pairs, pass),
        }
    }

    /// Runs image `i` with text `i` through all layers and reads all tokens. Also returns the states of the `padding` of each text,
    /// which attends to the text and the image without being attended to.
    pub(crate) fn forward_padded(&self, image: Packed, text: Packed, padding: Packed, pass: &Pass) -> (Fused, Packed) {
        match self {
            Self::TwoStream(streams) => streams.forward_padded(image, text, padding, pass),
        }
    }

    /// Applies the poolers to the first tokens of some pairs and concatenates the results, text first: `[pairs, 2d]`.
    pub(crate) fn pool(&self, fused: &Fused, pairs: impl IntoIterator<Item = usize> + Clone) -> Tensor<2> {
        match self {
            Self::TwoStream(streams) => streams.pool(fused, pairs),
        }
    }

    /// Cross-attention weights of each token of a text over the tokens of its image, in the last layer, averaged over heads.
    /// For each pair `[tokens of the text, tokens of the image]`; each row sums to 1.
    pub(crate) fn text_attention(&self, image: Packed, text: Packed) -> Vec<Vec<f32>> {
        match self {
            Self::TwoStream(streams) => streams.text_attention(image, text),
        }
    }
}
