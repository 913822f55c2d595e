//! Calibration of probabilities: fitted on the validation split, reported on the scored split before and after.

use ptu_infer::task::{Calibration, LEAST_FITTED, Predicted, Target, TaskDescription, Uncalibrated};
use ptu_metrics::{
    CALIBRATION_BINS, HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, Temperature, TemperatureFit, argmax,
    expected_calibration_error, reliability_curve,
};

use super::report::{CalibrationReport, ReliabilityPoint};

/// Fits the temperature to predictions for a validation split. For classes it minimises the negative log-likelihood of a softmax,
/// for labels and answers that of sigmoids.
///
/// # Errors
/// The reason why there is no temperature: too few records, or a fit that ends at a bound of its range, whose probabilities would be
/// sure of everything or of nothing.
pub fn fit(task: &TaskDescription, predicted: &[Predicted]) -> Result<Calibration, Uncalibrated> {
    // A class that the model does not know is no class of the softmax.
    let is_excluded = |target: &Target| task.output.is_exclusive() && *target == Target::OtherClass;
    let fitted = predicted.iter().filter(|one| !is_excluded(&one.target) && !decisions(one).is_empty()).count();
    if fitted < LEAST_FITTED {
        return Err(Uncalibrated::FewRecords { records: fitted });
    }
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
    match temperature.map(|temperature| (temperature.fit, temperature.value)) {
        Some((TemperatureFit::Minimum, temperature)) => Ok(Calibration { temperature, fitted }),
        Some((TemperatureFit::Lowest, _)) => Err(Uncalibrated::Lowest),
        Some((TemperatureFit::Highest, _)) => Err(Uncalibrated::Highest),
        Some((TemperatureFit::Flat, _)) | None => Err(Uncalibrated::Flat),
    }
}

/// A note about probabilities that are not calibrated, or, of a model of an earlier version, about a temperature at an end of the range
/// in which it was searched.
pub fn note(task: &TaskDescription) -> Option<String> {
    if let Some(cause) = task.uncalibrated {
        return Some(format!("the probabilities are not calibrated (temperature 1): {cause}"));
    }
    let temperature = task.calibration?.temperature;
    let cause = if temperature <= LOWEST_TEMPERATURE * 1.001 {
        "the predictions for the validation split are all right, or its logits are very small"
    } else if temperature >= HIGHEST_TEMPERATURE * 0.999 {
        "the predictions for the validation split are not better than chance"
    } else {
        return None;
    };
    Some(format!(
        "the temperature of the calibration, {temperature}, is at the end of its range ({LOWEST_TEMPERATURE} to {HIGHEST_TEMPERATURE}): \
         {cause}, so the calibrated probabilities say little"
    ))
}

/// The logit of each output whose truth is known, and this truth.
fn decisions(predicted: &Predicted) -> Vec<(f32, bool)> {
    let logits = predicted.logits.iter().copied().enumerate();
    match &predicted.target {
        Target::Class(class) => logits.map(|(output, logit)| (logit, output == *class)).collect(),
        Target::OtherClass => predicted.logits.iter().map(|logit| (*logit, false)).collect(),
        Target::Answer(answer) => logits.map(|(output, logit)| (logit, Some(output) == *answer)).collect(),
        Target::Labels(states) => logits.filter_map(|(output, logit)| Some((logit, states[output].truth()?))).collect(),
        Target::Text(_) => vec![],
    }
}

/// The expected calibration error and the reliability curve before and after the temperature of the task. For classes and answers they are
/// those of the largest probability, for labels those of all labels.
pub fn report(task: &TaskDescription, predicted: &[Predicted]) -> CalibrationReport {
    let of = |task: &TaskDescription| {
        let records = predicted.iter().flat_map(|one| {
            // A generated text has no logits, and so no probability that could be calibrated.
            if one.logits.is_empty() {
                return vec![];
            }
            let probabilities = task.probabilities(&one.logits);
            let best = argmax(&one.logits);
            let right = match &one.target {
                Target::Text(_) => return vec![],
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
        let records: Vec<(f32, bool)> = records.collect();
        (expected_calibration_error(CALIBRATION_BINS, records.iter().copied()), reliability(records))
    };
    let uncalibrated = TaskDescription { calibration: None, ..task.clone() };
    let (before, reliability_before) = of(&uncalibrated);
    let (after, reliability_after) = task.calibration.map_or((None, vec![]), |_| of(task));
    let temperature = task.calibration.map(|calibration| calibration.temperature);
    CalibrationReport { before, after, temperature, reliability_before, reliability_after }
}

/// The bins of the reliability curve that have records.
fn reliability(records: Vec<(f32, bool)>) -> Vec<ReliabilityPoint> {
    let bins = reliability_curve(CALIBRATION_BINS, records).unwrap_or_default();
    let point = |bin: ptu_metrics::ReliabilityBin| {
        Some(ReliabilityPoint { probability: bin.confidence?, share: bin.accuracy?, records: bin.count })
    };
    bins.into_iter().filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use ptu_data::InputForm;
    use ptu_infer::task::TaskOutput;

    use super::*;

    #[test]
    fn a_temperature_at_the_end_of_its_range_is_noted() {
        let output = TaskOutput::Classification { label: "x".into(), classes: vec!["a".into(), "b".into()] };
        let of = |temperature: f64| {
            let calibration = Some(Calibration { temperature, fitted: 3 });
            let (input, output) = (InputForm::Image, output.clone());
            note(&TaskDescription { calibration, ..TaskDescription::new(input, output) })
        };
        // All predictions are right: the fit goes to the lowest temperature.
        let fitted = Temperature::fit_softmax(&[3.0, 0.0, 0.0, 3.0], 2, &[0, 1]).unwrap();
        assert!(of(fitted.value).unwrap().contains("all right"));
        let fitted = Temperature::fit_softmax(&[3.0, 0.0, 0.0, 3.0], 2, &[1, 0]).unwrap();
        assert!(of(fitted.value).unwrap().contains("chance"));
        assert_eq!(of(1.3), None);
    }

    #[test]
    fn a_fit_that_cannot_be_trusted_gives_no_temperature() {
        let output = TaskOutput::Classification { label: "x".into(), classes: vec!["a".into(), "b".into()] };
        let task = TaskDescription::new(InputForm::Image, output);
        let of = |right: usize, wrong: usize| {
            let classes = std::iter::repeat_n(0, right).chain(std::iter::repeat_n(1, wrong));
            fit(&task, &classes.map(predicted).collect::<Vec<_>>())
        };
        assert_eq!(of(LEAST_FITTED - 2, 1), Err(Uncalibrated::FewRecords { records: LEAST_FITTED - 1 }));
        assert_eq!(of(LEAST_FITTED, 0), Err(Uncalibrated::Lowest));
        assert_eq!(of(0, LEAST_FITTED), Err(Uncalibrated::Highest));
        let fitted = of(30, 10).unwrap();
        // Three of four are right, all with the margin 2: the best confidence is 3/4, so 2 / T = ln 3.
        assert!((fitted.temperature - 2.0 / 3f64.ln()).abs() < 1e-6 && fitted.fitted == 40, "{fitted:?}");
        let others = vec![Predicted { target: Target::OtherClass, ..predicted(0) }; 40];
        assert_eq!(fit(&task, &others), Err(Uncalibrated::FewRecords { records: 0 }));
    }

    /// A prediction with the logits 2 and 0 of a record of this class.
    fn predicted(class: usize) -> Predicted {
        Predicted {
            position: 0,
            record: ptu_data::Record::default(),
            target: Target::Class(class),
            logits: vec![2.0, 0.0],
            text: None,
            image_hash: None,
            text_hash: None,
            cut: false,
        }
    }

    #[test]
    fn the_curve_before_the_temperature_has_the_raw_probabilities() {
        let output = TaskOutput::Classification { label: "x".into(), classes: vec!["a".into(), "b".into()] };
        let calibration = Some(Calibration { temperature: 2.0, fitted: 3 });
        let task = TaskDescription { calibration, ..TaskDescription::new(InputForm::Image, output) };
        // The softmax of [2, 0] is 1 / (1 + e^-2); with the temperature 2 it is 1 / (1 + e^-1).
        let report = report(&task, &[0, 0, 0, 1].map(predicted));
        for (curve, logit) in [(&report.reliability_before, 2.0f64), (&report.reliability_after, 1.0)] {
            let [point] = curve.as_slice() else { panic!("one bin has records: {curve:?}") };
            assert!((point.probability - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6, "{point:?}");
            assert_eq!((point.share, point.records), (0.75, 4));
        }
    }
}
