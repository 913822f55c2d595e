//! ROUGE: runs of words and longest common subsequences.

use super::compared::{Compared, TextScores};
use super::ngram::counts;
use super::porter::porter_stem;
use super::subsequence::longest_common;
use std::hash::Hash;

/// The tokens of `rouge_score` 0.1.2: lower-cased runs of `a` to `z` and digits, everything else separates; `stemmed`:
/// words of more than three letters as their [`porter_stem`] (`use_stemmer=True`).
pub fn rouge_tokens(text: &str, stemmed: bool) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| if stemmed && word.len() > 3 { porter_stem(word) } else { word.to_owned() }).collect()
}

/// The harmonic mean of precision and recall: 0 if both are 0.
fn f_score(found: usize, hypothesis: usize, reference: usize) -> f64 {
    let (precision, recall) = (found as f64 / hypothesis.max(1) as f64, found as f64 / reference.max(1) as f64);
    if found == 0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) }
}

/// For each text the score of the reference with the highest.
fn best<T>(texts: &[Compared<'_, T>], score: impl Fn(&[T], &[T]) -> f64) -> TextScores {
    let of_text = |text: &Compared<'_, T>| {
        text.references.iter().map(|reference| score(text.hypothesis, reference)).reduce(f64::max)
    };
    TextScores::of_texts(texts.iter().map(of_text).collect())
}

/// ROUGE-n (Lin 2004), F with equal weight of precision and recall, as `rouge_score` 0.1.2 on [`rouge_tokens`]: of
/// several references the one with the highest F counts (`score_multi`). The corpus value is the mean over texts.
///
/// A text without a reference is `None`. Without a run of `n` words on one side, the score is 0.
///
/// # Panics
/// If `n` is 0.
pub fn rouge_n<T: Ord>(texts: &[Compared<'_, T>], n: usize) -> TextScores {
    best(texts, |hypothesis, reference| {
        let (guessed, right) = (counts(hypothesis, n), counts(reference, n));
        let found = guessed.iter().map(|(run, count)| *count.min(right.get(run).unwrap_or(&0))).sum();
        f_score(found, guessed.values().sum(), right.values().sum())
    })
}

/// ROUGE-L (Lin 2004), F with equal weight of precision and recall over the longest common subsequence of the whole
/// texts, as `rougeL` of `rouge_score` 0.1.2 on [`rouge_tokens`] (not `rougeLsum`); several references and the corpus
/// as in [`rouge_n`].
///
/// A text without a reference is `None`. An empty text on either side scores 0.
pub fn rouge_l<T: Eq + Hash>(texts: &[Compared<'_, T>]) -> TextScores {
    best(texts, |hypothesis, reference| {
        f_score(longest_common(hypothesis, reference), hypothesis.len(), reference.len())
    })
}

/// ROUGE-L as `Rouge` of `pycocoevalcap` 1.2 for captions and reports, on [`ptb_tokens`](super::ptb_tokens): F with
/// beta 1.2 of the highest precision and the highest recall over the references. The corpus value is the mean over
/// texts.
///
/// A text without a reference is `None`. An empty hypothesis scores 0 (`pycocoevalcap` gives 1 if a reference is empty
/// too).
pub fn rouge_l_caption<T: Eq + Hash>(texts: &[Compared<'_, T>]) -> TextScores {
    const BETA: f64 = 1.2;
    let of_text = |text: &Compared<'_, T>| {
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        let shares = text.references.iter().map(|reference| {
            let common = longest_common(text.hypothesis, reference);
            (share(common, text.hypothesis.len()), share(common, reference.len()))
        });
        let (precision, recall) = shares.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))?;
        let divisor = recall + BETA * BETA * precision;
        Some(if divisor > 0.0 { (1.0 + BETA * BETA) * precision * recall / divisor } else { 0.0 })
    };
    TextScores::of_texts(texts.iter().map(of_text).collect())
}
