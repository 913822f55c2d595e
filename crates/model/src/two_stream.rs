//! Fusion with an image stream and a text stream that attend to each other (specification, section 1.4).
//!
//! Shapes: `rows` is the number of tokens of all packed sequences of a stream, d is the width.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::Device;
use ptu_kernels::{NetworkPart, Packed, Pass};

use crate::config::FusionConfig;
use crate::layer::CrossLayer;
use crate::pairs::read_tokens;
use crate::{Fused, Pairs, Read};

/// Layers of both streams.
#[derive(Module, Debug)]
pub struct TwoStream {
    /// Layers of the image stream.
    pub image: Vec<CrossLayer>,
    /// Layers of the text stream.
    pub text: Vec<CrossLayer>,
}

impl TwoStream {
    /// A fusion with the configured sizes.
    pub fn new(config: &FusionConfig, device: &Device) -> Self {
        let &FusionConfig { width: d, layers, heads, eps, .. } = config;
        let stream = || (0..layers).map(|_| CrossLayer::new(d, heads, eps, device)).collect();
        Self { image: stream(), text: stream() }
    }

    /// Number of layers of each stream.
    pub fn layers(&self) -> usize {
        self.image.len()
    }

    /// Runs image `i` with text `i` through the first `layers` layers; `read` says which states of each pair are returned.
    ///
    /// # Panics
    /// If the numbers of images, texts and elements of `read` differ, or if a position is out of range.
    pub fn forward(&self, [image, text]: [Packed; 2], read: &[Read], layers: usize, pass: &Pass) -> Fused {
        let (image, text) = self.run_layers(0..layers - 1, image, text, pass);
        self.read(layers - 1, [&image, &text], read, pass)
    }

    /// Like [`Self::forward`], for pairs given by the numbers of their sequences in `images` and `texts`. A sequence may be
    /// in several pairs; its self-attention in the first layer is then computed only once.
    ///
    /// # Panics
    /// As [`Self::forward`], or if the number of a sequence is out of range.
    pub fn forward_pairs(&self, [images, texts]: [&Packed; 2], pairs: &Pairs, layers: usize, pass: &Pass) -> Fused {
        let select = |streams: [&Packed; 2]| {
            [streams[0].select(pairs.images.iter().copied()), streams[1].select(pairs.texts.iter().copied())]
        };
        let [image, text] = select([images, texts]);
        if layers == 1 {
            return self.forward([image, text], &pairs.read, layers, pass);
        }
        pass.enter(NetworkPart::ImageStream);
        let own_images = self_attention(&self.image[0], images, pass);
        pass.enter(NetworkPart::TextStream);
        let own = [own_images, self_attention(&self.text[0], texts, pass)];
        let [own_image, own_text] = select([&own[0], &own[1]]);
        let next = |layer: &CrossLayer, own: &Packed, other: &Packed| {
            pass.block(layer, &[own, other], |layer, x, pass| {
                layer.cross_attention_and_feed_forward(x[0].clone(), x[1], pass)
            })
        };
        let next_text = next(&self.text[0], &own_text, &image);
        pass.enter(NetworkPart::ImageStream);
        let next_image = next(&self.image[0], &own_image, &text);
        let (image, text) = self.run_layers(1..layers - 1, next_image, next_text, pass);
        self.read(layers - 1, [&image, &text], &pairs.read, pass)
    }

    /// Runs image `i` with text `i` through all layers, and the padding of each text, which attends to the text and the image
    /// without being attended to.
    pub fn forward_padded(&self, mut image: Packed, mut text: Packed, padding: Packed, pass: &Pass) -> (Fused, Packed) {
        let mut padding = padding;
        for (of_image, of_text) in self.image.iter().zip(&self.text) {
            padding = run_if_any(&padding, |padding| {
                pass.block(of_text, &[padding, &text, &image], |layer, x, pass| {
                    layer.forward_some(x[0], x[1], x[2], pass)
                })
            });
            let next = run_layer(of_text, &text, &image, pass);
            image = run_layer(of_image, &image, &text, pass);
            text = next;
        }
        (Fused { text, image }, padding)
    }

    /// Runs the layer with this number, the last one, only for the states that are read.
    fn read(&self, last: usize, [image, text]: [&Packed; 2], read: &[Read], pass: &Pass) -> Fused {
        assert!(
            image.count() == text.count() && text.count() == read.len(),
            "the numbers of images, texts and elements of `read` differ: {}, {}, {}",
            image.count(),
            text.count(),
            read.len()
        );
        let places = read.iter().zip(image.lengths.iter().zip(text.lengths.iter()));
        let [image_places, text_places] =
            places.map(|(read, (&image, &text))| read.places(image, text)).fold([vec![], vec![]], |mut all, each| {
                all.iter_mut().zip(each).for_each(|(all, places)| all.push(places));
                all
            });
        pass.enter(NetworkPart::TextStream);
        let of_text = run_last_layer(&self.text[last], text, image, &text_places, pass);
        pass.enter(NetworkPart::ImageStream);
        Fused { text: of_text, image: run_last_layer(&self.image[last], image, text, &image_places, pass) }
    }

    /// Runs the layers with these numbers.
    fn run_layers(&self, layers: Range<usize>, mut image: Packed, mut text: Packed, pass: &Pass) -> (Packed, Packed) {
        for index in layers {
            // In each layer, a stream attends to the other stream's state from before this layer.
            pass.enter(NetworkPart::TextStream);
            let next = run_layer(&self.text[index], &text, &image, pass);
            pass.enter(NetworkPart::ImageStream);
            image = run_layer(&self.image[index], &image, &text, pass);
            text = next;
        }
        (image, text)
    }

    /// Cross-attention weights of each token of a text over the tokens of its image, in the last layer, averaged over heads.
    /// For each pair `[tokens of the text, tokens of the image]`; each row sums to 1.
    pub fn text_attention(&self, image: Packed, text: Packed) -> Vec<Vec<f32>> {
        let last = self.layers() - 1;
        let (image, text) = self.run_layers(0..last, image, text, &Pass::off());
        self.text[last].cross_weights(&text, &image)
    }
}

/// The self-attention of a layer of one stream; it does not depend on the other stream.
fn self_attention(layer: &CrossLayer, own: &Packed, pass: &Pass) -> Packed {
    pass.block(&layer.attention, &[own], |attention, x, pass| attention.self_attention(x[0], pass))
}

/// Runs one layer of one stream.
fn run_layer(layer: &CrossLayer, own: &Packed, other: &Packed, pass: &Pass) -> Packed {
    pass.block(layer, &[own, other], |layer, x, pass| layer.forward(x[0], x[1], pass))
}

/// Runs the last layer of one stream, only for the tokens at `places` of each sequence.
fn run_last_layer(layer: &CrossLayer, own: &Packed, other: &Packed, places: &[Vec<usize>], pass: &Pass) -> Packed {
    let lengths: Vec<usize> = places.iter().map(Vec::len).collect();
    if lengths == *own.lengths {
        return run_layer(layer, own, other, pass);
    }
    let (some, used) = read_tokens(own, places);
    let [own, other] = [own, other].map(|stream| stream.select(used.iter().copied()));
    let run = |layer: &CrossLayer, x: &[&Packed], pass: &Pass| layer.forward_some(x[0], x[1], x[2], pass);
    let read = pass.block(layer, &[&some, &own, &other], run);
    Packed::new(read.tokens, lengths)
}

/// Runs a layer for padding, if there is any.
pub(crate) fn run_if_any(padding: &Packed, run: impl FnOnce(&Packed) -> Packed) -> Packed {
    if padding.tokens.dims()[0] == 0 { padding.clone() } else { run(padding) }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Tensor, TensorData};
    use ptu_random::{Key, Place};

    use super::*;
    use crate::fusion::FusionLayers;
    use crate::{Model, Preset, TextStyle};

    /// If sequences are shared by several pairs, values and gradients are the same as with one copy of a sequence for each pair.
    #[test]
    fn shared_sequences_equal_repeated_ones() {
        for layers in [1, 2, 3] {
            let device = Device::flex().autodiff();
            let mut config = Preset::Tiny.config(TextStyle::Roberta, 50, [0, 2, 1]);
            (config.fusion.layers, config.deviation) = (layers, 0.1);
            let model = Model::new(&config, Key::new(5), &device).unwrap();
            let FusionLayers::TwoStream(streams) = model.fusion.layers else { panic!("the preset has two streams") };
            let d = config.fusion.width;
            let mut stream = Key::new(layers as u64).stream(Place::Sample, 0);
            let mut packed = |lengths: Vec<usize>| {
                let rows: usize = lengths.iter().sum();
                let values: Vec<f32> = (0..rows * d).map(|_| stream.normal() as f32).collect();
                Packed::new(Tensor::from_data(TensorData::new(values, [rows, d]), &device).require_grad(), lengths)
            };
            let (images, texts) = (packed(vec![4, 3]), packed(vec![2, 5, 3]));
            let read = vec![Read::Pooled, Read::Text(vec![1, 2]), Read::All, Read::Pooled];
            let pairs = Pairs { images: vec![0, 1, 0, 1], texts: vec![2, 1, 0, 0], read };
            let host = |x: Tensor<2>| -> Vec<f32> { x.inner().into_data().try_into_vec().unwrap() };
            let run = |fused: Fused| {
                let sum = fused.image.tokens.clone().powf_scalar(3.0).sum()
                    + fused.text.tokens.clone().powf_scalar(3.0).sum();
                let gradients = sum.backward();
                let gradient =
                    |x: &Packed| -> Vec<f32> { x.tokens.grad(&gradients).unwrap().into_data().try_into_vec().unwrap() };
                [host(fused.image.tokens), host(fused.text.tokens), gradient(&images), gradient(&texts)]
            };
            let shared = run(streams.forward_pairs([&images, &texts], &pairs, layers, &Pass::off()));
            let (image, text) =
                (images.select(pairs.images.iter().copied()), texts.select(pairs.texts.iter().copied()));
            let repeated = run(streams.forward([image, text], &pairs.read, layers, &Pass::off()));
            for (shared, repeated) in shared.iter().zip(&repeated) {
                assert_eq!(shared.len(), repeated.len());
                assert!(shared.iter().zip(repeated).all(|(x, y)| (x - y).abs() < 1e-4), "{layers} layers");
            }
        }
    }
}
