//! The result.

use serde::Serialize;

/// What the parts of one input are worth to a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The score that is explained.
    pub score: f32,
    /// For each patch of the image, row by row; `None` without an image. Their number is a square.
    pub patches: Option<Vec<f32>>,
    /// For each token of the text, with its first and last one; `None` without a text.
    pub tokens: Option<Vec<f32>>,
    /// What stood in for a missing modality; `None` if nothing is missing.
    pub stand_in: Option<StandInRows>,
    /// How far the sum of all parts is from the score minus that of the baseline; `None` for attention, which has no such sum.
    pub gap: Option<f32>,
}

/// The rows of the prompt table that stood in for a missing modality, most similar first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "missing", content = "rows", rename_all = "lowercase")]
pub enum StandInRows {
    /// For an image.
    Image(Vec<usize>),
    /// For a text.
    Text(Vec<usize>),
}
