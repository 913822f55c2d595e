//! Errors of explanations.

use ptu_infer::InferError;
use ptu_model::ModelError;

/// The reason why a score cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The model cannot be used, or an input does not fit it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The description of its task cannot be used.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The model has no such score.
    #[error("{0}")]
    Goal(String),
}
