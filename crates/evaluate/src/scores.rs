//! Scores with their confidence intervals, as they are written to a file and read from it.

use std::collections::BTreeMap;

use ptu_metrics::Interval;
use serde::{Deserialize, Serialize};

use crate::scored_on::ScoredOn;

/// A score with its 95 % confidence interval and its chance level. Numbers that are not defined are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The score.
    pub value: Option<f64>,
    /// Lower end of the confidence interval.
    pub low: Option<f64>,
    /// Upper end of the confidence interval.
    pub high: Option<f64>,
    /// The chance level: the score of a random guess.
    pub chance: Option<f64>,
}

/// Scores of one direction of retrieval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// R@1: share of queries whose best hit is the first result.
    pub r1: Score,
    /// R@5: share of queries whose best hit is among the first five results.
    pub r5: Score,
    /// R@10: share of queries whose best hit is among the first ten results.
    pub r10: Score,
    /// Median rank of the best hit, from 1; lower is better.
    pub median_rank: Score,
    /// Mean reciprocal rank: mean of 1 / rank of the best hit; undefined in files of earlier versions.
    #[serde(default)]
    pub mrr: Score,
}

/// Retrieval in a gallery of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retrieval {
    /// The query is an image, the candidates are texts.
    pub image_to_text: Direction,
    /// The query is a text, the candidates are images.
    pub text_to_image: Direction,
}

/// How well masked words are predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WordScores {
    /// Share of the masked words that were predicted right.
    pub accuracy: Score,
    /// Perplexity: the exponential of the mean negative log-likelihood. It is the number of equally likely words among which
    /// the model seems to choose. The chance level is that of a guess that only knows how frequent each word is.
    pub perplexity: Score,
}

/// The modality that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Removed {
    /// Images are removed.
    Images,
    /// Texts are removed.
    Texts,
}

/// What is missing of the records of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// Their images.
    Images,
    /// Their texts.
    Texts,
    /// The image of one half and the texts of the other half.
    Either,
}

/// One score as a function of the share of records whose image or text is removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Name of the score.
    pub score: String,
    /// What is removed.
    #[serde(rename = "away")]
    pub missing: Missing,
    /// What takes the place of the removed modality: `prompts`, `zeros` or `nothing`.
    pub stand_in: String,
    /// (share of records of which something is removed, score), sorted by share.
    pub points: Vec<(f64, Score)>,
}

impl Missing {
    /// The name for tables and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Texts => "texts",
            Self::Either => "images or texts",
        }
    }
}

impl From<Removed> for Missing {
    fn from(removed: Removed) -> Self {
        match removed {
            Removed::Images => Self::Images,
            Removed::Texts => Self::Texts,
        }
    }
}

impl Removed {
    /// The name for tables and charts.
    pub fn name(self) -> &'static str {
        Missing::from(self).name()
    }
}

/// All scores of one gallery. Scores of heads that the model does not have, because no objective trained them, are absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scores {
    /// Number of pairs in the gallery.
    pub pairs: usize,
    /// The pairs, how they were selected, and the model that was scored; `None` in files of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scored_on: Option<ScoredOn>,
    /// Retrieval by the ranking that [`ScoredOn::protocol`] names: zero-shot by the contrastive head, or by the retrieval head of a
    /// fine-tuned model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<Retrieval>,
    /// Retrieval after the best candidates of the contrastive search were reranked by image-text matching.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reranked: Option<Retrieval>,
    /// Number of candidates that were reranked for each query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<usize>,
    /// Accuracy of image-text matching, where half of the images are negatives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub itm: Option<Score>,
    /// Prediction of masked words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlm: Option<MaskedWords>,
    /// Classification of labels from frozen vectors, by the name of the label.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, LabelScores>,
    /// Scores with images or texts removed from a growing share of the records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Curve>,
}

/// Prediction of masked words with different images, which shows how much an image helps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MaskedWords {
    /// With the text's own image.
    pub own_image: WordScores,
    /// With the image of another record.
    pub wrong_image: WordScores,
    /// Without an image; soft prompts take its place.
    pub no_image: WordScores,
}

/// Accuracy of a label: the share of records whose value is predicted right.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelScores {
    /// Values of the label in the training split.
    pub classes: Vec<String>,
    /// Number of records that the probes were fitted to.
    pub fitted: usize,
    /// Number of records of the gallery that have the label and are evaluated.
    #[serde(rename = "asked")]
    pub evaluated: usize,
    /// Zero-shot accuracy: the predicted class is the one with the nearest vector, and the vector of a class is the mean of its
    /// sentences' vectors. Nothing is fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_sentences: Option<Score>,
    /// The sentences, with `{}` in the place of the class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<String>,
    /// Accuracy of the nearest-neighbour probe.
    pub neighbours: Score,
    /// Accuracy of the linear probe.
    pub linear: Score,
}

impl Score {
    /// A score from its value, confidence interval and chance level.
    pub fn new(value: Option<f64>, interval: Option<Interval>, chance: Option<f64>) -> Self {
        Self { value, low: interval.map(|interval| interval.low), high: interval.map(|interval| interval.high), chance }
    }
}

impl Retrieval {
    /// Mean of R@10 in both directions. The best model of a run is selected by it.
    pub fn mean_r10(&self) -> Option<f64> {
        Some((self.image_to_text.r10.value? + self.text_to_image.r10.value?) / 2.0)
    }

    /// Mean recall: the mean of R@1, R@5 and R@10 in both directions, and its chance level. Models that are fine-tuned for retrieval
    /// are selected by it.
    pub fn mean_recall(&self) -> Score {
        let of = |one: &Direction| [one.r1, one.r5, one.r10];
        let recalls = [of(&self.image_to_text), of(&self.text_to_image)].concat();
        let mean = |of: fn(&Score) -> Option<f64>| {
            let values: Option<Vec<f64>> = recalls.iter().map(of).collect();
            values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
        };
        Score::new(mean(|score| score.value), None, mean(|score| score.chance))
    }
}

impl Scores {
    /// Every score with its name, in the order in which tables show them.
    pub fn rows(&self) -> Vec<(String, Score)> {
        let mut rows = vec![];
        for (retrieval, suffix) in [(&self.retrieval, ""), (&self.reranked, names::RERANKED)] {
            rows.extend(retrieval.iter().flat_map(|retrieval| retrieval.rows(suffix)));
        }
        let mut row = |name: &str, score: Score| rows.push((name.to_string(), score));
        if let Some(score) = self.itm {
            row(names::ITM, score);
        }
        if let Some(MaskedWords { own_image, wrong_image, no_image }) = self.mlm {
            for (suffix, scores) in [("", own_image), (names::WRONG_IMAGE, wrong_image), (names::NO_IMAGE, no_image)] {
                row(&format!("{}{suffix}", names::MLM), scores.accuracy);
                row(&format!("{}{suffix}", names::PERPLEXITY), scores.perplexity);
            }
        }
        for (label, scores) in &self.labels {
            if let Some(score) = scores.by_sentences {
                row(&format!("{label}{}", names::BY_SENTENCES), score);
            }
            row(&format!("{label}{}", names::NEIGHBOURS), scores.neighbours);
            row(&format!("{label}{}", names::LINEAR), scores.linear);
        }
        rows
    }
}

impl Retrieval {
    fn rows(&self, suffix: &str) -> Vec<(String, Score)> {
        let direction = |name: &str, direction: Direction| {
            let row = |metric: &str, score| (format!("{name} {metric}{suffix}"), score);
            [
                row("R@1", direction.r1),
                row("R@5", direction.r5),
                row("R@10", direction.r10),
                row(names::MEDIAN_RANK, direction.median_rank),
                row(names::MRR, direction.mrr),
            ]
        };
        let rows =
            [direction(names::IMAGE_TO_TEXT, self.image_to_text), direction(names::TEXT_TO_IMAGE, self.text_to_image)];
        rows.concat()
    }
}

/// Names of scores, as tables show them and as the scores of two models are matched.
pub mod names {
    /// Retrieval of texts by an image.
    pub const IMAGE_TO_TEXT: &str = "image-to-text";
    /// Retrieval of images by a text.
    pub const TEXT_TO_IMAGE: &str = "text-to-image";
    /// Median rank of the best hit.
    pub const MEDIAN_RANK: &str = "median rank";
    /// Mean reciprocal rank of the best hit.
    pub const MRR: &str = "MRR";
    /// Accuracy of image-text matching.
    pub const ITM: &str = "ITM accuracy";
    /// Accuracy on masked words.
    pub const MLM: &str = "MLM accuracy";
    /// Perplexity of masked words.
    pub const PERPLEXITY: &str = "MLM perplexity";
    /// Suffix for masked words that are predicted with the image of another record.
    pub const WRONG_IMAGE: &str = ", wrong image";
    /// Suffix for masked words that are predicted without an image.
    pub const NO_IMAGE: &str = ", no image";
    /// Suffix of a label's name: zero-shot classification by sentences.
    pub const BY_SENTENCES: &str = " by sentences";
    /// Suffix of a label's name: nearest-neighbour probe.
    pub const NEIGHBOURS: &str = " by k-NN";
    /// Suffix of a label's name: linear probe.
    pub const LINEAR: &str = " by linear probe";
    /// Suffix for retrieval scores after reranking.
    pub const RERANKED: &str = ", reranked";
    /// Suffix for differences between the ranking of a fine-tuned model and the reranked results of another model.
    pub const OTHER_RERANKED: &str = ", other reranked";

    /// True if this is the name of a score of masked words.
    pub fn is_of_words(name: &str) -> bool {
        name.starts_with(MLM) || name.starts_with(PERPLEXITY)
    }
}
