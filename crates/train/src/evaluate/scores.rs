//! Scores with their intervals, as they are written and read.

use ptu_metrics::Interval;
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Zero-shot retrieval.
    pub retrieval: Retrieval,
    /// Accuracy of image-text matching, half of the images false.
    pub itm: Score,
    /// Accuracy on masked words, the image being there.
    pub mlm: Score,
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
    pub fn rows(&self) -> Vec<(&'static str, Score)> {
        let Retrieval { image_to_text: image, text_to_image: text, .. } = self.retrieval;
        vec![
            ("image-to-text R@1", image.r1),
            ("image-to-text R@5", image.r5),
            ("image-to-text R@10", image.r10),
            ("image-to-text median rank", image.median_rank),
            ("text-to-image R@1", text.r1),
            ("text-to-image R@5", text.r5),
            ("text-to-image R@10", text.r10),
            ("text-to-image median rank", text.median_rank),
            ("ITM accuracy", self.itm),
            ("MLM accuracy", self.mlm),
        ]
    }
}
