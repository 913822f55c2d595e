//! What is compared, and what comes out.

use crate::mean::mean;

/// A hypothesis with its references, each as tokens.
#[derive(Debug)]
pub struct Compared<'a, T> {
    /// The generated text; may be empty.
    pub hypothesis: &'a [T],
    /// The texts that would be right; without any the hypothesis has no score.
    pub references: &'a [Vec<T>],
}

/// The scores of all texts and of the corpus. All but CIDEr (0 to 10) lie between 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub struct TextScores {
    /// The score of each text, in their order; `None` for a text without a reference.
    pub texts: Vec<Option<f64>>,
    /// The score of all texts together; `None` if no text has a score.
    pub corpus: Option<f64>,
}

impl TextScores {
    /// Scores whose corpus value is the mean over texts.
    pub(super) fn of_texts(texts: Vec<Option<f64>>) -> Self {
        let corpus = mean(texts.iter().copied());
        Self { texts, corpus }
    }
}
