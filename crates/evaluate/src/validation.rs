//! The validation score of a model during training. The best model of a run is selected by it.

use std::fmt;
use std::time::{Duration, Instant};

use ptu_infer::Embedder;
use ptu_metrics::Resampling;
use ptu_model::Model;
use ptu_random::Key;
use ptu_train::TrainError;
use ptu_train::log::Fields;
use ptu_train::task::{Validated, Validator};
use serde::{Deserialize, Serialize};

use crate::EvaluateError;
use crate::features::GalleryFeatures;
use crate::gallery::Gallery;
use crate::matching::matching;
use crate::rerank::rank_all;
use crate::retrieval::{retrieval, search};
use crate::scores::{Retrieval, Score, names};
use crate::words::{ImageContext, predict};

/// The score on the validation split: of the ranking of all pairs if the retrieval head is trained, else of zero-shot retrieval if the
/// ITC head is trained, else of masked words if the MLM head is trained, else of image-text matching.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidationScore {
    /// Zero-shot retrieval.
    Retrieval(Box<Retrieval>),
    /// Retrieval by the ranking score of all pairs.
    Ranking(Box<Retrieval>),
    /// Accuracy on masked words, with the own image of each text.
    Mlm(Score),
    /// Accuracy of image-text matching, where half of the images are negatives.
    Itm(Score),
}

impl ValidationScore {
    /// Scores a model on a gallery. `key` seeds the choice of images for ITM and the bootstrap resamples.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    pub fn of(model: &Model, gallery: &Gallery, key: Key) -> Result<Self, EvaluateError> {
        let (resampling, embedder) = (Resampling::new(key), Embedder::new(model));
        if model.heads.retrieval.is_some() {
            let found = rank_all(embedder, gallery, &mut |_| {})?;
            return Ok(Self::Ranking(Box::new(retrieval(gallery, &found, &resampling))));
        }
        if model.heads.itc.is_some() {
            let found = search(&GalleryFeatures::new(embedder, gallery), &mut |_| {})?;
            return Ok(Self::Retrieval(Box::new(retrieval(gallery, &found, &resampling))));
        }
        if model.heads.mlm.is_some() {
            return Ok(Self::Mlm(predict(embedder, gallery, ImageContext::Own)?.right.score(gallery, &resampling)));
        }
        Ok(Self::Itm(matching(embedder, gallery, key)?.score(gallery, &resampling)))
    }

    /// The score; larger is better.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Retrieval(retrieval) => retrieval.mean_r10(),
            Self::Ranking(retrieval) => retrieval.mean_recall().value,
            Self::Mlm(score) | Self::Itm(score) => score.value,
        }
    }

    /// The chance level: the score of a random guess.
    pub fn chance(&self) -> Option<f64> {
        match self {
            Self::Retrieval(retrieval) => {
                Some((retrieval.image_to_text.r10.chance? + retrieval.text_to_image.r10.chance?) / 2.0)
            }
            Self::Ranking(retrieval) => retrieval.mean_recall().chance,
            Self::Mlm(score) | Self::Itm(score) => score.chance,
        }
    }

    /// The score in the form that the training loop uses.
    pub fn validated(&self) -> Validated {
        Validated {
            name: self.name().into(),
            value: self.value(),
            chance: self.chance(),
            line: self.to_string(),
            fields: Fields::of(self),
        }
    }

    /// The name of the score.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retrieval(_) => "mean R@10",
            Self::Ranking(_) => "mean recall",
            Self::Mlm(_) => names::MLM,
            Self::Itm(_) => names::ITM,
        }
    }
}

/// Number of pairs that are scored to estimate how long a validation takes.
const FORECAST_PAIRS: usize = 16;

impl Validator for Gallery {
    fn validate(&self, model: &Model, key: Key) -> Result<Validated, TrainError> {
        Ok(ValidationScore::of(model, self, key)?.validated())
    }

    fn forecast(&self, model: &Model, key: Key) -> Result<Duration, TrainError> {
        let (sample, start) = (self.first(FORECAST_PAIRS), Instant::now());
        ValidationScore::of(model, &sample, key)?;
        let more = self.records.len() as f64 / sample.records.len() as f64;
        // Each image is ranked with each text.
        let more = if model.heads.retrieval.is_some() { more * more } else { more };
        Ok(start.elapsed().mul_f64(more))
    }
}

impl fmt::Display for ValidationScore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: Option<f64>| value.map_or("undefined".into(), |value| format!("{value:.2}"));
        match self {
            Self::Retrieval(retrieval) => {
                let (image, text) = (retrieval.image_to_text.r10, retrieval.text_to_image.r10);
                let (from_image, from_text, chance) = (show(image.value), show(text.value), show(image.chance));
                write!(out, "R@10 image-to-text {from_image} text-to-image {from_text} (chance level {chance})")
            }
            Self::Ranking(retrieval) => {
                let (image, text) = (retrieval.image_to_text.r1, retrieval.text_to_image.r1);
                let (from_image, from_text) = (show(image.value), show(text.value));
                let (mean, chance) = (show(self.value()), show(self.chance()));
                write!(
                    out,
                    "mean recall {mean} (chance level {chance}); R@1 image-to-text {from_image} text-to-image {from_text}"
                )
            }
            Self::Mlm(score) | Self::Itm(score) => {
                write!(out, "{} {} (chance level {})", self.name(), show(score.value), show(score.chance))
            }
        }
    }
}
