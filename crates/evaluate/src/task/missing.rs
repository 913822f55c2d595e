//! Scores of a fine-tuned model with missing images or texts, over the share of records that lack them, with prompts, zeros or nothing in
//! their place.

use ptu_data::{Lost, MissingShares};
use ptu_infer::task::{Predicted, TaskOutput};
use ptu_metrics::Resampling;
use ptu_model::StandIn;
use ptu_random::Key;

use super::{TaskMetric, TaskScorer};
use crate::scores::{Curve, Missing};

/// Shares of the records that lack something. 0.7 is the share of the usual protocols (70 % missing in training and in testing, or in testing
/// alone).
pub const SHARES: [f64; 6] = [0.0, 0.25, 0.5, 0.7, 0.75, 1.0];

/// The predictions of one model for the same records.
pub struct Incomplete<'a> {
    /// What the outputs mean.
    pub output: &'a TaskOutput,
    /// With all that the records have.
    pub complete: &'a [Predicted],
    /// Without the images of the records that have a text too.
    pub without_image: &'a [Predicted],
    /// Without the texts of the records that have an image too.
    pub without_text: &'a [Predicted],
}

impl Incomplete<'_> {
    /// A curve for each score of the task, except those of single classes and labels, and for what is missing. `key` says which records lack
    /// something.
    ///
    /// # Panics
    /// If the predictions are not about the same records.
    pub fn curves(&self, stand_in: StandIn, key: Key, resampling: &Resampling) -> Vec<Curve> {
        let positions = |predicted: &[Predicted]| predicted.iter().map(|one| one.position).collect::<Vec<_>>();
        let [complete, image, text] = [self.complete, self.without_image, self.without_text].map(positions);
        assert!(complete == image && complete == text, "the predictions are about the same records");
        let metrics = TaskMetric::of(self.output).into_iter().filter(|metric| !matches!(metric, TaskMetric::Auroc(_)));
        let metrics: Vec<TaskMetric> = metrics.collect();
        let mut curves = vec![];
        for missing in [Missing::Images, Missing::Texts, Missing::Either] {
            let mixed = SHARES.map(|share| (share, self.mixed(shares(missing, share), key)));
            curves.extend(metrics.iter().map(|metric| {
                Curve {
                    score: metric.name(self.output),
                    missing,
                    stand_in: stand_in.name().into(),
                    points: mixed
                        .iter()
                        .map(|(share, predicted)| {
                            (*share, TaskScorer { output: self.output, predicted }.score(*metric, resampling))
                        })
                        .collect(),
                }
            }));
        }
        curves
    }

    /// The predictions with these shares of images and texts missing.
    fn mixed(&self, shares: MissingShares, key: Key) -> Vec<Predicted> {
        let one_of = |(place, complete): (usize, &Predicted)| match shares.lost(&complete.record.id, key) {
            Lost::Nothing => complete.clone(),
            Lost::Image => self.without_image[place].clone(),
            Lost::Texts => self.without_text[place].clone(),
        };
        self.complete.iter().enumerate().map(one_of).collect()
    }
}

/// The shares of images and of texts if this share of the records lacks something.
fn shares(missing: Missing, share: f64) -> MissingShares {
    match missing {
        Missing::Images => MissingShares { images: share, texts: 0.0 },
        Missing::Texts => MissingShares { images: 0.0, texts: share },
        Missing::Either => MissingShares { images: share / 2.0, texts: share / 2.0 },
    }
}
