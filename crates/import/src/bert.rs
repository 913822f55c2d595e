//! How the text encoder in a file is recognised.

use crate::error::ImportError;
use crate::source::Source;

/// The word embeddings of BERT and RoBERTa.
pub(crate) const WORDS: &str = "embeddings.word_embeddings.weight";
const FIRST_QUERY: &str = "encoder.layer.0.attention.self.query.weight";

/// What stands before the names of the text encoder's weights; `None` if the file has no text encoder.
///
/// # Errors
/// When it has several.
pub(crate) fn prefix(source: &Source) -> Result<Option<String>, ImportError> {
    source.prefix(WORDS, &[FIRST_QUERY])
}
