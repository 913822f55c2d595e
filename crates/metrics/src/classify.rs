//! Classification scores: accuracy, share of the most frequent class, scores of each class, AUROC.

use crate::mean::mean;
use std::collections::HashMap;
use std::hash::Hash;

/// A prediction with the true answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The model's prediction.
    pub given: T,
    /// The true answer.
    pub right: T,
}

/// The scores of one class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// Number of records of the class.
    pub count: usize,
    /// Share of the records of the class that were predicted correctly; `None` if the class has no records.
    pub recall: Option<f64>,
    /// Share of the predictions of the class that are right; `None` if the class was never predicted.
    pub precision: Option<f64>,
    /// Share of the records of other classes that were not predicted as this class; `None` if there are no such records.
    pub specificity: Option<f64>,
    /// The F1 score, the harmonic mean of precision and recall; `None` if the class has no records and was never predicted.
    pub f1: Option<f64>,
}

/// Numbers of records and predictions of one class, from which its scores follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClassCounts {
    /// Records of the class.
    pub right: usize,
    /// Predictions of the class.
    pub given: usize,
    /// Records of the class that were predicted correctly.
    pub both: usize,
}

impl ClassCounts {
    /// Adds one record: whether it is of the class, and whether it was predicted as the class.
    pub(crate) fn add(&mut self, right: bool, given: bool) {
        self.right += usize::from(right);
        self.given += usize::from(given);
        self.both += usize::from(right && given);
    }

    /// 2 x both / (right + given), which equals the harmonic mean of precision and recall where both are defined.
    pub(crate) fn f1(self) -> Option<f64> {
        share(2 * self.both, self.right + self.given)
    }

    /// The scores of the class; `records` is the number of records of all classes.
    pub(crate) fn scores(self, records: usize) -> ClassScores {
        let negatives = records - self.right;
        ClassScores {
            count: self.right,
            recall: share(self.both, self.right),
            precision: share(self.both, self.given),
            specificity: share(negatives - (self.given - self.both), negatives),
            f1: self.f1(),
        }
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The index of the largest value, such as the predicted class of a row of logits; of equal values the first. 0 for an empty row.
pub fn argmax(values: &[f32]) -> usize {
    let largest = values.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1).then(other.0.cmp(&one.0)));
    largest.map_or(0, |(index, _)| index)
}

/// For each prediction 1 if it is right, otherwise 0; for use with [`bootstrap_mean`](crate::bootstrap_mean).
pub fn correct<T: PartialEq>(answers: &[Answer<T>]) -> Vec<Option<f64>> {
    answers.iter().map(|answer| Some(f64::from(u8::from(answer.given == answer.right)))).collect()
}

/// Share of right predictions; `None` if there are no predictions.
pub fn accuracy<T: PartialEq>(answers: &[Answer<T>]) -> Option<f64> {
    mean(correct(answers))
}

/// Share of the most frequent true answer: the accuracy of a model that always predicts this answer, which is the baseline for
/// accuracy. `None` if there are no predictions.
pub fn majority_share<T: Eq + Hash>(answers: &[Answer<T>]) -> Option<f64> {
    let mut counts = HashMap::new();
    answers.iter().for_each(|answer| *counts.entry(&answer.right).or_insert(0usize) += 1);
    counts.values().max().map(|count| *count as f64 / answers.len() as f64)
}

/// The scores of each of the classes `0..classes`. A prediction outside this range belongs to no class, but it still lowers the
/// recall of the true class.
pub fn per_class(classes: usize, answers: &[Answer<usize>]) -> Vec<ClassScores> {
    class_counts(classes, answers).into_iter().map(|counts| counts.scores(answers.len())).collect()
}

/// The counts of each of the classes `0..classes`.
pub(crate) fn class_counts(classes: usize, answers: &[Answer<usize>]) -> Vec<ClassCounts> {
    let mut counts = vec![ClassCounts::default(); classes];
    for answer in answers {
        if answer.given == answer.right {
            counts.get_mut(answer.right).into_iter().for_each(|counts| counts.add(true, true));
        } else {
            counts.get_mut(answer.right).into_iter().for_each(|counts| counts.add(true, false));
            counts.get_mut(answer.given).into_iter().for_each(|counts| counts.add(false, true));
        }
    }
    counts
}

/// Mean recall of the classes that have records, so that a rare class weighs as much as a frequent one. Its chance level is
/// 1 / (number of such classes). `None` if no class has records.
pub fn balanced_accuracy(classes: usize, answers: &[Answer<usize>]) -> Option<f64> {
    mean(per_class(classes, answers).into_iter().map(|class| class.recall))
}

/// Area under the receiver operating characteristic curve (AUROC): the probability that a positive record has a higher score
/// than a negative one; a tie counts as one half. Takes (score, is positive) of each record; O(n log n).
///
/// `None` if there are no positives or no negatives, or if a score is NaN, because NaN has no order.
pub fn auroc(records: impl IntoIterator<Item = (f32, bool)>) -> Option<f64> {
    let mut records: Vec<(f32, bool)> = records.into_iter().collect();
    if records.iter().any(|(score, _)| score.is_nan()) {
        return None;
    }
    records.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut positives, mut negatives, mut won) = (0usize, 0usize, 0.0);
    // Scores are compared with `==`, so that -0 and 0 are the same score.
    for tied in records.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|(_, positive)| *positive).count();
        let negative = tied.len() - positive;
        won += positive as f64 * (negatives as f64 + negative as f64 / 2.0);
        (positives, negatives) = (positives + positive, negatives + negative);
    }
    (positives > 0 && negatives > 0).then(|| won / (positives as f64 * negatives as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(given: &[usize], right: &[usize]) -> Vec<Answer<usize>> {
        given.iter().zip(right).map(|(&given, &right)| Answer { given, right }).collect()
    }

    #[test]
    fn of_equal_values_the_first_is_the_largest() {
        assert_eq!([argmax(&[1.0, 3.0, 3.0]), argmax(&[-1.0]), argmax(&[])], [1, 0, 0]);
    }

    fn close(value: Option<f64>, expected: f64) -> bool {
        value.is_some_and(|value| (value - expected).abs() < 1e-12)
    }

    #[test]
    fn class_scores_equal_scikit_learn() {
        // scikit-learn 1.9.1, labels [0,0,0,1,1,2,2,2,2,0], predictions [0,1,0,1,1,2,0,2,2,2]: accuracy_score 0.7,
        // balanced_accuracy_score 0.75, precision_recall_fscore_support: precision [2/3, 2/3, 3/4], recall [0.5, 1, 0.75],
        // support [4, 2, 4].
        let answers = answers(&[0, 1, 0, 1, 1, 2, 0, 2, 2, 2], &[0, 0, 0, 1, 1, 2, 2, 2, 2, 0]);
        assert!(close(accuracy(&answers), 0.7));
        assert!(close(balanced_accuracy(3, &answers), 0.75));
        assert!(close(majority_share(&answers), 0.4));
        let expected = [(4, 0.5, 2.0 / 3.0), (2, 1.0, 2.0 / 3.0), (4, 0.75, 0.75)];
        for (class, (count, recall, precision)) in per_class(3, &answers).into_iter().zip(expected) {
            assert_eq!(class.count, count);
            assert!(close(class.recall, recall) && close(class.precision, precision), "{class:?}");
        }
    }

    #[test]
    fn a_class_without_records_or_predictions_is_undefined() {
        let classes = per_class(3, &answers(&[0, 0, 7], &[0, 1, 1]));
        let second =
            ClassScores { count: 2, recall: Some(0.0), precision: None, specificity: Some(1.0), f1: Some(0.0) };
        assert_eq!(classes[1], second);
        let third = ClassScores { count: 0, recall: None, precision: None, specificity: Some(1.0), f1: None };
        assert_eq!(classes[2], third);
        assert_eq!(per_class(1, &answers(&[0], &[0]))[0].specificity, None, "no record of another class");
        assert_eq!(balanced_accuracy(3, &answers(&[0, 0, 7], &[0, 1, 1])), Some(0.5));
    }

    #[test]
    fn scores_without_predictions_are_undefined() {
        assert_eq!(accuracy::<usize>(&[]), None);
        assert_eq!(majority_share::<&str>(&[]), None);
        assert_eq!(balanced_accuracy(2, &[]), None);
    }

    #[test]
    fn auroc_equals_scikit_learn() {
        // scikit-learn 1.9.1, roc_auc_score: 0.75 (the example of its manual); 0.76 with ties.
        let plain = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        assert!(close(auroc(plain), 0.75));
        let scores = [0.5, 0.5, 0.2, 0.9, 0.5, 0.1, 0.7, 0.2, 0.2, 0.9];
        let labels = [true, false, false, true, true, false, false, true, false, true];
        assert!(close(auroc(scores.into_iter().zip(labels)), 0.76));
    }

    #[test]
    fn auroc_of_a_thousand_tied_scores_equals_scikit_learn() {
        // scikit-learn 1.9.1, roc_auc_score 0.6693886174459199 with 421 positives; 50 distinct scores from the linear
        // congruential generator of ANSI C with seed 7, two draws for each record.
        let mut state = 7u64;
        let mut draw = || {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            state >> 16
        };
        let records: Vec<(f32, bool)> = (0..1_000)
            .map(|_| {
                let score = draw() % 50;
                (score as f32 / 8.0, draw() % 100 < 20 + score)
            })
            .collect();
        assert_eq!(records.iter().filter(|(_, positive)| *positive).count(), 421);
        assert!(close(auroc(records.iter().copied()), 0.669_388_617_445_919_9));
        let negated = records.iter().map(|(score, positive)| (-score, *positive));
        assert!(close(auroc(negated), 1.0 - 0.669_388_617_445_919_9));
    }

    #[test]
    fn auroc_without_one_class_or_with_nan_is_undefined() {
        assert_eq!(auroc([]), None);
        assert_eq!(auroc([(0.1, true), (0.2, true)]), None);
        assert_eq!(auroc([(0.1, false)]), None);
        assert_eq!(auroc([(f32::NAN, true), (0.1, false)]), None);
    }

    #[test]
    fn auroc_accepts_both_zeros_and_infinities() {
        assert_eq!(auroc([(-0.0, true), (0.0, false)]), Some(0.5));
        assert_eq!(auroc([(f32::INFINITY, true), (f32::NEG_INFINITY, false)]), Some(1.0));
    }
}
