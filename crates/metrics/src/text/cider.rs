//! CIDEr, weights of runs of words by how rare they are.

use super::compared::{Compared, TextScores};
use super::ngram::counts;
use std::collections::BTreeMap;

/// Longest run of words that is compared.
const LONGEST: usize = 4;

/// Width of the penalty for a difference in length, in words.
const SIGMA: f64 = 6.0;

/// How many texts have a run in one of their references, for each length of runs.
type Frequencies<'a, T> = [BTreeMap<&'a [T], usize>; LONGEST];

/// The weights of all runs of a text.
struct Weights<'a, T> {
    /// For each length of runs, their weights.
    weights: [BTreeMap<&'a [T], f64>; LONGEST],
    /// The Euclidean norm of the weights.
    norms: [f64; LONGEST],
    /// Number of pairs of words, which stands for the length.
    length: usize,
}

impl<'a, T: Ord> Weights<'a, T> {
    fn new(tokens: &'a [T], frequencies: &Frequencies<'_, T>, texts: usize) -> Self {
        let logarithm = (texts as f64).ln();
        let weights: [BTreeMap<&[T], f64>; LONGEST] = std::array::from_fn(|n| {
            let weight = |run: &[T], count: usize| {
                let frequency = frequencies[n].get(run).copied().unwrap_or(0).max(1);
                count as f64 * (logarithm - (frequency as f64).ln())
            };
            counts(tokens, n + 1).into_iter().map(|(run, count)| (run, weight(run, count))).collect()
        });
        let norms = std::array::from_fn(|n| weights[n].values().map(|weight| weight * weight).sum::<f64>().sqrt());
        Self { weights, norms, length: tokens.len().saturating_sub(1) }
    }

    /// Mean over the lengths of runs of the similarity to a reference.
    fn similarity(&self, reference: &Self) -> f64 {
        let difference = self.length as f64 - reference.length as f64;
        let penalty = (-difference * difference / (2.0 * SIGMA * SIGMA)).exp();
        let similarity = |n: usize| {
            let product = |(run, weight): (&&[T], &f64)| {
                reference.weights[n].get(run).map_or(0.0, |other| weight.min(*other) * other)
            };
            let product: f64 = self.weights[n].iter().map(product).sum();
            let norms = self.norms[n] * reference.norms[n];
            (if norms == 0.0 { 0.0 } else { product / norms }) * penalty
        };
        (0..LONGEST).map(similarity).sum::<f64>() / LONGEST as f64
    }
}

fn frequencies<'a, T: Ord>(texts: &[Compared<'a, T>]) -> Frequencies<'a, T> {
    std::array::from_fn(|n| {
        let mut last: BTreeMap<&[T], (usize, usize)> = BTreeMap::new();
        for (place, text) in texts.iter().enumerate() {
            for run in text.references.iter().flat_map(|reference| reference.windows(n + 1)) {
                let (count, seen) = last.entry(run).or_insert((0, usize::MAX));
                if *seen != place {
                    (*count, *seen) = (*count + 1, place);
                }
            }
        }
        last.into_iter().map(|(run, (count, _))| (run, count)).collect()
    })
}

/// CIDEr (Vedantam et al. 2015) as `Cider` of `pycocoevalcap` 1.2 (there also called CIDEr-D, without its stemming):
/// runs of one to four words are weighed by count times ln(texts / texts with the run in a reference); the score is 10
/// times the mean over references and lengths of runs of the cosine of hypothesis and reference, weights of the
/// hypothesis clipped to those of the reference, times exp(-d^2 / 72) for a difference of d words. The corpus value is
/// the mean over texts.
///
/// A text without a reference is `None`. All are `None` where fewer than two texts have references: every weight would
/// be ln 1 = 0 (`pycocoevalcap` gives 0). An empty hypothesis scores 0.
pub fn cider<T: Ord>(texts: &[Compared<'_, T>]) -> TextScores {
    let scored = texts.iter().filter(|text| !text.references.is_empty()).count();
    if scored < 2 {
        return TextScores { texts: vec![None; texts.len()], corpus: None };
    }
    let frequencies = frequencies(texts);
    let score = |text: &Compared<'_, T>| {
        let hypothesis = Weights::new(text.hypothesis, &frequencies, scored);
        let references = text.references.iter().map(|reference| Weights::new(reference, &frequencies, scored));
        let sum: f64 = references.map(|reference| hypothesis.similarity(&reference)).sum();
        (!text.references.is_empty()).then(|| 10.0 * sum / text.references.len() as f64)
    };
    TextScores::of_texts(texts.iter().map(score).collect())
}
