//! Scores with their intervals, as they are written and read.

use std::collections::BTreeMap;

use ptu_metrics::Interval;
use serde::{Deserialize, Serialize};

use crate::scored_on::ScoredOn;

/// A number with its 95 % interval and what chance would give; undefined is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The score.
    pub value: Option<f64>,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// What a guess would score.
    pub chance: Option<f64>,
}

/// Scores of one direction of retrieval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// Share of queries whose best hit is first.
    pub r1: Score,
    /// Among the first five.
    pub r5: Score,
    /// Among the first ten.
    pub r10: Score,
    /// Median place of the best hit, from 1; small is good.
    pub median_rank: Score,
}

/// Zero-shot retrieval in a gallery of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retrieval {
    /// The query is an image, the gallery holds texts.
    pub image_to_text: Direction,
    /// The query is a text, the gallery holds images.
    pub text_to_image: Direction,
}

/// How well masked words are guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WordScores {
    /// Share of the words that were guessed.
    pub accuracy: Score,
    /// Exponential of the mean surprise: among how many equally likely words it seems to choose. Chance knows only how frequent
    /// each word is.
    pub perplexity: Score,
}

/// Which half is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Removed {
    /// Images.
    Images,
    /// Texts.
    Texts,
}

/// One score, at every share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What is scored.
    pub score: String,
    /// Which half is taken away.
    pub away: Removed,
    /// What stands in its place: `prompts`, `zeros` or `nothing`.
    pub stand_in: String,
    /// (share taken away, score), by share.
    pub points: Vec<(f64, Score)>,
}

impl Removed {
    /// The word for tables and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Texts => "texts",
        }
    }
}

/// Everything that `evaluate` says about one gallery. What the model has no head for, as none of its objectives trained one,
/// is not there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scores {
    /// Pairs in the gallery.
    pub pairs: usize,
    /// Which pairs, chosen how, scored by which model; `None` in files of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scored_on: Option<ScoredOn>,
    /// Zero-shot retrieval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<Retrieval>,
    /// The same, the best by contrast ranked anew by matching.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reranked: Option<Retrieval>,
    /// How many of the best were ranked anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<usize>,
    /// Accuracy of image-text matching, half of the images false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub itm: Option<Score>,
    /// Masked words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlm: Option<MaskedWords>,
    /// What frozen vectors tell about labels, by name of the label.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, LabelScores>,
    /// Scores while more and more halves are taken away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Curve>,
}

/// How much an image tells about the masked words of its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MaskedWords {
    /// Beside their image.
    pub own_image: WordScores,
    /// Beside the image of another record.
    pub wrong_image: WordScores,
    /// Without an image, prompts in its place.
    pub no_image: WordScores,
}

/// Share of the records whose label is told right.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelScores {
    /// Values of the label in the training split.
    pub classes: Vec<String>,
    /// Records that the probes were fitted to.
    pub fitted: usize,
    /// Records of the gallery that have the label.
    pub asked: usize,
    /// By the nearest class of one vector each, the mean of its sentences', without any fitting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_sentences: Option<Score>,
    /// The sentences, `{}` in place of the class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<String>,
    /// By the nearest fitted records.
    pub neighbours: Score,
    /// By a linear classifier.
    pub linear: Score,
}

impl Score {
    /// Joins a value with its interval and chance.
    pub fn new(value: Option<f64>, interval: Option<Interval>, chance: Option<f64>) -> Self {
        Self { value, low: interval.map(|interval| interval.low), high: interval.map(|interval| interval.high), chance }
    }
}

impl Retrieval {
    /// Mean of R@10 in both directions: what the best model of a run is chosen by.
    pub fn mean_r10(&self) -> Option<f64> {
        Some((self.image_to_text.r10.value? + self.text_to_image.r10.value?) / 2.0)
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
            for (beside, scores) in [("", own_image), (names::WRONG_IMAGE, wrong_image), (names::NO_IMAGE, no_image)] {
                row(&format!("{}{beside}", names::MLM), scores.accuracy);
                row(&format!("{}{beside}", names::PERPLEXITY), scores.perplexity);
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
            let row = |what: &str, score| (format!("{name} {what}{suffix}"), score);
            [
                row("R@1", direction.r1),
                row("R@5", direction.r5),
                row("R@10", direction.r10),
                row(names::MEDIAN_RANK, direction.median_rank),
            ]
        };
        let rows =
            [direction(names::IMAGE_TO_TEXT, self.image_to_text), direction(names::TEXT_TO_IMAGE, self.text_to_image)];
        rows.concat()
    }
}

/// Names of scores, in tables and where scores of two models are paired.
pub mod names {
    /// An image looks for texts.
    pub const IMAGE_TO_TEXT: &str = "image-to-text";
    /// A text looks for images.
    pub const TEXT_TO_IMAGE: &str = "text-to-image";
    /// Place of the best hit.
    pub const MEDIAN_RANK: &str = "median rank";
    /// Matching.
    pub const ITM: &str = "ITM accuracy";
    /// Masked words.
    pub const MLM: &str = "MLM accuracy";
    /// Masked words.
    pub const PERPLEXITY: &str = "MLM perplexity";
    /// Behind the name of a score of masked words.
    pub const WRONG_IMAGE: &str = ", wrong image";
    /// Behind the name of a score of masked words.
    pub const NO_IMAGE: &str = ", no image";
    /// Behind the name of a label.
    pub const BY_SENTENCES: &str = " by sentences";
    /// Behind the name of a label.
    pub const NEIGHBOURS: &str = " by k-NN";
    /// Behind the name of a label.
    pub const LINEAR: &str = " by linear probe";
    /// Behind the name of a score of what was ranked anew.
    pub const RERANKED: &str = ", reranked";

    /// Whether a score is of masked words.
    pub fn is_of_words(name: &str) -> bool {
        name.starts_with(MLM) || name.starts_with(PERPLEXITY)
    }
}
