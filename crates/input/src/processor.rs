//! [`Processor`]: turns the bytes of an image and a text into the input of a model. All programs use it.

use std::sync::Arc;

use ptu_random::Stream;

use crate::image::transform;
use crate::{Image, Input, InputError, Picture, Preprocess, Text, Tokenizer, Transform, text};

/// The tokenizer and the image transforms of a model, without random steps. The same bytes give the same input in evaluation,
/// embedding, search and serving.
#[derive(Clone, Debug)]
pub struct Processor {
    /// Turns a text into tokens.
    pub tokenizer: Arc<Tokenizer>,
    /// Turn pixels into input planes.
    pub transforms: Vec<Transform>,
    /// The largest number of tokens of a text, including special tokens. Longer texts are truncated at their end.
    pub max_tokens: usize,
}

/// The bytes of an image file.
#[derive(Clone, Copy, Debug)]
pub struct ImageFile<'a> {
    /// The bytes of the file.
    pub bytes: &'a [u8],
    /// The file or record, for messages.
    pub name: &'a str,
}

/// An input, and hashes of its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Processed {
    /// Image, text or both.
    pub input: Input,
    /// Hash of the pixels of the image, before any transform.
    pub image_hash: Option<u64>,
    /// Hash of the normalised text.
    pub text_hash: Option<u64>,
    /// Whether the text was truncated, so that only its beginning is in `input`.
    pub cut: bool,
}

impl Processor {
    /// Uses the `evaluate` transforms of a [`Preprocess`].
    pub fn new(tokenizer: Arc<Tokenizer>, preprocess: &Preprocess, max_tokens: usize) -> Self {
        Self { tokenizer, transforms: preprocess.evaluate.clone(), max_tokens }
    }

    /// Turns an image, a text or both into the input of the model; `None` if neither is given.
    ///
    /// # Errors
    /// When the image cannot be decoded or the text cannot be tokenised.
    pub fn input(&self, image: Option<ImageFile<'_>>, text: Option<&str>) -> Result<Option<Processed>, InputError> {
        self.input_with(&self.transforms, None, image, text)
    }

    /// The same as [`Self::input`] with other transforms. The random steps of training transforms use `stream`.
    ///
    /// # Errors
    /// As in [`Self::input`].
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

    /// The input of an image that an image encoder has seen earlier, and of a text if there is one. `image_hash` is the hash of
    /// the pixels.
    ///
    /// # Errors
    /// When the text cannot be tokenised.
    pub fn known_image(&self, image: Image, image_hash: u64, text: Option<&str>) -> Result<Processed, InputError> {
        let processed = self.input(None, text)?;
        let (text_hash, cut) = processed.as_ref().map_or((None, false), |one| (one.text_hash, one.cut));
        let input = match processed.map(|one| one.input) {
            Some(Input::Text(text)) => Input::Pair { image, text },
            _ => Input::Image(image),
        };
        Ok(Processed { input, image_hash: Some(image_hash), text_hash, cut })
    }

    /// The input of an image without text, from the bytes of its file.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn image(&self, file: ImageFile<'_>) -> Result<Image, InputError> {
        Ok(planes(&self.transforms, None, file)?.0)
    }

    /// The input of a text without image.
    ///
    /// # Errors
    /// When it cannot be tokenised.
    pub fn text(&self, text: &str) -> Result<Text, InputError> {
        self.tokenizer.encode(text, self.max_tokens)
    }

    /// The input of two sentences as a pair of the tokenizer, without image.
    ///
    /// # Errors
    /// When they cannot be tokenised, or the largest number of tokens leaves no room for both.
    pub fn sentences(&self, first: &str, second: &str) -> Result<Processed, InputError> {
        let text = self.tokenizer.encode_pair(first, second, self.max_tokens)?;
        let longer = |tokens: &Text| tokens.ids.len() > self.max_tokens;
        let cut = text.ids.len() >= self.max_tokens
            && longer(&self.tokenizer.encode_pair(first, second, self.max_tokens.saturating_add(1))?);
        let text_hash = Some(text::text_hash(&format!("{first}\n{second}")));
        Ok(Processed { input: Input::Text(text), image_hash: None, text_hash, cut })
    }

    /// The tokens of a text, and whether it was truncated.
    fn tokens(&self, text: &str) -> Result<(Text, bool), InputError> {
        let tokens = self.text(text)?;
        let cut = self.tokenizer.was_cut(text, &tokens, self.max_tokens)?;
        Ok((tokens, cut))
    }
}

/// Decodes and transforms an image; also returns the hash of its pixels.
fn planes(
    transforms: &[Transform],
    stream: Option<&mut Stream>,
    ImageFile { bytes, name }: ImageFile<'_>,
) -> Result<(Image, u64), InputError> {
    let picture = Picture::decode(bytes, name)?;
    let hash = picture.content_hash();
    Ok((transform::apply(transforms, picture, stream)?, hash))
}
