//! Masked words, predicted with the own image, with a wrong image and without an image. The differences show how much the image
//! helps the prediction.

use ptu_infer::Embedder;
use ptu_input::{Batch, Images, Slot, Texts};
use ptu_kernels::Pass;
use ptu_metrics::Resampling;
use ptu_model::{Read, StandIn};

use crate::EvaluateError;
use crate::gallery::{BATCH, Gallery};
use crate::measure::{Aggregation, Measure};
use crate::scores::WordScores;

/// The image that the model sees while it predicts the masked words of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageContext {
    /// The text's own image.
    Own,
    /// The image of another record.
    Wrong,
    /// No image; the stand-in takes its place.
    Missing(StandIn),
}

/// The predictions of all masked words of a gallery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WordPredictions {
    /// Whether each prediction was right.
    pub right: Measure,
    /// Minus the natural logarithm of the probability of the right word; its score is the perplexity.
    pub negative_log_likelihood: Measure,
}

impl WordPredictions {
    /// Both scores with confidence intervals by patient.
    pub fn scores(&self, gallery: &Gallery, resampling: &Resampling) -> WordScores {
        WordScores {
            accuracy: self.right.score(gallery, resampling),
            perplexity: self.negative_log_likelihood.score(gallery, resampling),
        }
    }
}

/// Predicts the masked words of a gallery. The result is empty if the model has no MLM head.
///
/// # Errors
/// If inputs do not fit the model.
pub fn predict(
    embedder: Embedder<'_>,
    gallery: &Gallery,
    context: ImageContext,
) -> Result<WordPredictions, EvaluateError> {
    let Embedder { model, precision } = embedder;
    let Some(head) = &model.heads.mlm else { return Ok(WordPredictions::default()) };
    gallery.encoded.start(model, precision);
    let masked = |row: usize| {
        let labels = gallery.records[row].masked.labels.iter().enumerate();
        labels.filter_map(|(place, label)| Some((place, (*label)?))).collect::<Vec<(usize, u32)>>()
    };
    let masked_rows: Vec<(usize, Vec<(usize, u32)>)> =
        (0..gallery.records.len()).map(|row| (row, masked(row))).filter(|(_, words)| !words.is_empty()).collect();
    let (mut predictions, mut truths) = (WordPredictions::default(), vec![]);
    for chunk in masked_rows.chunks(BATCH) {
        let rows: Vec<usize> = chunk.iter().map(|(row, _)| *row).collect();
        let batch = batch(embedder, gallery, &rows, context)?;
        model.check_batch(&batch)?;
        let read: Vec<Read> =
            chunk.iter().map(|(_, words)| Read::Text(words.iter().map(|(place, _)| *place).collect())).collect();
        let stand_in = if let ImageContext::Missing(stand_in) = context { stand_in } else { StandIn::default() };
        let states = model.forward(&batch, &read, stand_in, precision).text.tokens;
        let logits: Vec<f32> = head
            .forward(states, &Pass::off().with(precision))
            .inner()
            .into_data()
            .try_into_vec()
            .expect("the model computes in f32");
        let words = chunk.iter().flat_map(|(row, words)| words.iter().map(move |(_, word)| (*row, *word)));
        for ((row, word), logits) in words.zip(logits.chunks_exact(model.config().text.vocabulary)) {
            let (right, loss) = score_word(logits, word as usize);
            predictions.right.rows.push(row);
            predictions.right.values.push(Some(f64::from(u8::from(right))));
            predictions.negative_log_likelihood.values.push(Some(loss));
            truths.push(word);
        }
    }
    let (accuracy, entropy) = chance(&truths);
    predictions.right.chance = accuracy;
    let losses = &mut predictions.negative_log_likelihood;
    (losses.aggregation, losses.rows) = (Aggregation::Perplexity, predictions.right.rows.clone());
    losses.chance = entropy.map(f64::exp);
    Ok(predictions)
}

/// The masked texts of some rows with the images of this context.
fn batch(
    embedder: Embedder<'_>,
    gallery: &Gallery,
    rows: &[usize],
    context: ImageContext,
) -> Result<Batch, EvaluateError> {
    let texts = Texts::collect(rows.iter().map(|&row| gallery.records[row].masked.ids.as_slice()));
    let count = texts.count();
    let image_rows = match context {
        ImageContext::Own => rows.to_vec(),
        ImageContext::Wrong => rows.iter().map(|&row| other_record(gallery, row)).collect(),
        ImageContext::Missing(_) => {
            return Ok(Batch { texts, order: (0..count).map(Slot::Text).collect(), ..Batch::default() });
        }
    };
    Ok(Batch {
        pair_images: Images::collect(&gallery.encoded_images(embedder, &image_rows)?),
        pair_texts: texts,
        order: (0..count).map(Slot::Pair).collect(),
        ..Batch::default()
    })
}

/// The next record whose image and text differ from those of this record; this record itself if there is none.
fn other_record(gallery: &Gallery, row: usize) -> usize {
    let (size, own) = (gallery.records.len(), &gallery.records[row]);
    let others = (1..size).map(|step| (row + step) % size);
    let differs = |other: &usize| {
        let other = &gallery.records[*other];
        other.image_hash != own.image_hash && other.text_hash != own.text_hash
    };
    others.into_iter().find(differs).unwrap_or(row)
}

/// Whether the right word has the highest probability of all, and its negative log-likelihood.
fn score_word(logits: &[f32], word: usize) -> (bool, f64) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
    let beaten = logits.iter().enumerate().any(|(other, logit)| other != word && *logit >= logits[word]);
    (!beaten, sum.ln() - f64::from(logits[word] - largest))
}

/// Chance levels: the accuracy of always predicting the most frequent word, and the entropy of the words' frequencies (the mean
/// negative log-likelihood if every word is predicted with its frequency).
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
        let (right, loss) = score_word(&[1.0, 3.0, 1.0], 1);
        assert!(right && (loss - (1.0 + 2.0 * (-2.0f64).exp()).ln()).abs() < 1e-9);
        assert!(!score_word(&[3.0, 3.0], 1).0, "a tie counts as wrong");
        assert!(score_word(&[1000.0, -1000.0], 1).1.is_finite());
    }

    #[test]
    fn chance_level_uses_the_frequency_of_words() {
        let (accuracy, entropy) = chance(&[5, 5, 5, 7]);
        assert_eq!(accuracy, Some(0.75));
        assert!((entropy.unwrap() - (0.75f64 * (4.0f64 / 3.0).ln() + 0.25 * 4.0f64.ln())).abs() < 1e-12);
        assert_eq!(chance(&[]), (None, None));
    }
}
