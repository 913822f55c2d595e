//! The errors of images, texts and tokenizers.

use std::io;
use std::path::PathBuf;

use crate::FileForm;

/// The reason why an input could not be prepared: the file or record, the cause and, where one is known, the remedy.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The file has no bytes.
    #[error("image `{name}` is empty (0 bytes); download it again or remove its record")]
    EmptyImage {
        /// File or record.
        name: String,
    },
    /// The bytes have a format that is not supported.
    #[error("image `{name}` is {form}, which is not supported (PNG, JPEG, TIFF and WebP are): {}", form.cure())]
    NotAnImage {
        /// File or record.
        name: String,
        /// The format by the first bytes.
        form: FileForm,
    },
    /// No decoder of this crate supports this kind of image.
    #[error("image `{name}` is of a kind that is not supported ({cause}); save it as 8- or 16-bit PNG")]
    UnsupportedImage {
        /// File or record.
        name: String,
        /// The message of the decoder.
        cause: String,
    },
    /// Width or height is 0.
    #[error("image `{name}` has no pixels ({width} x {height}); remove its record")]
    NoPixels {
        /// File or record.
        name: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The image is larger than [`crate::image::MAX_SIDE`] or [`crate::image::MAX_PIXELS`].
    #[error(
        "image `{name}` is too large ({size}); the limit is 32768 pixels per side and 100 million in total: shrink it"
    )]
    ImageTooLarge {
        /// File or record.
        name: String,
        /// Its size, or the limit that the decoder reported.
        size: String,
    },
    /// The file ends too early.
    #[error("image `{name}` is truncated ({cause}); download it again or remove its record")]
    TruncatedImage {
        /// File or record.
        name: String,
        /// What is missing.
        cause: String,
    },
    /// The decoder found that the file is damaged.
    #[error("image `{name}` is damaged ({cause}); download it again or remove its record")]
    BrokenImage {
        /// File or record.
        name: String,
        /// The message of the decoder.
        cause: String,
    },
    /// A list of transforms is invalid.
    #[error("the list of image transforms cannot be used: {cause}")]
    Transforms {
        /// The step, and what to change.
        cause: String,
    },
    /// A transform step cannot be applied to a picture.
    #[error("the step `{step}` cannot be applied to a picture of {width} x {height} pixels: {cause}")]
    Unfit {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The name of the step.
        step: &'static str,
        /// The reason and the remedy.
        cause: &'static str,
    },
    /// A file could not be read.
    #[error("cannot read `{path}`; check that it exists and may be read")]
    Read {
        /// File or folder.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{path}`; check the folder, its permissions and the free space")]
    Write {
        /// File.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A tokenizer file is larger than any real tokenizer.
    #[error("`{path}` has {bytes} bytes, too many for a tokenizer (at most {limit}); is it the right file?")]
    TokenizerTooLarge {
        /// File.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A folder has no tokenizer files.
    #[error(
        "no tokenizer in `{folder}`: put `tokenizer.json`, or `vocab.json` with `merges.txt`, or `vocab.txt` there"
    )]
    NoTokenizer {
        /// Folder.
        folder: PathBuf,
    },
    /// A tokenizer file is damaged or of an unknown kind.
    #[error("the tokenizer of {origin} cannot be used: {cause}")]
    Tokenizer {
        /// The file in backticks, or words for another origin.
        origin: String,
        /// The cause and the remedy.
        cause: String,
    },
    /// The tokenizer failed on a text.
    #[error("a text of {bytes} bytes cannot be tokenised: {cause}")]
    Encode {
        /// The length of the text in bytes.
        bytes: usize,
        /// Cause.
        cause: String,
    },
    /// A token id is not in the vocabulary.
    #[error("cannot decode token id {id}: the vocabulary has {size} tokens; do weights and tokenizer belong together?")]
    UnknownId {
        /// The first such id.
        id: u32,
        /// The size of the vocabulary.
        size: usize,
    },
}
