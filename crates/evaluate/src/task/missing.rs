//! Scores of a fine-tuned model with missing images or texts, over the share of records that lack them, with prompts or something else in
//! their place.

use ptu_data::{Lost, MissingShares};
use ptu_infer::task::{Predicted, TaskDescription, TaskOutput};
use ptu_metrics::Resampling;
use ptu_random::Key;

use super::{TaskMetric, TaskScorer};
use crate::EvaluateError;
use crate::fidelity::Completion;
use crate::scores::{Curve, Missing, Removed};

/// Shares of the records that lack something. 0.7 is the share of the usual protocols (70 % missing in training and in testing, or in testing
/// alone).
const SHARES: [f64; 6] = [0.0, 0.25, 0.5, 0.7, 0.75, 1.0];

/// What takes the place of a missing modality: without a training split neither its mean nor a neighbour. Texts are always written with prompts.
pub fn completions(output: &TaskOutput, has_training: bool) -> Vec<Completion> {
    use Completion::{Mean, Neighbour, Nothing, Prompts, Zeros};
    match (output.written(), has_training) {
        (Some(_), _) => vec![Prompts],
        (None, true) => vec![Prompts, Zeros, Nothing, Mean, Neighbour],
        (None, false) => vec![Prompts, Zeros, Nothing],
    }
}

/// How often [`curves`] asks for the predictions for all records.
pub fn predictions(task: &TaskDescription, completions: &[Completion]) -> usize {
    (2 + usize::from(task.input.may_lack_texts())) * completions.len()
}

/// A curve for each score of the task, except those of single classes and labels, for what is missing, and for what takes its place. `key` says
/// which records lack something. `predict` gives the predictions for the records as they are, or with one modality removed from those that
/// have both, always for the same records.
///
/// # Errors
/// Those of `predict`.
///
/// # Panics
/// If the predictions are not about the same records.
pub fn curves(
    task: &TaskDescription,
    completions: &[Completion],
    key: Key,
    predict: &mut dyn FnMut(Completion, Option<Removed>) -> Result<Vec<Predicted>, EvaluateError>,
) -> Result<Vec<Curve>, EvaluateError> {
    let (output, lacks_texts, mut curves) = (&task.output, task.input.may_lack_texts(), vec![]);
    let missing: &[Missing] =
        if lacks_texts { &[Missing::Images, Missing::Texts, Missing::Either] } else { &[Missing::Images] };
    for &completion in completions {
        // Records may lack a modality of their own, so that complete ones are predicted with each completion too.
        let incomplete = Incomplete {
            complete: predict(completion, None)?,
            without_image: predict(completion, Some(Removed::Images))?,
            without_text: match lacks_texts {
                true => predict(completion, Some(Removed::Texts))?,
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
                stand_in: completion.name().into(),
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
