//! Limits of sizes that come from files, checked before anything is computed from them. They are those of a model's configuration.

use ptu_model::ModelError;

/// The largest width of an encoder.
pub(crate) const WIDTH: usize = 16_384;
/// The largest side of a patch in pixels.
pub(crate) const PATCH: usize = 512;
/// The largest side of images in pixels.
pub(crate) const SIZE: usize = 4096;
/// The largest width of the hidden layer of an MLP.
pub(crate) const MLP_WIDTH: usize = 65_536;
/// The most blocks or layers.
pub(crate) const LAYERS: usize = 256;
/// The most entries of a vocabulary.
pub(crate) const VOCABULARY: usize = 4_000_000;
/// The most position embeddings of texts.
pub(crate) const POSITIONS: usize = 1_000_000;

/// Checks that a size is between 1 and its limit.
pub(crate) fn check(key: &str, value: usize, most: usize) -> Result<(), ModelError> {
    match (1..=most).contains(&value) {
        true => Ok(()),
        false => {
            let rule = format!("is {value}; it must be between 1 and {most}");
            Err(ModelError::Config { key: key.into(), rule })
        }
    }
}
