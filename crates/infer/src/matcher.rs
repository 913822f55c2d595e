//! Scores of how well images and texts fit each other, by the image-text matching (ITM) head or by the retrieval head. Each image and
//! each text is encoded once; the fusion then sees both inputs of each pair. [`MatchModel`] reads a bundle and takes bytes and texts.

mod model;

use std::borrow::Borrow;

use burn::tensor::Tensor;
use ptu_input::{Batch, Image, Images, Text, Texts};
use ptu_kernels::{ComputePrecision, Packed, Pass};
use ptu_model::forward::{Encoded, FusedPair};
use ptu_model::layer::Linear;
use ptu_model::{Model, ModelError, Read};

use crate::Embedder;

pub use model::{MatchKind, MatchModel, MatchScore, RecordMatches, TextMatch};

/// Encoded images and texts. Memory grows with their number, so many candidates should be ranked in several groups.
pub struct Matcher<'a> {
    model: &'a Model,
    head: MatchHead<'a>,
    encoded: Encoded,
    precision: ComputePrecision,
}

/// The head that scores fused pairs.
#[derive(Clone, Copy)]
enum MatchHead<'a> {
    /// Two logits; index 1 means that the image and the text belong together.
    Itm(&'a Linear),
    /// One score.
    Retrieval(&'a Linear),
}

impl<'a> MatchHead<'a> {
    /// The retrieval head if the model has one, else the ITM head.
    fn of(model: &'a Model) -> Result<Self, ModelError> {
        let retrieval = model.heads.retrieval.as_ref().map(Self::Retrieval);
        let head = retrieval.or(model.heads.itm.as_ref().map(Self::Itm));
        head.ok_or(ModelError::NoHead { head: "matching (itm) or retrieval" })
    }

    /// One score for each row of pooled features `[pairs, 2d]`.
    fn scores(self, features: Tensor<2>, pass: &Pass) -> Vec<f32> {
        let (Self::Itm(head) | Self::Retrieval(head)) = self;
        let logits: Vec<f32> =
            head.forward(features, pass).inner().into_data().try_into_vec().expect("the model computes in f32");
        match self {
            Self::Itm(_) => logits.chunks_exact(2).map(|pair| pair[1] - pair[0]).collect(),
            Self::Retrieval(_) => logits,
        }
    }
}

impl<'a> Matcher<'a> {
    /// Encodes images and texts, `batch` at a time, with the precision of the embedder.
    ///
    /// # Errors
    /// If the model has neither an ITM head nor a retrieval head, or inputs do not fit the model ([`Model::check_batch`]).
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
        let head = MatchHead::of(model)?;
        let (mut encoded_images, mut encoded_texts, pass) = (vec![], vec![], Pass::off().with(precision));
        for images in images {
            let images = Images::collect(images?.iter().map(Borrow::borrow));
            let checked = Batch { images, ..Batch::default() };
            model.check_batch(&checked)?;
            encoded_images.push(model.image_sequences(&checked.images, &pass));
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

    /// The score of each pair, computed for `batch` pairs at a time: larger for a better fit. It is that of the retrieval head if the model
    /// has one; else the log-odds, by the ITM head, that the image and the text belong together. A pair is (image, text), each by its
    /// position in the list that was given to [`Matcher::new`].
    pub fn scores(&self, pairs: &[(usize, usize)], batch: usize) -> Vec<f32> {
        let (mut scores, pass) = (Vec::with_capacity(pairs.len()), Pass::off().with(self.precision));
        for chunk in pairs.chunks(batch.max(1)) {
            let pairs: Vec<FusedPair> =
                chunk.iter().map(|&(image, text)| FusedPair::both(image, text, Read::Pooled)).collect();
            let fused = self.model.fuse(&self.encoded.part(&pairs), &pairs, &pass);
            scores.extend(self.head.scores(self.model.pool(&fused, 0..chunk.len()), &pass));
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_input::Slot;
    use ptu_model::{HeadKind, ModelConfig, Preset, TextStyle};
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
        let retrieval = ModelConfig { heads: vec![HeadKind::Itm, HeadKind::Retrieval], ..config() };
        for config in [config(), retrieval] {
            scores_of_the_whole_model(&config);
        }
    }

    fn scores_of_the_whole_model(config: &ModelConfig) {
        let (images, texts) = inputs();
        let model = Model::new(config, Key::new(1), &Device::flex()).unwrap();
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
            let features = model.features(&batch, ComputePrecision::F32).unwrap();
            let (head, is_retrieval) = match (&model.heads.retrieval, &model.heads.itm) {
                (Some(head), _) => (head, true),
                (None, head) => (head.as_ref().unwrap(), false),
            };
            let logits: Vec<f32> = head.forward(features, &Pass::off()).into_data().try_into_vec().unwrap();
            let wanted = if is_retrieval { logits[0] } else { logits[1] - logits[0] };
            assert!((score - wanted).abs() < 1e-5, "{score} {logits:?}");
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
        config.heads = vec![HeadKind::Itc];
        let model = Model::new(&config, Key::new(1), &Device::flex()).unwrap();
        assert!(error(&model, &texts[0]).contains("matching (itm)"));
    }
}
