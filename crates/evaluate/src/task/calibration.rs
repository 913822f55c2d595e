//! Calibration of probabilities: fitted on the validation split, reported on the scored split before and after.

use ptu_infer::task::{Calibration, Predicted, Target, TaskDescription};
use ptu_metrics::{CALIBRATION_BINS, Temperature, argmax, expected_calibration_error};

use super::report::CalibrationReport;

/// Fits the temperature to predictions for a validation split. For classes it minimises the negative log-likelihood of a softmax,
/// for labels and answers that of sigmoids. `None` if this is not defined, for example without predictions.
pub fn fit(task: &TaskDescription, predicted: &[Predicted]) -> Option<Calibration> {
    let outputs = task.output.names().len();
    let temperature = if task.output.is_exclusive() {
        let (mut logits, mut right) = (vec![], vec![]);
        for one in predicted {
            if let Target::Class(class) = one.target {
                logits.extend_from_slice(&one.logits);
                right.push(class);
            }
        }
        Temperature::fit_softmax(&logits, outputs, &right)
    } else {
        Temperature::fit_sigmoid(predicted.iter().flat_map(decisions))
    };
    temperature.map(|temperature| Calibration { temperature: temperature.value, fitted: predicted.len() })
}

/// The logit of each output whose truth is known, and this truth.
fn decisions(predicted: &Predicted) -> Vec<(f32, bool)> {
    let logits = predicted.logits.iter().copied().enumerate();
    match &predicted.target {
        Target::Class(class) => logits.map(|(output, logit)| (logit, output == *class)).collect(),
        Target::OtherClass => logits.map(|(_, logit)| (logit, false)).collect(),
        Target::Answer(answer) => logits.map(|(output, logit)| (logit, Some(output) == *answer)).collect(),
        Target::Labels(states) => logits.filter_map(|(output, logit)| Some((logit, states[output].truth()?))).collect(),
    }
}

/// The expected calibration error before and after the temperature of the task. For classes and answers it is that of the largest
/// probability, for labels that of all labels.
pub fn report(task: &TaskDescription, predicted: &[Predicted]) -> CalibrationReport {
    let of = |task: &TaskDescription| {
        let records = predicted.iter().flat_map(|one| {
            let probabilities = task.probabilities(&one.logits);
            let best = argmax(&one.logits);
            let right = match &one.target {
                Target::Class(class) => *class == best,
                Target::OtherClass => false,
                Target::Answer(answer) => *answer == Some(best),
                Target::Labels(states) => {
                    let known = states.iter().zip(&probabilities);
                    return known
                        .filter_map(|(state, probability)| Some((*probability as f32, state.truth()?)))
                        .collect::<Vec<_>>();
                }
            };
            vec![(probabilities[best] as f32, right)]
        });
        expected_calibration_error(CALIBRATION_BINS, records.collect::<Vec<_>>())
    };
    let uncalibrated = TaskDescription { calibration: None, ..task.clone() };
    CalibrationReport {
        before: of(&uncalibrated),
        after: task.calibration.and_then(|_| of(task)),
        temperature: task.calibration.map(|calibration| calibration.temperature),
    }
}
