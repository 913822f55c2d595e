//! What a file of weights holds.

use std::path::Path;

use crate::error::{ImportError, Part};
use crate::source::Source;
use crate::{bert, checkpoint, image};

/// The parts of a model that a file of weights, or a folder with one, holds: a bundle, a whole checkpoint, or an image encoder, a text
/// encoder or both.
///
/// # Errors
/// When the file cannot be read, or holds several encoders of the same kind.
pub fn parts(path: &Path) -> Result<Vec<Part>, ImportError> {
    let source = Source::open(path)?;
    if source.config["model_type"] == ptu_model::MODEL_TYPE {
        return Ok(vec![Part::Bundle]);
    }
    if checkpoint::author(&source).is_some() {
        return Ok(vec![Part::Whole]);
    }
    let found = [(Part::Image, image::is_image_encoder(&source)?), (Part::Text, bert::prefix(&source)?.is_some())];
    Ok(found.into_iter().filter(|(_, found)| *found).map(|(part, _)| part).collect())
}
