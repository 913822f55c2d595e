//! Scores with their intervals, as they are written and read.

use std::collections::BTreeMap;

use ptu_metrics::Interval;
use serde::{Deserialize, Serialize};

use super::missing::Curve;
use super::words::WordScores;

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
    /// Pairs in the gallery.
    pub records: usize,
    /// The query is an image, the gallery holds texts.
    pub image_to_text: Direction,
    /// The query is a text, the gallery holds images.
    pub text_to_image: Direction,
}

/// Everything that `evaluate` says about one gallery.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scores {
    /// Zero-shot retrieval.
    pub retrieval: Retrieval,
    /// The same, the best by contrast ranked anew by matching.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reranked: Option<Retrieval>,
    /// Accuracy of image-text matching, half of the images false.
    pub itm: Score,
    /// Accuracy on masked words, the image being there.
    pub mlm: Score,
    /// Perplexity of masked words, the image being there.
    pub mlm_perplexity: Score,
    /// Masked words beside the image of another record.
    pub mlm_wrong_image: WordScores,
    /// Masked words without an image, prompts in its place.
    pub mlm_no_image: WordScores,
    /// What frozen vectors tell about labels, by name of the label.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, LabelScores>,
    /// Scores while more and more halves are taken away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Curve>,
}

/// Share of the records whose label is told right.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelScores {
    /// Values of the label among the records to learn from.
    pub classes: Vec<String>,
    /// Records that the probes were fitted to.
    pub fitted: usize,
    /// Records of the gallery that have the label.
    pub asked: usize,
    /// By the nearest of one sentence a class, without any fitting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_sentences: Option<Score>,
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
        let mut rows = self.retrieval.rows("");
        rows.extend(self.reranked.iter().flat_map(|reranked| reranked.rows(", reranked")));
        let mut row = |name: &str, score: Score| rows.push((name.to_string(), score));
        row(names::ITM, self.itm);
        for (beside, accuracy, perplexity) in [
            ("", self.mlm, self.mlm_perplexity),
            (names::WRONG_IMAGE, self.mlm_wrong_image.accuracy, self.mlm_wrong_image.perplexity),
            (names::NO_IMAGE, self.mlm_no_image.accuracy, self.mlm_no_image.perplexity),
        ] {
            row(&format!("{}{beside}", names::MLM), accuracy);
            row(&format!("{}{beside}", names::PERPLEXITY), perplexity);
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
}
