//! Image-text matching (ITM) scores of any pairs of images and texts. Each image and each text is encoded once; the fusion then
//! sees both inputs of each pair.

use std::borrow::Borrow;

use burn::tensor::Tensor;
use ptu_input::{Batch, Image, Images, Text, Texts};
use ptu_kernels::{ComputePrecision, Packed, Pass};
use ptu_model::forward::{Encoded, FusedPair};
use ptu_model::layer::Linear;
use ptu_model::{Model, ModelError, Read};

use crate::Embedder;

/// Encoded images and texts. Memory grows with their number, so many candidates should be ranked in several groups.
pub struct Matcher<'a> {
    model: &'a Model,
    head: &'a Linear,
    encoded: Encoded,
    precision: ComputePrecision,
}

impl<'a> Matcher<'a> {
    /// Encodes images and texts, `batch` at a time, with the precision of the embedder.
    ///
    /// # Errors
    /// If the model has no ITM head, or inputs do not fit the model ([`Model::check_batch`]).
    ///
    /// # Panics
    /// If there is no image or no text.
    pub fn new(embedder: Embedder<'a>, images: &[&Image], texts: &[&Text], batch: usize) -> Result<Self, ModelError> {
        Self::of_batches(embedder, images.chunks(batch.max(1)).map(|images| Ok(images.to_vec())), texts, batch)
    }

    /// As [`Matcher::new`], with images that come in batches, so that the pixels of one batch only are in memory.
    ///
    /// # Errors
    /// As [`Matcher::new`]; and the first error among `images`.
    ///
    /// # Panics
    /// As [`Matcher::new`].
    pub fn of_batches<I: Borrow<Image>, E: From<ModelError>>(
        embedder: Embedder<'a>,
        images: impl IntoIterator<Item = Result<Vec<I>, E>>,
        texts: &[&Text],
        batch: usize,
    ) -> Result<Self, E> {
        let Embedder { model, precision } = embedder;
        let head = model.heads.itm.as_ref().ok_or(ModelError::NoHead { head: "matching (itm)" })?;
        let (mut encoded_images, mut encoded_texts, pass) = (vec![], vec![], Pass::off().with(precision));
        for images in images {
            let images = Images::collect(images?.iter().map(Borrow::borrow));
            let checked = Batch { images, ..Batch::default() };
            model.check_batch(&checked)?;
            encoded_images.push(model.encode_image(&model.embed_image(&checked.images, &pass), &pass));
        }
        for chunk in texts.chunks(batch.max(1)) {
            let texts = Texts::collect(chunk.iter().map(|text| text.ids.as_slice()));
            let checked = Batch { texts, ..Batch::default() };
            model.check_batch(&checked)?;
            encoded_texts.push(model.encode_text(model.embed_text(&checked.texts, &pass), &pass));
        }
        let encoded = Encoded::of(Packed::cat(&encoded_images), Packed::cat(&encoded_texts));
        Ok(Self { model, head, encoded, precision })
    }

    /// Log-odds that the image and the text of each pair belong together, computed for `batch` pairs at a time. A pair is (image,
    /// text), each by its position in the list that was given to [`Matcher::new`].
    pub fn scores(&self, pairs: &[(usize, usize)], batch: usize) -> Vec<f32> {
        let (mut scores, pass) = (Vec::with_capacity(pairs.len()), Pass::off().with(self.precision));
        for chunk in pairs.chunks(batch.max(1)) {
            let pairs: Vec<FusedPair> =
                chunk.iter().map(|&(image, text)| FusedPair::both(image, text, Read::Pooled)).collect();
            let fused = self.model.fuse(&self.encoded.part(&pairs), &pairs, &pass);
            let logits: Tensor<2> = self.head.forward(self.model.pool(&fused, 0..chunk.len()), &pass);
            let logits: Vec<f32> = logits.inner().into_data().try_into_vec().expect("the model computes in f32");
            scores.extend(logits.chunks_exact(2).map(|pair| pair[1] - pair[0]));
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_input::Slot;
    use ptu_model::{ModelConfig, Preset, TextStyle};
    use ptu_random::{Key, Place};

    use super::*;

    fn config() -> ModelConfig {
        let mut config = Preset::Tiny.config(TextStyle::Roberta, 50, [0, 2, 1]);
        config.image.size = 32;
        config
    }

    fn inputs() -> (Vec<Image>, Vec<Text>) {
        let mut stream = Key::new(4).stream(Place::Sample, 0);
        let mut image = || Image::new(32, (0..3 * 32 * 32).map(|_| stream.normal() as f32).collect());
        let text = |words: &[u32]| Text { ids: [&[0], words, &[2]].concat(), words: vec![] };
        (vec![image(), image(), image()], vec![text(&[7]), text(&[8, 9, 10, 11])])
    }

    #[test]
    fn scores_equal_those_of_the_whole_model() {
        let (config, (images, texts)) = (config(), inputs());
        let model = Model::new(&config, Key::new(1), &Device::flex()).unwrap();
        let (images, texts): (Vec<&Image>, Vec<&Text>) = (images.iter().collect(), texts.iter().collect());
        let matcher = Matcher::new(Embedder::new(&model), &images, &texts, 2).unwrap();
        let pairs = [(2, 0), (0, 1), (2, 1), (1, 0), (0, 0)];
        let scores = matcher.scores(&pairs, 2);
        for (score, (image, text)) in scores.iter().zip(pairs) {
            let batch = Batch {
                pair_images: Images::collect([images[image]]),
                pair_texts: Texts::collect([texts[text].ids.as_slice()]),
                order: vec![Slot::Pair(0)],
                ..Batch::default()
            };
            let head = model.heads.itm.as_ref().unwrap();
            let logits = head.forward(model.features(&batch, ComputePrecision::F32).unwrap(), &Pass::off()).into_data();
            let logits: Vec<f32> = logits.try_into_vec().unwrap();
            assert!((score - (logits[1] - logits[0])).abs() < 1e-5, "{score} {logits:?}");
        }
        assert!(scores.iter().any(|score| (score - scores[0]).abs() > 1e-4), "{scores:?}");
    }

    #[test]
    fn inputs_that_do_not_fit_the_model_are_refused() {
        let (mut config, (images, texts)) = (config(), inputs());
        let model = Model::new(&config, Key::new(1), &Device::flex()).unwrap();
        let error = |model: &Model, text: &Text| {
            Matcher::new(Embedder::new(model), &[&images[0]], &[text], 1).err().unwrap().to_string()
        };
        let unknown = Text { ids: vec![0, 60, 2], words: vec![] };
        assert!(error(&model, &unknown).contains("60"));
        config.heads = vec![ptu_model::HeadKind::Itc];
        let model = Model::new(&config, Key::new(1), &Device::flex()).unwrap();
        assert!(error(&model, &texts[0]).contains("matching (itm)"));
    }
}
