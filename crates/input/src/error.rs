//! What can be wrong with an image, a text or a tokenizer.

use std::io;
use std::path::PathBuf;

use crate::FileForm;

/// Why an input could not be prepared: which file or record, the cause, and the cure where one is known.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// No bytes.
    #[error("image `{name}` is empty (0 bytes); fetch it again or leave its record out")]
    EmptyImage {
        /// File or record.
        name: String,
    },
    /// The bytes are of another form than those that are read.
    #[error("image `{name}` is {form}, which is not read (PNG, JPEG, TIFF and WebP are): {}", form.cure())]
    NotAnImage {
        /// File or record.
        name: String,
        /// What the first bytes say.
        form: FileForm,
    },
    /// The picture is of a kind that no decoder here reads.
    #[error("image `{name}` is of a kind that is not read ({cause}); save it as 8- or 16-bit PNG")]
    UnsupportedImage {
        /// File or record.
        name: String,
        /// What the decoder says.
        cause: String,
    },
    /// Width or height is 0.
    #[error("image `{name}` has no pixels ({width} x {height}); leave its record out")]
    NoPixels {
        /// File or record.
        name: String,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// Larger than the limits of [`crate::image::MAX_SIDE`] and [`crate::image::MAX_PIXELS`].
    #[error("image `{name}` is too large ({size}); at most 32768 pixels a side and 100 million in all: shrink it")]
    ImageTooLarge {
        /// File or record.
        name: String,
        /// Its size, or the limit that a decoder met.
        size: String,
    },
    /// The file ends early.
    #[error("image `{name}` is truncated ({cause}); fetch it again or leave its record out")]
    TruncatedImage {
        /// File or record.
        name: String,
        /// Where it ends.
        cause: String,
    },
    /// The decoder found damage.
    #[error("image `{name}` is damaged ({cause}); fetch it again or leave its record out")]
    BrokenImage {
        /// File or record.
        name: String,
        /// What the decoder says.
        cause: String,
    },
    /// A list of transforms that cannot work.
    #[error("the list of image transforms cannot be used: {cause}")]
    Transforms {
        /// Which step, and what to change.
        cause: String,
    },
    /// A picture that a step cannot take.
    #[error("a picture of {width} x {height} pixels cannot go through `{step}`: {cause}")]
    Unfit {
        /// Pixels.
        width: usize,
        /// Pixels.
        height: usize,
        /// Name of the step.
        step: &'static str,
        /// Why, and the cure.
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
    /// A tokenizer file that is too large to be one.
    #[error("`{path}` has {bytes} bytes, too many for a tokenizer (at most {limit}); is it the right file?")]
    TokenizerTooLarge {
        /// File.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A folder without tokenizer files.
    #[error(
        "no tokenizer in `{folder}`: put `tokenizer.json`, or `vocab.json` with `merges.txt`, or `vocab.txt` there"
    )]
    NoTokenizer {
        /// Folder.
        folder: PathBuf,
    },
    /// A tokenizer file that is damaged or of a kind that is not known.
    #[error("the tokenizer of {origin} cannot be used: {cause}")]
    Tokenizer {
        /// The file in backticks, or where else it comes from.
        origin: String,
        /// Cause and cure.
        cause: String,
    },
    /// The tokenizer failed on a text.
    #[error("a text of {bytes} bytes cannot be tokenised: {cause}")]
    Encode {
        /// Bytes of the text.
        bytes: usize,
        /// Cause.
        cause: String,
    },
    /// Ids that are no tokens.
    #[error("cannot decode token id {id}: the vocabulary has {size}; do weights and tokenizer belong together?")]
    UnknownId {
        /// The first such id.
        id: u32,
        /// Tokens there are.
        size: usize,
    },
}
