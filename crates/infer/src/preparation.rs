//! How records become inputs of a model at work.

use std::sync::Arc;

use ptu_data::Preparation;
use ptu_model::Bundle;

/// The preparation of records for a bundle: its tokenizer, its transforms, and the longest text that it reads.
pub fn preparation(bundle: &Bundle) -> Preparation {
    Preparation::new(Arc::clone(&bundle.tokenizer), bundle.preprocess.clone(), bundle.max_tokens)
}
