//! Scores of a binary classifier over all thresholds: average precision, sensitivity at a fixed specificity and the
//! reverse, and predictive values at a stated prevalence.

/// A threshold for a binary classifier, with its sensitivity and specificity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatingPoint {
    /// A record is called positive if its score is at least this; `None` if no record is called positive.
    pub threshold: Option<f32>,
    /// Share of the positives that are called positive (recall, true positive rate).
    pub sensitivity: f64,
    /// Share of the negatives that are not called positive (true negative rate).
    pub specificity: f64,
}

/// Predictive values of a test in a population with a stated prevalence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictiveValues {
    /// Probability that a record that is called positive is positive (PPV, precision); `None` if none is called
    /// positive. Its chance level is the prevalence.
    pub positive: Option<f64>,
    /// Probability that a record that is called negative is negative (NPV); `None` if none is called negative. Its
    /// chance level is 1 - prevalence.
    pub negative: Option<f64>,
}

/// Average precision (AP): the sum over thresholds of precision times the increase of recall, without interpolation, as
/// in scikit-learn's `average_precision_score`. Records with equal scores have one threshold, so their order has no
/// effect. Takes (score, is positive) of each record; O(n log n). Its chance level is the share of positives.
///
/// `None` if there are no positives or no negatives, or if a score is NaN, because NaN has no order. (scikit-learn
/// gives 1 without negatives, whatever the scores.)
pub fn average_precision(records: impl IntoIterator<Item = (f32, bool)>) -> Option<f64> {
    let curve = Curve::new(records)?;
    let mut found_before = 0;
    let sum: f64 = curve
        .steps
        .iter()
        .map(|step| {
            let found = (step.true_positives - found_before) as f64;
            found_before = step.true_positives;
            found * step.true_positives as f64 / (step.true_positives + step.false_positives) as f64
        })
        .sum();
    Some(sum / curve.positives as f64)
}

/// The largest sensitivity among the thresholds with a specificity of at least `specificity`, without interpolation
/// between thresholds (scikit-learn's `roc_curve` with `drop_intermediate=False`). Among equal sensitivities, the
/// highest specificity. Its chance level is 1 - `specificity`.
///
/// `None` if there are no positives or no negatives, if a score is NaN, or if `specificity` is outside [0, 1].
pub fn sensitivity_at_specificity(
    specificity: f64,
    records: impl IntoIterator<Item = (f32, bool)>,
) -> Option<OperatingPoint> {
    let curve = Curve::new(records).filter(|_| is_share(specificity))?;
    let reached = curve.points().filter(|point| point.specificity >= specificity);
    reached.reduce(|best, point| if point.sensitivity > best.sensitivity { point } else { best })
}

/// The largest specificity among the thresholds with a sensitivity of at least `sensitivity`, without interpolation
/// between thresholds. Among equal specificities, the highest sensitivity. Its chance level is 1 - `sensitivity`.
///
/// `None` in the same cases as for [`sensitivity_at_specificity`].
pub fn specificity_at_sensitivity(
    sensitivity: f64,
    records: impl IntoIterator<Item = (f32, bool)>,
) -> Option<OperatingPoint> {
    let curve = Curve::new(records).filter(|_| is_share(sensitivity))?;
    let reached = curve.points().filter(|point| point.sensitivity >= sensitivity);
    // The specificity falls from threshold to threshold and the sensitivity rises, so of equal specificities the last
    // counts.
    reached.reduce(|best, point| if point.specificity >= best.specificity { point } else { best })
}

/// Positive and negative predictive value by Bayes' theorem, for a prevalence that may differ from the share of
/// positives in the data: a test set with as many positives as negatives overstates the PPV of a screening. All
/// arguments are shares; both values are `None` if one of them is outside [0, 1].
pub fn predictive_values(sensitivity: f64, specificity: f64, prevalence: f64) -> PredictiveValues {
    if ![sensitivity, specificity, prevalence].into_iter().all(is_share) {
        return PredictiveValues { positive: None, negative: None };
    }
    let share = |right: f64, wrong: f64| (right + wrong > 0.0).then(|| right / (right + wrong));
    PredictiveValues {
        positive: share(sensitivity * prevalence, (1.0 - specificity) * (1.0 - prevalence)),
        negative: share(specificity * (1.0 - prevalence), (1.0 - sensitivity) * prevalence),
    }
}

fn is_share(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

/// What a threshold calls positive.
struct Step {
    threshold: f32,
    true_positives: usize,
    false_positives: usize,
}

/// All distinct scores as thresholds, from the highest to the lowest.
struct Curve {
    steps: Vec<Step>,
    positives: usize,
    negatives: usize,
}

impl Curve {
    /// `None` if there are no positives or no negatives, or if a score is NaN.
    fn new(records: impl IntoIterator<Item = (f32, bool)>) -> Option<Self> {
        let mut records: Vec<(f32, bool)> = records.into_iter().collect();
        if records.iter().any(|(score, _)| score.is_nan()) {
            return None;
        }
        records.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let (mut positives, mut negatives) = (0, 0);
        // Scores are compared with `==`, so that -0 and 0 are the same score.
        let steps: Vec<Step> = records
            .chunk_by(|a, b| a.0 == b.0)
            .map(|tied| {
                let positive = tied.iter().filter(|(_, positive)| *positive).count();
                (positives, negatives) = (positives + positive, negatives + tied.len() - positive);
                Step { threshold: tied[0].0, true_positives: positives, false_positives: negatives }
            })
            .collect();
        (positives > 0 && negatives > 0).then_some(Self { steps, positives, negatives })
    }

    /// The operating points, from the one that calls nothing positive to the one that calls everything positive. Shares
    /// are divisions of counts, so 9 of 10 reaches a target of 0.9; 1 - 1/10 would depend on rounding.
    fn points(&self) -> impl Iterator<Item = OperatingPoint> {
        let point = |threshold, true_positives: usize, false_positives: usize| OperatingPoint {
            threshold,
            sensitivity: true_positives as f64 / self.positives as f64,
            specificity: (self.negatives - false_positives) as f64 / self.negatives as f64,
        };
        let steps = self.steps.iter();
        std::iter::once(point(None, 0, 0))
            .chain(steps.map(move |step| point(Some(step.threshold), step.true_positives, step.false_positives)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: [(f32, bool); 4] = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];

    #[test]
    fn average_precision_equals_scikit_learn() {
        // scikit-learn 1.9.1, the example of the manual of average_precision_score: 0.8333.
        assert!((average_precision(RECORDS).unwrap() - 5.0 / 6.0).abs() < 1e-12);
        let tied = RECORDS.map(|(_, positive)| (0.5, positive));
        assert_eq!(average_precision(tied), Some(0.5), "equal scores give the chance level");
    }

    #[test]
    fn one_class_or_nan_is_undefined() {
        for records in [&[][..], &[(0.1, true), (0.2, true)], &[(0.1, false)], &[(f32::NAN, true), (0.1, false)]] {
            assert_eq!(average_precision(records.iter().copied()), None);
            assert_eq!(sensitivity_at_specificity(0.5, records.iter().copied()), None);
            assert_eq!(specificity_at_sensitivity(0.5, records.iter().copied()), None);
        }
        for target in [-0.1, 1.1, f64::NAN] {
            assert_eq!(sensitivity_at_specificity(target, RECORDS), None);
            assert_eq!(specificity_at_sensitivity(target, RECORDS), None);
        }
    }

    #[test]
    fn the_best_threshold_that_reaches_the_target() {
        // scikit-learn 1.9.1, roc_curve: thresholds [inf, 0.8, 0.4, 0.35, 0.1], fpr [0, 0, 0.5, 0.5, 1],
        // tpr [0, 0.5, 0.5, 1, 1].
        let point = |threshold, sensitivity, specificity| Some(OperatingPoint { threshold, sensitivity, specificity });
        assert_eq!(sensitivity_at_specificity(1.0, RECORDS), point(Some(0.8), 0.5, 1.0));
        assert_eq!(sensitivity_at_specificity(0.4, RECORDS), point(Some(0.35), 1.0, 0.5));
        assert_eq!(sensitivity_at_specificity(0.0, RECORDS), point(Some(0.35), 1.0, 0.5));
        assert_eq!(specificity_at_sensitivity(0.9, RECORDS), point(Some(0.35), 1.0, 0.5));
        assert_eq!(specificity_at_sensitivity(0.0, RECORDS), point(Some(0.8), 0.5, 1.0));
        let reversed = RECORDS.map(|(score, positive)| (-score, positive));
        assert_eq!(sensitivity_at_specificity(1.0, reversed), point(None, 0.0, 1.0));
    }

    #[test]
    fn an_infinite_score_is_an_ordinary_threshold() {
        let records = [(f32::INFINITY, true), (f32::NEG_INFINITY, false)];
        let best = sensitivity_at_specificity(1.0, records).unwrap();
        assert_eq!((best.threshold, best.sensitivity), (Some(f32::INFINITY), 1.0));
    }

    #[test]
    fn predictive_values_follow_from_counts() {
        // Of 1,000 people 10 are ill; 9 of them are found, and 99 of the 990 healthy ones are called ill.
        let values = predictive_values(0.9, 0.9, 0.01);
        assert!((values.positive.unwrap() - 9.0 / 108.0).abs() < 1e-12);
        assert!((values.negative.unwrap() - 891.0 / 892.0).abs() < 1e-12);
        let uninformative = predictive_values(0.3, 0.7, 0.2);
        assert!((uninformative.positive.unwrap() - 0.2).abs() < 1e-12, "the chance level is the prevalence");
    }

    #[test]
    fn predictive_values_without_predictions_are_undefined() {
        assert_eq!(predictive_values(0.0, 1.0, 0.2), PredictiveValues { positive: None, negative: Some(0.8) });
        assert_eq!(predictive_values(1.0, 0.0, 0.25), PredictiveValues { positive: Some(0.25), negative: None });
        for (sensitivity, specificity, prevalence) in [(f64::NAN, 0.5, 0.5), (0.5, 1.5, 0.5), (0.5, 0.5, -0.1)] {
            let undefined = PredictiveValues { positive: None, negative: None };
            assert_eq!(predictive_values(sensitivity, specificity, prevalence), undefined);
        }
    }
}
