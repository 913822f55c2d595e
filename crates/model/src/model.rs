//! The network: two encoders, prompts for what is missing, fusion, heads (SPEC 1 and 2).
//!
//! Shapes: b batch, n image tokens, t text tokens, d width of the fusion.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use ptu_input::{Batch, Images, Slot, Texts};
use ptu_random::Key;

use crate::config::{ModelConfig, TextConfig};
use crate::layer::{Dropout, Embedding, Linear, Mask};
use crate::{Chosen, Fusion, Heads, ImageEncoder, ModelError, Prompts, TextEncoder, init};

/// One network for pairs, images alone and texts alone.
#[derive(Module, Debug)]
pub struct Model {
    /// Image encoder.
    pub image: ImageEncoder,
    /// Text encoder.
    pub text: TextEncoder,
    /// Image encoder's width to the fusion's.
    pub image_projection: Linear,
    /// Text encoder's width to the fusion's.
    pub text_projection: Linear,
    /// Row 0 is added to texts, row 1 to images.
    pub modality: Embedding,
    /// Stand in for a missing image.
    pub image_prompts: Prompts,
    /// Stand in for a missing text.
    pub text_prompts: Prompts,
    /// Fusion of both streams.
    pub fusion: Fusion,
    /// Heads.
    pub heads: Heads,
    #[module(skip)]
    text_config: TextConfig,
}

/// Images before the encoder: patches and positions, or a class token and prompts. `[b, n, d_image]`.
#[derive(Clone, Debug)]
pub struct ImageEmbedded(pub Tensor<3>);

/// Texts before the encoder.
#[derive(Clone, Debug)]
pub struct TextEmbedded {
    /// `[b, t, d_text]`.
    pub tokens: Tensor<3>,
    /// Padding; prompts have none.
    pub mask: Option<Mask>,
}

/// Encoded and projected images, `[b, n, d]`.
#[derive(Clone, Debug)]
pub struct ImageTokens(pub Tensor<3>);

/// Encoded and projected texts.
#[derive(Clone, Debug)]
pub struct TextTokens {
    /// `[b, t, d]`.
    pub tokens: Tensor<3>,
    /// Padding; prompts have none.
    pub mask: Option<Mask>,
}

/// Both streams behind the fusion.
#[derive(Clone, Debug)]
pub struct Fused {
    /// `[b, n, d]`.
    pub image: Tensor<3>,
    /// `[b, t, d]`.
    pub text: Tensor<3>,
    /// Pooled first tokens, text first: `[b, 2d]`.
    pub pooled: Tensor<2>,
}

impl Model {
    /// A network with random weights; each is a pure function of the key's seed and the weight's name.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the sizes do not fit each other.
    pub fn new(config: &ModelConfig, key: Key, device: &Device) -> Result<Self, ModelError> {
        Ok(init::fill(Self::empty(config, device)?, key, config.deviation))
    }

    /// A network of zeros, to be loaded into.
    pub(crate) fn empty(config: &ModelConfig, device: &Device) -> Result<Self, ModelError> {
        config.check()?;
        let (image, text, d) = (config.image.width, config.text.width, config.fusion.width);
        Ok(Self {
            image: ImageEncoder::new(&config.image, device),
            text: TextEncoder::new(&config.text, device),
            image_projection: Linear::new(image, d, device),
            text_projection: Linear::new(text, d, device),
            modality: Embedding::new(2, d, device),
            image_prompts: Prompts::new(config.image_prompts, image, text, device),
            text_prompts: Prompts::new(config.text_prompts, text, image, device),
            fusion: Fusion::new(&config.fusion, device),
            heads: Heads::new(config, device),
            text_config: config.text,
        })
    }

    /// The device that holds the weights.
    pub fn device(&self) -> Device {
        self.modality.weight.val().device()
    }

    /// Patches and positions, before the encoder.
    ///
    /// # Panics
    /// If the images have another side than the configuration says ([`crate::check_batch`] tells before).
    pub fn embed_image(&self, images: &Images) -> ImageEmbedded {
        let shape = [images.count, 3, images.side, images.side];
        let pixels = Tensor::from_data(TensorData::new(images.planes.clone(), shape), &self.device());
        ImageEmbedded(self.image.embed(pixels))
    }

    /// Words, positions and types, before the encoder.
    pub fn embed_text(&self, texts: &Texts, dropout: &Dropout) -> TextEmbedded {
        let tokens = self.text.embed(&texts.ids, texts.length, dropout);
        TextEmbedded { tokens, mask: Some(Mask::new(texts.valid.clone(), texts.length)) }
    }

    /// Prompts, chosen by the text that is there, stand in for the image that is not.
    pub fn complete_image(&self, text: &TextEmbedded) -> (ImageEmbedded, Chosen) {
        let b = text.tokens.dims()[0];
        let chosen = match &text.mask {
            Some(mask) => self.image_prompts.choose(&text.tokens, mask.rows().map(Some)),
            None => self.image_prompts.choose(&text.tokens, std::iter::repeat_n(None, b)),
        };
        let class = self.image.class_token(b);
        let tokens = match &chosen.prompts {
            Some(prompts) => Tensor::cat(vec![class, prompts.clone()], 1), //      [b, 1 + k, d_image]
            None => class,
        };
        (ImageEmbedded(tokens), chosen)
    }

    /// Prompts, chosen by the image that is there, stand in for the text that is not.
    pub fn complete_text(&self, image: &ImageEmbedded, dropout: &Dropout) -> (TextEmbedded, Chosen) {
        let b = image.0.dims()[0];
        let chosen = self.text_prompts.choose(&image.0, std::iter::repeat_n(None, b));
        // Start and end are each a sequence of one token; prompts get neither positions nor the embedding's norm.
        let one = |id: u32| self.text.embed(&vec![id; b], 1, dropout); //           [b, 1, d_text]
        let start = one(self.text_config.start);
        let tokens = match &chosen.prompts {
            Some(prompts) => Tensor::cat(vec![start, prompts.clone(), one(self.text_config.end)], 1),
            None => start,
        };
        (TextEmbedded { tokens, mask: None }, chosen)
    }

    /// Through the image encoder and into the fusion's space.
    pub fn encode_image(&self, image: ImageEmbedded) -> ImageTokens {
        ImageTokens(self.image_projection.forward(self.image.encode(image.0)) + self.modality.row(1))
    }

    /// Through the text encoder and into the fusion's space.
    pub fn encode_text(&self, text: TextEmbedded, dropout: &Dropout) -> TextTokens {
        let encoded = self.text.encode(text.tokens, text.mask.as_ref(), dropout);
        TextTokens { tokens: self.text_projection.forward(encoded) + self.modality.row(0), mask: text.mask }
    }

    /// The fusion: both streams attend to each other.
    pub fn fuse(&self, image: ImageTokens, text: TextTokens, dropout: &Dropout) -> Fused {
        let [image, text] = self.fusion.all(image.0, text.tokens, text.mask, dropout);
        Fused { pooled: self.fusion.pool(image.clone(), text.clone()), image, text }
    }

    /// Only the pooled features of the fusion, `[b, 2d]`.
    pub fn fuse_pooled(&self, image: ImageTokens, text: TextTokens, dropout: &Dropout) -> Tensor<2> {
        self.fusion.pooled(image.0, text.tokens, text.mask, dropout)
    }

    /// Only the text stream of the fusion, `[b, t, d]`.
    pub fn fuse_text(&self, image: ImageTokens, text: TextTokens, dropout: &Dropout) -> Tensor<3> {
        self.fusion.text(image.0, text.tokens, text.mask, dropout)
    }

    /// Pooled features `[records, 2d]` of a mixed batch, in the records' order; prompts stand in for what is missing.
    ///
    /// # Errors
    /// When the batch does not fit the model: see [`crate::check_batch`].
    pub fn features(&self, batch: &Batch, config: &ModelConfig) -> Result<Tensor<2>, ModelError> {
        check_batch(batch, config)?;
        let off = Dropout::off();
        let mut groups = vec![];
        if batch.pair_texts.count > 0 {
            let image = self.encode_image(self.embed_image(&batch.pair_images));
            let text = self.encode_text(self.embed_text(&batch.pair_texts, &off), &off);
            groups.push(self.fuse_pooled(image, text, &off));
        }
        if batch.images.count > 0 {
            groups.push(self.image_features(&batch.images));
        }
        if batch.texts.count > 0 {
            groups.push(self.text_features(&batch.texts));
        }
        let (pairs, images) = (batch.pair_texts.count, batch.images.count);
        let rows: Vec<i32> = batch
            .order
            .iter()
            .map(|slot| match *slot {
                Slot::Pair(row) => row as i32,
                Slot::Image(row) => (pairs + row) as i32,
                Slot::Text(row) => (pairs + images + row) as i32,
            })
            .collect();
        let rows: Tensor<1, Int> = Tensor::from_data(TensorData::new(rows, [batch.len()]), &self.device());
        Ok(match groups.is_empty() {
            true => Tensor::zeros([0, 2 * config.fusion.width], &self.device()),
            false => Tensor::cat(groups, 0).select(0, rows),
        })
    }

    /// Pooled features of images alone, `[b, 2d]`.
    pub fn image_features(&self, images: &Images) -> Tensor<2> {
        let off = Dropout::off();
        let embedded = self.embed_image(images);
        let (text, _) = self.complete_text(&embedded, &off);
        self.fuse_pooled(self.encode_image(embedded), self.encode_text(text, &off), &off)
    }

    /// Pooled features of texts alone, `[b, 2d]`.
    pub fn text_features(&self, texts: &Texts) -> Tensor<2> {
        let off = Dropout::off();
        let embedded = self.embed_text(texts, &off);
        let (image, _) = self.complete_image(&embedded);
        self.fuse_pooled(self.encode_image(image), self.encode_text(embedded, &off), &off)
    }
}

/// Checks that a batch fits a model, before anything is computed: image size, text length, token ids.
///
/// # Errors
/// [`ModelError::ImageSize`], [`ModelError::TextTooLong`], [`ModelError::UnknownToken`].
pub fn check_batch(batch: &Batch, config: &ModelConfig) -> Result<(), ModelError> {
    for images in [&batch.pair_images, &batch.images] {
        if images.count > 0 && images.side != config.image.size {
            return Err(ModelError::ImageSize { found: images.side, expected: config.image.size });
        }
    }
    for texts in [&batch.pair_texts, &batch.texts] {
        if texts.length > config.text.longest() {
            return Err(ModelError::TextTooLong { tokens: texts.length, longest: config.text.longest() });
        }
        if let Some(&id) = texts.ids.iter().find(|&&id| id as usize >= config.text.vocabulary) {
            return Err(ModelError::UnknownToken { id, vocabulary: config.text.vocabulary });
        }
    }
    Ok(())
}
