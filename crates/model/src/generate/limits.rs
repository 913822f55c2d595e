//! Limits of every strategy: length and repetition.

/// The special tokens, the limits of the length, and the limit of repetition.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The first token of every text.
    pub start: u32,
    /// The token that ends a text.
    pub end: u32,
    /// The largest number of tokens.
    pub max_length: usize,
    /// No end token before this many tokens.
    pub min_length: usize,
    /// No sequence of this many tokens occurs twice; 0 for no limit.
    pub no_repeat_ngram_size: usize,
}

impl Limits {
    /// Sets the scores of the tokens that may not follow `ids` to minus infinity, and those that are not a number too: a token
    /// without a score cannot be chosen.
    pub fn apply(&self, ids: &[u32], scores: &mut [f64]) {
        scores.iter_mut().filter(|score| score.is_nan()).for_each(|score| *score = f64::NEG_INFINITY);
        let mut ban = |token: u32| {
            if let Some(score) = scores.get_mut(token as usize) {
                *score = f64::NEG_INFINITY;
            }
        };
        if ids.len() < self.min_length {
            ban(self.end);
        }
        let n = self.no_repeat_ngram_size;
        if n > 0 && ids.len() >= n {
            // The next token would complete a sequence that starts with the last n - 1 tokens.
            let last = &ids[ids.len() + 1 - n..];
            ids.windows(n).filter(|window| window.starts_with(last)).for_each(|window| ban(window[n - 1]));
        }
    }

    /// Whether a text ends with this many tokens, of which this is the last.
    pub fn ends(&self, length: usize, last: u32) -> bool {
        last == self.end || length >= self.max_length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_sequences_are_banned() {
        let banned = |n: usize, ids: &[u32]| {
            let limits = Limits { start: 0, end: 1, max_length: 99, min_length: 0, no_repeat_ngram_size: n };
            let mut scores = vec![0.0; 8];
            limits.apply(ids, &mut scores);
            (0..8).filter(|token| scores[*token] == f64::NEG_INFINITY).collect::<Vec<usize>>()
        };
        assert_eq!(banned(2, &[0, 5, 6, 5]), [6]);
        assert_eq!(banned(2, &[0, 5, 5, 5]), [5]);
        assert_eq!(banned(3, &[0, 5, 6, 7, 5, 6, 4, 5, 6]), [4, 7]);
        assert_eq!(banned(1, &[0, 5, 6]), [0, 5, 6]);
        assert!(banned(0, &[0, 5, 6, 5]).is_empty() && banned(4, &[0, 5, 6]).is_empty());
        // A token beyond the vocabulary cannot be chosen anyway.
        assert!(banned(2, &[0, 5, 99, 5]).is_empty());
    }

    #[test]
    fn the_end_token_waits_for_the_smallest_length() {
        let limits = Limits { start: 0, end: 1, max_length: 5, min_length: 3, no_repeat_ngram_size: 0 };
        let first = |ids: &[u32]| {
            let mut scores = vec![1.0, 2.0, f64::NAN];
            limits.apply(ids, &mut scores);
            scores
        };
        assert_eq!(first(&[0, 0]), [1.0, f64::NEG_INFINITY, f64::NEG_INFINITY]);
        assert_eq!(first(&[0, 0, 0]), [1.0, 2.0, f64::NEG_INFINITY]);
        assert!(limits.ends(2, 1) && limits.ends(5, 0) && !limits.ends(4, 0));
    }
}
