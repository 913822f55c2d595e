//! Classification: accuracy beside the share of the most frequent class, scores of each class, AUROC.

use crate::mean::mean;
use std::collections::HashMap;
use std::hash::Hash;

/// One question answered: what was given and what is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// What the model said.
    pub given: T,
    /// What is true.
    pub right: T,
}

/// What one class scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// Records of the class.
    pub count: usize,
    /// Share of the class's records that were found; `None` where the class has no record.
    pub recall: Option<f64>,
    /// Share of the answers naming the class that were right; `None` where no answer names it.
    pub precision: Option<f64>,
}

/// For each answer 1 where it is right, else 0, ready for [`bootstrap_mean`](crate::bootstrap_mean).
pub fn correct<T: PartialEq>(answers: &[Answer<T>]) -> Vec<Option<f64>> {
    answers.iter().map(|answer| Some(f64::from(u8::from(answer.given == answer.right)))).collect()
}

/// Share of right answers; `None` of none.
pub fn accuracy<T: PartialEq>(answers: &[Answer<T>]) -> Option<f64> {
    mean(correct(answers))
}

/// Share of the most frequent right answer: the accuracy of always saying the same, which chance has to be measured by.
/// `None` of none.
pub fn majority_share<T: Eq + Hash>(answers: &[Answer<T>]) -> Option<f64> {
    let mut counts = HashMap::new();
    answers.iter().for_each(|answer| *counts.entry(&answer.right).or_insert(0usize) += 1);
    counts.values().max().map(|count| *count as f64 / answers.len() as f64)
}

/// Recall and precision of each of the classes `0..classes`. Answers outside that range belong to no class: a wrong one
/// still counts against the recall of the right class.
pub fn per_class(classes: usize, answers: &[Answer<usize>]) -> Vec<ClassScores> {
    let (mut count, mut named, mut found) = (vec![0usize; classes], vec![0usize; classes], vec![0usize; classes]);
    let add = |counts: &mut Vec<usize>, class: usize| counts.get_mut(class).into_iter().for_each(|count| *count += 1);
    for answer in answers {
        add(&mut count, answer.right);
        add(&mut named, answer.given);
        if answer.given == answer.right {
            add(&mut found, answer.right);
        }
    }
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    (0..classes)
        .map(|class| ClassScores {
            count: count[class],
            recall: share(found[class], count[class]),
            precision: share(found[class], named[class]),
        })
        .collect()
}

/// Mean recall of the classes that have records, so that a rare class weighs as much as a frequent one; chance is
/// 1 / (number of such classes). `None` where there is none.
pub fn balanced_accuracy(classes: usize, answers: &[Answer<usize>]) -> Option<f64> {
    mean(per_class(classes, answers).into_iter().map(|class| class.recall))
}

/// Area under the receiver operating characteristic: the probability that a positive record is scored above a negative
/// one, ties counting half. Takes (score, is positive) of each record; O(n log n).
///
/// `None` where positives or negatives are missing, or where a score is NaN: no order, no area.
pub fn auroc(records: impl IntoIterator<Item = (f32, bool)>) -> Option<f64> {
    let mut records: Vec<(f32, bool)> = records.into_iter().collect();
    if records.iter().any(|(score, _)| score.is_nan()) {
        return None;
    }
    records.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut positives, mut negatives, mut won) = (0usize, 0usize, 0.0);
    // Equal by `==`, so that -0 and 0 are one score.
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

    fn close(value: Option<f64>, expected: f64) -> bool {
        value.is_some_and(|value| (value - expected).abs() < 1e-12)
    }

    #[test]
    fn classes_as_scikit_learn_has_them() {
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
    fn a_class_without_records_or_answers_is_undefined() {
        let classes = per_class(3, &answers(&[0, 0, 7], &[0, 1, 1]));
        assert_eq!(classes[1], ClassScores { count: 2, recall: Some(0.0), precision: None });
        assert_eq!(classes[2], ClassScores { count: 0, recall: None, precision: None });
        assert_eq!(balanced_accuracy(3, &answers(&[0, 0, 7], &[0, 1, 1])), Some(0.5));
    }

    #[test]
    fn nothing_answered_is_undefined() {
        assert_eq!(accuracy::<usize>(&[]), None);
        assert_eq!(majority_share::<&str>(&[]), None);
        assert_eq!(balanced_accuracy(2, &[]), None);
    }

    #[test]
    fn auroc_as_scikit_learn_has_it() {
        // scikit-learn 1.9.1, roc_auc_score: 0.75 (the example of its manual); 0.76 with ties.
        let plain = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        assert!(close(auroc(plain), 0.75));
        let scores = [0.5, 0.5, 0.2, 0.9, 0.5, 0.1, 0.7, 0.2, 0.2, 0.9];
        let labels = [true, false, false, true, true, false, false, true, false, true];
        assert!(close(auroc(scores.into_iter().zip(labels)), 0.76));
    }

    #[test]
    fn auroc_of_a_thousand_tied_scores_as_scikit_learn_has_it() {
        // scikit-learn 1.9.1, roc_auc_score 0.6693886174459199 with 421 positives; 50 distinct scores from the linear
        // congruence of ANSI C started at 7, two draws a record.
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
        let turned = records.iter().map(|(score, positive)| (-score, *positive));
        assert!(close(auroc(turned), 1.0 - 0.669_388_617_445_919_9));
    }

    #[test]
    fn auroc_without_one_class_or_with_nan_is_undefined() {
        assert_eq!(auroc([]), None);
        assert_eq!(auroc([(0.1, true), (0.2, true)]), None);
        assert_eq!(auroc([(0.1, false)]), None);
        assert_eq!(auroc([(f32::NAN, true), (0.1, false)]), None);
    }

    #[test]
    fn auroc_takes_both_zeros_and_infinities() {
        assert_eq!(auroc([(-0.0, true), (0.0, false)]), Some(0.5));
        assert_eq!(auroc([(f32::INFINITY, true), (f32::NEG_INFINITY, false)]), Some(1.0));
    }
}
