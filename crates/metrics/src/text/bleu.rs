//! BLEU with one to four words.

use super::compared::{Compared, TextScores};
use super::ngram::counts;
use std::collections::BTreeMap;
use std::ops::Add;

/// Longest run of words that is compared.
const LONGEST: usize = 4;

/// Added to numbers of found runs, so that a score without any is not quite 0 before the root is taken.
const TINY: f64 = 1e-15;

/// Added to divisors, which may be 0.
const SMALL: f64 = 1e-9;

/// What BLEU counts, for one text or summed over several. Scores of a corpus, or of a resample of it, come from the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BleuCounts {
    /// Words of the hypothesis.
    length: usize,
    /// Words of the reference whose length is closest; of two equally close ones the shorter.
    reference: usize,
    /// Runs of each length in the hypothesis.
    guessed: [usize; LONGEST],
    /// Those of them that are in a reference, each at most as often as in the reference that has it most often.
    found: [usize; LONGEST],
}

impl BleuCounts {
    /// The counts of one text; `None` without a reference.
    pub fn of<T: Ord>(text: &Compared<'_, T>) -> Option<Self> {
        let length = text.hypothesis.len();
        let lengths = text.references.iter().map(Vec::len);
        let reference = lengths.min_by_key(|reference| (reference.abs_diff(length), *reference))?;
        let mut counted = Self { length, reference, ..Self::default() };
        for n in 1..=LONGEST {
            let mut most: BTreeMap<&[T], usize> = BTreeMap::new();
            for (run, count) in text.references.iter().flat_map(|reference| counts(reference, n)) {
                let most = most.entry(run).or_insert(0);
                *most = count.max(*most);
            }
            let found = counts(text.hypothesis, n).into_iter();
            counted.found[n - 1] = found.map(|(run, count)| count.min(most.get(run).copied().unwrap_or(0))).sum();
            counted.guessed[n - 1] = (length + 1).saturating_sub(n);
        }
        Some(counted)
    }

    /// BLEU-1 to BLEU-4.
    /// BLEU-1 to BLEU-4.
    pub fn scores(&self) -> [f64; LONGEST] {
        let ratio = (self.length as f64 + TINY) / (self.reference as f64 + SMALL);
        let brevity = if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 };
        let mut product = 1.0;
        std::array::from_fn(|n| {
            product *= (self.found[n] as f64 + TINY) / (self.guessed[n] as f64 + SMALL);
            product.powf(1.0 / (n as f64 + 1.0)) * brevity
        })
    }
}

impl Add for BleuCounts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.length += other.length;
        self.reference += other.reference;
        for n in 0..LONGEST {
            self.guessed[n] += other.guessed[n];
            self.found[n] += other.found[n];
        }
        self
    }
}

/// BLEU-1 to BLEU-4 (Papineni et al. 2002), of each text and of the corpus, as `Bleu` of `pycocoevalcap` 1.2: the
/// geometric mean of the precisions of runs of up to n words, times exp(1 - r / c) where the hypotheses are shorter (c
/// words) than the references closest in length (r words). The corpus value comes from the sums over texts. 1e-15 and
/// 1e-9 stand against divisions by 0; they let a text with no run of four words found score about 1e-4 in place of 0.
///
/// A text without a reference is `None`; the corpus is `None` if all are. An empty hypothesis scores 0.
pub fn bleu<T: Ord>(texts: &[Compared<'_, T>]) -> [TextScores; LONGEST] {
    let counted: Vec<Option<BleuCounts>> = texts.iter().map(BleuCounts::of).collect();
    let scores: Vec<_> = counted.iter().map(|counts| counts.as_ref().map(BleuCounts::scores)).collect();
    let corpus = counted.into_iter().flatten().reduce(BleuCounts::add).map(|counts| counts.scores());
    std::array::from_fn(|n| TextScores {
        texts: scores.iter().map(|scores| scores.map(|scores| scores[n])).collect(),
        corpus: corpus.map(|scores| scores[n]),
    })
}
