//! The F1 score: binary, and averaged over classes or labels.

use crate::classify::{Answer, ClassCounts, class_counts};
use crate::mean::mean;

/// The F1 score for several classes or labels.
#[derive(Clone, Debug, PartialEq)]
pub struct F1Averages {
    /// The macro average: the mean over the classes whose F1 is defined. `None` if there are no such classes.
    pub macro_mean: Option<f64>,
    /// The micro average: F1 of the counts of all classes together. `None` if no class has records or predictions.
    pub micro: Option<f64>,
    /// The mean over classes, weighted by their numbers of records. `None` if no class has records.
    pub weighted: Option<f64>,
    /// F1 of each class; `None` for a class that has no records and was never predicted.
    pub values: Vec<Option<f64>>,
    /// Number of classes without records and predictions, which the macro average leaves out.
    pub undefined: usize,
}

/// F1 of a binary classifier, 2 TP / (2 TP + FP + FN): the harmonic mean of precision and recall of the positives. For
/// the level without information see [`always_positive_f1`].
///
/// `None` if there are no positives, neither true nor predicted. With predicted positives only, or true ones only, F1
/// is 0.
pub fn f1(answers: &[Answer<bool>]) -> Option<f64> {
    let mut counts = ClassCounts::default();
    answers.iter().for_each(|answer| counts.add(answer.right, answer.given));
    counts.f1()
}

/// F1 of a classifier that calls everything positive, 2p / (1 + p) for the share p of positives, which is the baseline
/// for F1: calling a random part of many records positive gives less. `None` if there are no positives.
pub fn always_positive_f1(positives: usize, negatives: usize) -> Option<f64> {
    (positives > 0).then(|| ClassCounts { right: positives, given: positives + negatives, both: positives }.f1())?
}

/// F1 of the classes `0..classes` of a classifier that predicts one class for each record, as scikit-learn's `f1_score`
/// with `labels=range(classes)` and `zero_division=nan`. If all answers are in `0..classes`, the micro average is the
/// accuracy. The baseline is F1 of the same answers with the most frequent class as every prediction.
pub fn f1_by_class(classes: usize, answers: &[Answer<usize>]) -> F1Averages {
    averages(&class_counts(classes, answers))
}

/// F1 of each of several labels (multi-label). `answers` is row-major `[records, labels]`; a pair of record and label
/// whose truth is unknown is `None` and is not used.
///
/// # Panics
/// If the length of `answers` is not a multiple of `labels`.
pub fn f1_by_label(labels: usize, answers: &[Option<Answer<bool>>]) -> F1Averages {
    assert!(answers.len().is_multiple_of(labels), "`answers` must have whole rows of `labels` answers");
    let mut counts = vec![ClassCounts::default(); labels];
    for (entry, answer) in answers.iter().enumerate() {
        answer.iter().for_each(|answer| counts[entry % labels].add(answer.right, answer.given));
    }
    averages(&counts)
}

fn averages(classes: &[ClassCounts]) -> F1Averages {
    let values: Vec<Option<f64>> = classes.iter().map(|counts| counts.f1()).collect();
    let all = classes.iter().fold(ClassCounts::default(), |all, class| ClassCounts {
        right: all.right + class.right,
        given: all.given + class.given,
        both: all.both + class.both,
    });
    // A class with records has an F1, so each record has its weight.
    let weighted: f64 = classes.iter().zip(&values).filter_map(|(class, f1)| Some((*f1)? * class.right as f64)).sum();
    F1Averages {
        macro_mean: mean(values.iter().copied()),
        micro: all.f1(),
        weighted: (all.right > 0).then(|| weighted / all.right as f64),
        undefined: values.iter().filter(|value| value.is_none()).count(),
        values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers<T: Copy>(pairs: &[(T, T)]) -> Vec<Answer<T>> {
        pairs.iter().map(|&(given, right)| Answer { given, right }).collect()
    }

    #[test]
    fn averages_equal_scikit_learn() {
        // scikit-learn 1.9.1, the example of the manual of f1_score: y_true [0, 1, 2, 0, 1, 2],
        // y_pred [0, 2, 1, 0, 0, 1]: macro 0.2667, micro 0.3333, weighted 0.2667, for each class [0.8, 0, 0].
        let found = f1_by_class(3, &answers(&[(0, 0), (2, 1), (1, 2), (0, 0), (0, 1), (1, 2)]));
        assert_eq!(found.values, [Some(0.8), Some(0.0), Some(0.0)]);
        assert_eq!(found.micro, Some(1.0 / 3.0));
        for value in [found.macro_mean, found.weighted] {
            assert!((value.unwrap() - 0.8 / 3.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_class_that_never_occurs_is_undefined() {
        let found = f1_by_class(4, &answers(&[(0, 0), (2, 0)]));
        assert_eq!(found.values, [Some(2.0 / 3.0), None, Some(0.0), None]);
        assert_eq!((found.macro_mean, found.weighted, found.undefined), (Some(1.0 / 3.0), Some(2.0 / 3.0), 2));
        let nothing = f1_by_class(2, &[]);
        assert_eq!((nothing.macro_mean, nothing.micro, nothing.weighted), (None, None, None));
    }

    #[test]
    fn binary_f1_without_positives_is_undefined() {
        assert_eq!(f1(&[]), None);
        assert_eq!(f1(&answers(&[(false, false)])), None);
        assert_eq!(f1(&answers(&[(true, false)])), Some(0.0));
        assert_eq!(f1(&answers(&[(false, true)])), Some(0.0));
        assert_eq!(f1(&answers(&[(true, true), (true, false), (false, false)])), Some(2.0 / 3.0));
    }

    #[test]
    fn unknown_labels_are_not_used() {
        let answer = |given, right| Some(Answer { given, right });
        let found = f1_by_label(2, &[answer(true, true), None, answer(true, false), answer(false, false)]);
        assert_eq!((found.values, found.undefined), (vec![Some(2.0 / 3.0), None], 1));
        assert_eq!(f1_by_label(0, &[]).macro_mean, None);
    }

    #[test]
    fn the_level_without_information() {
        let everything: Vec<_> = (0..10).map(|record| Answer { given: true, right: record < 3 }).collect();
        assert_eq!(always_positive_f1(3, 7), f1(&everything));
        assert_eq!(always_positive_f1(0, 7), None);
    }
}
