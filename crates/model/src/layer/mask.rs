//! Which tokens of a padded batch are real.

use std::sync::Arc;

/// Padding of a batch of token sequences, hidden from every attention (SPEC 1).
#[derive(Clone, Debug)]
pub struct Mask {
    valid: Vec<bool>,
    length: usize,
    hidden: Option<Arc<Vec<f32>>>,
}

impl Mask {
    /// `valid` is `[b, length]`, row by row.
    ///
    /// # Panics
    /// If `valid` is no whole number of rows.
    pub fn new(valid: Vec<bool>, length: usize) -> Self {
        assert!(length > 0 && valid.len().is_multiple_of(length), "{} flags are no rows of {length}", valid.len());
        // Without padding nothing need be added to the scores.
        let hidden = valid
            .iter()
            .any(|valid| !valid)
            .then(|| Arc::new(valid.iter().map(|&valid| if valid { 0.0 } else { f32::MIN }).collect()));
        Self { valid, length, hidden }
    }

    /// Tokens of the longest text.
    pub fn length(&self) -> usize {
        self.length
    }

    /// For each row, which tokens are real.
    pub fn rows(&self) -> impl Iterator<Item = &[bool]> {
        self.valid.chunks_exact(self.length)
    }

    /// To be added to attention scores: `[b, k]`, 0 where real and the most negative number where padding; `None` when
    /// nothing is padded.
    pub fn hidden(&self) -> Option<Arc<Vec<f32>>> {
        self.hidden.clone()
    }
}
