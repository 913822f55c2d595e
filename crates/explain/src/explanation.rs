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
    /// The score of the baseline: the sum of all parts is close to the score minus this one. `None` for attention, which has no such sum.
    pub baseline: Option<f32>,
}

impl Explanation {
    /// The sum of all parts, and how far it is from the score minus that of the baseline; `None` for attention.
    pub fn sum_and_gap(&self) -> Option<(f32, f32)> {
        let sum: f32 = self.patches.iter().chain(&self.tokens).flatten().sum();
        Some((sum, (sum - (self.score - self.baseline?)).abs()))
    }
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
