//! Features of one encoder alone, before the fusion: what a published encoder says of an image or of a text.

use burn::tensor::Tensor;
use ptu_input::{Images, Texts};
use ptu_kernels::{ComputePrecision, Packed, Pass, in_pool};

use crate::{Model, means};

impl Model {
    /// Features of images by the image encoder alone, `[images, 2 * width of the encoder]`: its output for the first token, and the mean of
    /// its outputs for all tokens.
    ///
    /// # Panics
    /// If the images do not have the model's size.
    pub fn image_encoder_features(&self, images: &Images, precision: ComputePrecision) -> Tensor<2> {
        let pass = Pass::off().with(precision);
        in_pool(|| first_and_mean(&self.image.encode(&self.embed_image(images, &pass), &pass)))
    }

    /// Features of texts by the text encoder alone, `[texts, 2 * width of the encoder]`: its output for the first token, and the mean of
    /// its outputs for all tokens.
    ///
    /// # Panics
    /// If a text has more tokens than the model has positions, or a token is not in its vocabulary.
    pub fn text_encoder_features(&self, texts: &Texts, precision: ComputePrecision) -> Tensor<2> {
        let pass = Pass::off().with(precision);
        in_pool(|| first_and_mean(&self.text.encode(self.embed_text(texts, &pass), &pass)))
    }
}

fn first_and_mean(x: &Packed) -> Tensor<2> {
    Tensor::cat(vec![x.first_tokens(0..x.count()), means::of(x)], 1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_random::{Key, Place};

    use super::*;
    use crate::{Preset, TextStyle};

    fn host(x: Tensor<2>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn features_are_the_first_output_and_the_mean() {
        let config = Preset::Tiny.config(TextStyle::Roberta, 50, [0, 2, 1]);
        let model = Model::new(&config, Key::new(3), &Device::flex()).unwrap();
        let (side, d) = (config.image.size, config.image.width);
        let mut stream = Key::new(1).stream(Place::Sample, 0);
        let planes: Vec<f32> = (0..2 * 3 * side * side).map(|_| stream.normal() as f32).collect();
        let images = Images { count: 2, side, planes: planes.clone(), outputs: None };
        let outputs = model.image_outputs(&images, None, ComputePrecision::F32);
        let found = host(model.image_encoder_features(&images, ComputePrecision::F32));
        for (found, values) in found.chunks(2 * d).zip(outputs.values.chunks(outputs.tokens * d)) {
            assert_eq!(found[..d], values[..d]);
            for (place, found) in found[d..].iter().enumerate() {
                let sum: f32 = values.chunks(d).map(|token| token[place]).sum();
                assert!((found - sum / outputs.tokens as f32).abs() < 1e-4);
            }
        }
        // A text in a batch has the features that it has alone.
        let texts = |texts: &[&[u32]]| {
            host(model.text_encoder_features(&Texts::collect(texts.iter().copied()), ComputePrecision::F32))
        };
        let (one, other): (&[u32], &[u32]) = (&[0, 7, 8, 2], &[0, 9, 2]);
        let both = texts(&[one, other]);
        for (alone, together) in [texts(&[one]), texts(&[other])].iter().zip(both.chunks(2 * config.text.width)) {
            assert!(alone.iter().zip(together).all(|(x, y)| (x - y).abs() < 1e-5));
        }
    }
}
