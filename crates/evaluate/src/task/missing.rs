//! Scores of a fine-tuned model with missing images or texts, over the share of records that lack them, with prompts, zeros or nothing in
//! their place.

use ptu_data::{Lost, MissingShares};
use ptu_infer::InferError;
use ptu_infer::task::{Predicted, TaskDescription, TaskOutput};
use ptu_metrics::Resampling;
use ptu_model::StandIn;
use ptu_random::Key;

use super::{TaskMetric, TaskScorer};
use crate::scores::{Curve, Missing};

/// Shares of the records that lack something. 0.7 is the share of the usual protocols (70 % missing in training and in testing, or in testing
/// alone).
const SHARES: [f64; 6] = [0.0, 0.25, 0.5, 0.7, 0.75, 1.0];

/// What takes the place of a missing modality. Texts are always written with prompts.
fn stand_ins(output: &TaskOutput) -> &'static [StandIn] {
    if output.written().is_some() { &[StandIn::Prompts] } else { &StandIn::ALL }
}

/// How often [`curves`] asks for the predictions for all records.
pub fn predictions(task: &TaskDescription) -> usize {
    (2 + usize::from(task.input.may_lack_texts())) * stand_ins(&task.output).len()
}

/// A curve for each score of the task, except those of single classes and labels, for what is missing, and for what takes its place. `key` says
/// which records lack something. `predict` gives the predictions with these shares missing, always for the same records.
///
/// # Errors
/// Those of `predict`.
///
/// # Panics
/// If the predictions are not about the same records.
pub fn curves(
    task: &TaskDescription,
    key: Key,
    predict: &mut dyn FnMut(StandIn, MissingShares) -> Result<Vec<Predicted>, InferError>,
) -> Result<Vec<Curve>, InferError> {
    let (output, lacks_texts, mut curves) = (&task.output, task.input.may_lack_texts(), vec![]);
    let missing: &[Missing] =
        if lacks_texts { &[Missing::Images, Missing::Texts, Missing::Either] } else { &[Missing::Images] };
    for &stand_in in stand_ins(output) {
        // Records may lack a modality of their own, so that complete ones are predicted with each stand-in too.
        let incomplete = Incomplete {
            complete: predict(stand_in, MissingShares::default())?,
            without_image: predict(stand_in, MissingShares { images: 1.0, texts: 0.0 })?,
            without_text: match lacks_texts {
                true => predict(stand_in, MissingShares { images: 0.0, texts: 1.0 })?,
                false => vec![],
            },
        };
        incomplete.check();
        for &missing in missing {
            let mixed = SHARES.map(|share| (share, incomplete.mixed(shares(missing, share), key)));
            let score = |metric, predicted| TaskScorer { output, predicted }.score(metric, &Resampling::new(key));
            curves.extend(TaskMetric::overall(output).map(|metric| Curve {
                score: metric.name(output),
                missing,
                stand_in: stand_in.name().into(),
                points: mixed.iter().map(|(share, predicted)| (*share, score(metric, predicted))).collect(),
            }));
        }
    }
    Ok(curves)
}

/// The predictions of one model for the same records.
struct Incomplete {
    /// With all that the records have.
    complete: Vec<Predicted>,
    /// Without the images of the records that have a text too.
    without_image: Vec<Predicted>,
    /// Without the texts of the records that have an image too; none if texts cannot be missing.
    without_text: Vec<Predicted>,
}

impl Incomplete {
    fn check(&self) {
        let positions = |predicted: &[Predicted]| predicted.iter().map(|one| one.position).collect::<Vec<_>>();
        let [complete, image, text] =
            [&self.complete, &self.without_image, &self.without_text].map(|one| positions(one));
        let is_same = complete == image && (text.is_empty() || complete == text);
        assert!(is_same, "the predictions are about the same records");
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
