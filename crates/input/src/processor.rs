//! The one way from the bytes of an image, and from a text, to a model's input.

use std::sync::Arc;

use ptu_random::Stream;

use crate::image::transform;
use crate::{Image, Input, InputError, Picture, Preprocess, Text, Tokenizer, Transform, text};

/// Tokenizer and image transforms of a model, without any random step: the same bytes give the same input in evaluation,
/// embedding, search and serving.
#[derive(Clone, Debug)]
pub struct Processor {
    /// Text to tokens.
    pub tokenizer: Arc<Tokenizer>,
    /// Pixels to planes.
    pub transforms: Vec<Transform>,
    /// The most tokens of a text, special ones included; what a longer text has beyond is left out.
    pub max_tokens: usize,
}

/// The bytes of an image file.
#[derive(Clone, Copy, Debug)]
pub struct ImageFile<'a> {
    /// As they were read.
    pub bytes: &'a [u8],
    /// File or record, for messages.
    pub name: &'a str,
}

/// An input, and what became known of it on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Processed {
    /// Image, text or both.
    pub input: Input,
    /// Hash of the picture's pixels, before any transform.
    pub image_hash: Option<u64>,
    /// Hash of the normalised text.
    pub text_hash: Option<u64>,
    /// Whether the text has more tokens than are taken, so that only its beginning is in `input`.
    pub cut: bool,
}

impl Processor {
    /// With the transforms of a [`Preprocess`] that are for everything but training.
    pub fn new(tokenizer: Arc<Tokenizer>, preprocess: &Preprocess, max_tokens: usize) -> Self {
        Self { tokenizer, transforms: preprocess.evaluate.clone(), max_tokens }
    }

    /// An image, a text or both as the model sees them; `None` of neither.
    ///
    /// # Errors
    /// When the image cannot be decoded or the text cannot be tokenised.
    pub fn input(&self, image: Option<ImageFile<'_>>, text: Option<&str>) -> Result<Option<Processed>, InputError> {
        self.input_with(&self.transforms, None, image, text)
    }

    /// [`Self::input`] with other transforms: those of training draw from `stream`.
    ///
    /// # Errors
    /// As there.
    pub fn input_with(
        &self,
        transforms: &[Transform],
        stream: Option<&mut Stream>,
        image: Option<ImageFile<'_>>,
        text: Option<&str>,
    ) -> Result<Option<Processed>, InputError> {
        let image = image.map(|file| planes(transforms, stream, file)).transpose()?;
        let text_hash = text.map(text::text_hash);
        let text = text.map(|text| self.tokens(text)).transpose()?;
        let image_hash = image.as_ref().map(|(_, hash)| *hash);
        let cut = text.as_ref().is_some_and(|(_, cut)| *cut);
        let input = Input::of(image.map(|(image, _)| image), text.map(|(text, _)| text));
        Ok(input.map(|input| Processed { input, image_hash, text_hash, cut }))
    }

    /// [`Self::input`] of an image alone, by the bytes of its file.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn image(&self, file: ImageFile<'_>) -> Result<Image, InputError> {
        Ok(planes(&self.transforms, None, file)?.0)
    }

    /// [`Self::input`] of a text alone.
    ///
    /// # Errors
    /// When it cannot be tokenised.
    pub fn text(&self, text: &str) -> Result<Text, InputError> {
        self.tokenizer.encode(text, self.max_tokens)
    }

    /// Tokens of a text, and whether it has more of them.
    fn tokens(&self, text: &str) -> Result<(Text, bool), InputError> {
        let tokens = self.text(text)?;
        let cut = self.tokenizer.was_cut(text, &tokens, self.max_tokens)?;
        Ok((tokens, cut))
    }
}

/// An image as the model sees it, and the hash of its pixels.
fn planes(
    transforms: &[Transform],
    stream: Option<&mut Stream>,
    ImageFile { bytes, name }: ImageFile<'_>,
) -> Result<(Image, u64), InputError> {
    let picture = Picture::decode(bytes, name)?;
    let hash = picture.content_hash();
    Ok((transform::apply(transforms, picture, stream)?, hash))
}
