//! Where images and texts meet (specification, section 1). Everything else knows this enum and what is read of it, not how
//! they meet.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ptu_kernels::{Packed, Pass};

use crate::config::FusionConfig;
use crate::two_stream::TwoStream;
use crate::{Fused, Pairs};

/// The kinds of fusion.
#[derive(Module, Debug)]
pub enum Fusion {
    /// A stream of images and a stream of texts, which attend to each other.
    TwoStream(TwoStream),
}

impl Fusion {
    /// Fusion of the configured sizes.
    pub fn new(config: &FusionConfig, device: &Device) -> Self {
        Self::TwoStream(TwoStream::new(config, device))
    }

    /// Pairs among `images` and `texts` by number, through all layers. A sequence may be in several pairs.
    ///
    /// # Panics
    /// If a number or a place to be read is not there.
    pub(crate) fn forward(&self, images: &Packed, texts: &Packed, pairs: &Pairs, pass: &Pass) -> Fused {
        match self {
            Self::TwoStream(streams) => streams.forward_pairs(images, texts, pairs, pass),
        }
    }

    /// First tokens of some pairs through the poolers, text first: `[pairs, 2d]`.
    pub(crate) fn pool(&self, fused: &Fused, pairs: impl IntoIterator<Item = usize> + Clone) -> Tensor<2> {
        match self {
            Self::TwoStream(streams) => streams.pool(fused, pairs),
        }
    }

    /// How much each token of a text attends to each token of its image in the last layer, the mean over heads: a pair
    /// `[tokens of the text, tokens of the image]`, rows that sum to 1.
    pub(crate) fn text_attention(&self, image: Packed, text: Packed) -> Vec<Vec<f32>> {
        match self {
            Self::TwoStream(streams) => streams.text_attention(image, text),
        }
    }
}
