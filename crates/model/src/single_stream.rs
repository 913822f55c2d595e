//! Fusion with one stream: a Transformer over the tokens of a text and of an image together (specification, section 1.4.1).
//!
//! Shapes: `rows` is the number of tokens of all packed sequences, d is the width.

use burn::module::Module;
use burn::tensor::Device;
use ptu_kernels::{NetworkPart, Packed, Pass};

use crate::config::ModelConfig;
use crate::layer::{BertLayer, LayerNorm, VitBlock};
use crate::pairs::read_tokens;
use crate::two_stream::run_if_any;
use crate::{Fused, Pairs};

/// A Transformer in the style of one of the encoders, with whose weights it can start.
#[derive(Module, Debug)]
pub enum SingleStream {
    /// Layers of BERT: post-norm.
    Bert(Vec<BertLayer>),
    /// Blocks of a vision transformer: pre-norm.
    Vit(VitStack),
}

/// Pre-norm blocks with a layer norm behind them.
#[derive(Module, Debug)]
pub struct VitStack {
    /// The blocks.
    pub blocks: Vec<VitBlock>,
    /// Layer norm after the blocks.
    pub norm: LayerNorm,
}

impl SingleStream {
    /// Layers of BERT with the configured sizes.
    pub fn bert(config: &ModelConfig, device: &Device) -> Self {
        let fusion = &config.fusion;
        let layer = |_| BertLayer::new(fusion.width, fusion.heads, fusion.eps, device);
        Self::Bert((0..fusion.layers).map(layer).collect())
    }

    /// Blocks of the image encoder with the sizes of the fusion.
    pub fn vit(config: &ModelConfig, device: &Device) -> Self {
        let blocks = config.single_stream_blocks();
        Self::Vit(VitStack {
            blocks: (0..config.fusion.layers).map(|_| VitBlock::new(&blocks, device)).collect(),
            norm: LayerNorm::new(blocks.width, blocks.eps, device),
        })
    }

    /// Runs pairs, given by the numbers of their sequences in `images` and `texts`, through the first `layers` layers. The last of these runs
    /// only for the tokens that are read.
    ///
    /// # Panics
    /// If the number of a sequence or a position is out of range.
    pub fn forward_pairs(&self, [images, texts]: [&Packed; 2], pairs: &Pairs, layers: usize, pass: &Pass) -> Fused {
        let (image, text) = (images.select(pairs.images.iter().copied()), texts.select(pairs.texts.iter().copied()));
        let lengths = image.lengths.iter().zip(text.lengths.iter());
        let (places, of_texts): (Vec<Vec<usize>>, Vec<usize>) = pairs
            .read
            .iter()
            .zip(lengths)
            .map(|(read, (&of_image, &of_text))| {
                let [image, text] = read.places(of_image, of_text);
                let count = text.len();
                (text.into_iter().chain(image.into_iter().map(|place| of_text + place)).collect(), count)
            })
            .unzip();
        let x = self.before(layers - 1, Packed::join(&[&text, &image]), pass);
        let [text, image] = self.last_layer(layers - 1, &x, &places, pass).split(&of_texts);
        Fused { image, text }
    }

    /// Runs image `i` with text `i` through all layers, and the padding of each text, which attends to the text and the image
    /// without being attended to.
    pub fn forward_padded(&self, image: &Packed, text: &Packed, padding: Packed, pass: &Pass) -> (Fused, Packed) {
        let (mut x, mut padding) = (Packed::join(&[text, image]), padding);
        for layer in 0..self.layers() {
            padding = run_if_any(&padding, |padding| self.run_some(layer, padding, &x, pass));
            x = self.run(layer, &x, pass);
        }
        let padding = run_if_any(&padding, |padding| self.normalised(padding.clone()));
        let [text, image] = self.normalised(x).split(&text.lengths);
        (Fused { image, text }, padding)
    }

    /// Attention weights of each token of a text over the tokens of its image, in the last layer, averaged over heads, as shares of what goes
    /// to the image. For each pair `[tokens of the text, tokens of the image]`; each row sums to 1.
    pub fn text_attention(&self, image: &Packed, text: &Packed) -> Vec<Vec<f32>> {
        let last = self.layers() - 1;
        let x = self.before(last, Packed::join(&[text, image]), &Pass::off());
        let all = match self {
            Self::Bert(layers) => layers[last].attention.weights(&x, &x),
            Self::Vit(stack) => stack.blocks[last].weights(&x),
        };
        let lengths = text.lengths.iter().zip(x.lengths.iter());
        let of_pair = |(weights, (&of_text, &length)): (Vec<f32>, (&usize, &usize))| -> Vec<f32> {
            let to_image = weights.chunks_exact(length).take(of_text).map(|row| &row[of_text..]);
            to_image.flat_map(|row| row.iter().map(|weight| weight / row.iter().sum::<f32>())).collect()
        };
        all.into_iter().zip(lengths).map(of_pair).collect()
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        match self {
            Self::Bert(layers) => layers.len(),
            Self::Vit(stack) => stack.blocks.len(),
        }
    }

    /// Runs the layers before the one with this number.
    fn before(&self, last: usize, x: Packed, pass: &Pass) -> Packed {
        pass.enter(NetworkPart::SingleStream);
        (0..last).fold(x, |x, layer| self.run(layer, &x, pass))
    }

    /// Runs the layer with this number, only for the tokens at `places` of each sequence, and the norm behind the last layer.
    fn last_layer(&self, last: usize, x: &Packed, places: &[Vec<usize>], pass: &Pass) -> Packed {
        let normalised = |x: Packed| if last + 1 == self.layers() { self.normalised(x) } else { x };
        let lengths: Vec<usize> = places.iter().map(Vec::len).collect();
        if lengths == *x.lengths {
            return normalised(self.run(last, x, pass));
        }
        let (some, used) = read_tokens(x, places);
        let read = normalised(self.run_some(last, &some, &x.select(used), pass));
        Packed::new(read.tokens, lengths)
    }

    /// Runs one layer.
    fn run(&self, layer: usize, x: &Packed, pass: &Pass) -> Packed {
        match self {
            Self::Bert(layers) => pass.block(&layers[layer], &[x], |layer, x, pass| layer.forward(x[0], pass)),
            Self::Vit(stack) => pass.block(&stack.blocks[layer], &[x], |block, x, pass| block.forward(x[0], pass)),
        }
    }

    /// Runs one layer for some tokens, which attend to the sequences of `x`.
    fn run_some(&self, layer: usize, some: &Packed, x: &Packed, pass: &Pass) -> Packed {
        match self {
            Self::Bert(layers) => {
                pass.block(&layers[layer], &[some, x], |layer, x, pass| layer.forward_some(x[0], x[1], pass))
            }
            Self::Vit(stack) => {
                pass.block(&stack.blocks[layer], &[some, x], |block, x, pass| block.forward_some(x[0], x[1], pass))
            }
        }
    }

    /// Applies the layer norm behind pre-norm blocks.
    fn normalised(&self, x: Packed) -> Packed {
        match self {
            Self::Bert(_) => x,
            Self::Vit(stack) => x.with(stack.norm.forward(x.tokens.clone())),
        }
    }
}
