//! Masked words, guessed beside their image, beside a wrong one, and without any: how much the image tells.

use ptu_infer::Embedder;
use ptu_input::{Batch, Images, Slot, Texts};
use ptu_kernels::Pass;
use ptu_metrics::Resampling;
use ptu_model::{Read, StandIn};

use crate::EvaluateError;
use crate::gallery::{BATCH, Gallery};
use crate::measure::{Kind, Measure};
use crate::scores::WordScores;

/// What the words of a text are guessed beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageContext {
    /// Its image.
    Own,
    /// The image of another record.
    Wrong,
    /// What stands in for an image.
    Missing(StandIn),
}

/// Every guess of a gallery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guesses {
    /// Whether each was right.
    pub right: Measure,
    /// Minus the natural logarithm of the probability that the right word got; its score is the perplexity.
    pub surprise: Measure,
}

impl Guesses {
    /// Both scores with intervals by patient.
    pub fn scores(&self, gallery: &Gallery, resampling: &Resampling) -> WordScores {
        WordScores {
            accuracy: self.right.score(gallery, resampling),
            perplexity: self.surprise.score(gallery, resampling),
        }
    }
}

/// Guesses the masked words of a gallery; nothing where the model has no head for them.
///
/// # Errors
/// Inputs that do not fit the model.
pub fn guess(embedder: Embedder<'_>, gallery: &Gallery, beside: ImageContext) -> Result<Guesses, EvaluateError> {
    let Embedder { model, products } = embedder;
    let Some(head) = &model.heads.mlm else { return Ok(Guesses::default()) };
    let masked = |row: usize| {
        let labels = gallery.records[row].masked.labels.iter().enumerate();
        labels.filter_map(|(place, label)| Some((place, (*label)?))).collect::<Vec<(usize, u32)>>()
    };
    let asked: Vec<(usize, Vec<(usize, u32)>)> =
        (0..gallery.records.len()).map(|row| (row, masked(row))).filter(|(_, words)| !words.is_empty()).collect();
    let (mut guesses, mut truths) = (Guesses::default(), vec![]);
    for chunk in asked.chunks(BATCH) {
        let batch = batch(gallery, chunk.iter().map(|(row, _)| *row), beside);
        model.check_batch(&batch)?;
        let read: Vec<Read> =
            chunk.iter().map(|(_, words)| Read::Text(words.iter().map(|(place, _)| *place).collect())).collect();
        let stand_in = if let ImageContext::Missing(stand_in) = beside { stand_in } else { StandIn::default() };
        let states = model.forward(&batch, &read, stand_in, products).text.tokens;
        let logits: Vec<f32> = head
            .forward(states, &Pass::off().with(products))
            .inner()
            .into_data()
            .try_into_vec()
            .expect("the model computes in f32");
        let words = chunk.iter().flat_map(|(row, words)| words.iter().map(move |(_, word)| (*row, *word)));
        for ((row, word), logits) in words.zip(logits.chunks_exact(model.config().text.vocabulary)) {
            let (right, surprise) = judge(logits, word as usize);
            guesses.right.rows.push(row);
            guesses.right.values.push(Some(f64::from(u8::from(right))));
            guesses.surprise.values.push(Some(surprise));
            truths.push(word);
        }
    }
    let (most, surprise) = chance(&truths);
    guesses.right.chance = most;
    (guesses.surprise.kind, guesses.surprise.rows) = (Kind::Perplexity, guesses.right.rows.clone());
    guesses.surprise.chance = surprise.map(f64::exp);
    Ok(guesses)
}

fn batch(gallery: &Gallery, rows: impl Iterator<Item = usize> + Clone, beside: ImageContext) -> Batch {
    let records = || rows.clone().map(|row| &gallery.records[row]);
    let texts = Texts::collect(records().map(|record| record.masked.ids.as_slice()));
    let count = texts.count();
    let pairs = |images: Images| Batch {
        pair_images: images,
        pair_texts: texts.clone(),
        order: (0..count).map(Slot::Pair).collect(),
        ..Batch::default()
    };
    match beside {
        ImageContext::Own => pairs(Images::collect(records().map(|record| &record.image))),
        ImageContext::Wrong => {
            pairs(Images::collect(rows.clone().map(|row| &gallery.records[wrong(gallery, row)].image)))
        }
        ImageContext::Missing(_) => {
            Batch { texts: texts.clone(), order: (0..count).map(Slot::Text).collect(), ..Batch::default() }
        }
    }
}

/// The next record whose image and text are others; itself where there is none.
fn wrong(gallery: &Gallery, row: usize) -> usize {
    let (size, own) = (gallery.records.len(), &gallery.records[row]);
    let others = (1..size).map(|step| (row + step) % size);
    let differs = |other: &usize| {
        let other = &gallery.records[*other];
        other.image_hash != own.image_hash && other.text_hash != own.text_hash
    };
    others.into_iter().find(differs).unwrap_or(row)
}

/// Whether a word is the likeliest, and how surprising it is.
fn judge(logits: &[f32], word: usize) -> (bool, f64) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
    let ahead = logits.iter().enumerate().any(|(other, logit)| other != word && *logit >= logits[word]);
    (!ahead, sum.ln() - f64::from(logits[word] - largest))
}

/// Accuracy of always saying the most frequent word, and mean surprise of one who knows how frequent each is.
fn chance(truths: &[u32]) -> (Option<f64>, Option<f64>) {
    let mut counts = std::collections::BTreeMap::new();
    truths.iter().for_each(|word| *counts.entry(word).or_insert(0usize) += 1);
    let shares: Vec<f64> = counts.values().map(|count| *count as f64 / truths.len() as f64).collect();
    let most = shares.iter().copied().reduce(f64::max);
    (most, most.map(|_| shares.iter().map(|share| -share * share.ln()).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_right_only_ahead_of_all_others() {
        let (right, surprise) = judge(&[1.0, 3.0, 1.0], 1);
        assert!(right && (surprise - (1.0 + 2.0 * (-2.0f64).exp()).ln()).abs() < 1e-9);
        assert!(!judge(&[3.0, 3.0], 1).0, "a tie is decided against us");
        assert!(judge(&[1000.0, -1000.0], 1).1.is_finite());
    }

    #[test]
    fn chance_knows_how_frequent_words_are() {
        let (accuracy, surprise) = chance(&[5, 5, 5, 7]);
        assert_eq!(accuracy, Some(0.75));
        assert!((surprise.unwrap() - (0.75f64 * (4.0f64 / 3.0).ln() + 0.25 * 4.0f64.ln())).abs() < 1e-12);
        assert_eq!(chance(&[]), (None, None));
    }
}
