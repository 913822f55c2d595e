//! The largest sizes of a model. They are far above those of published ones; a damaged file that asks for more is refused before memory is
//! taken.

use super::ensure;
use crate::ModelError;

/// Height and width of images in pixels.
pub const SIZE: usize = 4096;
/// Height and width of a patch in pixels.
pub const PATCH: usize = 512;
/// Width of an encoder or of the fusion.
pub const WIDTH: usize = 16_384;
/// Width of the hidden layer of an MLP.
pub const MLP_WIDTH: usize = 65_536;
/// Number of blocks or layers.
pub const LAYERS: usize = 256;
/// Number of attention heads.
pub const HEADS: usize = 1024;
/// Number of entries of a vocabulary, or of rows of a table of prompts.
pub const ROWS: usize = 4_000_000;
/// Number of position embeddings of texts.
pub const POSITIONS: usize = 1_000_000;

/// Checks that a size is between 1 and its limit.
///
/// # Errors
/// [`ModelError::Config`] with the key, the value and the limit.
pub fn check(key: &str, value: usize, most: usize) -> Result<(), ModelError> {
    ensure((1..=most).contains(&value), key, format!("is {value}; it must be between 1 and {most}"))
}
