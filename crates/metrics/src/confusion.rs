//! The confusion matrix of a classifier.

use crate::classify::{Answer, ClassCounts, ClassScores};
use crate::mean::mean;

/// How often each class was predicted for the records of each class.
///
/// Classes are `0..classes`. All other numbers, as true class or as prediction, are counted together as one further
/// class with the number `classes`, which has no scores of its own; so the scores equal [`accuracy`](crate::accuracy),
/// [`per_class`](crate::per_class) and [`balanced_accuracy`](crate::balanced_accuracy) of the same answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// Row-major `[classes + 1, classes + 1]`: the true class by the predicted class.
    counts: Vec<usize>,
    correct: usize,
}

impl ConfusionMatrix {
    /// Counts the answers. Memory for (classes + 1)^2 numbers.
    pub fn new(classes: usize, answers: &[Answer<usize>]) -> Self {
        let mut counts = vec![0; (classes + 1) * (classes + 1)];
        for answer in answers {
            counts[answer.right.min(classes) * (classes + 1) + answer.given.min(classes)] += 1;
        }
        Self { classes, counts, correct: answers.iter().filter(|answer| answer.given == answer.right).count() }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of records of the class `right` that were predicted as the class `given`; the number of [`Self::classes`]
    /// and all above it stand for the answers outside of the classes.
    pub fn count(&self, right: usize, given: usize) -> usize {
        self.counts[right.min(self.classes) * (self.classes + 1) + given.min(self.classes)]
    }

    /// Number of records.
    pub fn records(&self) -> usize {
        self.counts.iter().sum()
    }

    /// The scores of each class.
    pub fn per_class(&self) -> Vec<ClassScores> {
        let records = self.records();
        let all = 0..=self.classes;
        (0..self.classes)
            .map(|class| {
                let right = all.clone().map(|given| self.count(class, given)).sum();
                let given = all.clone().map(|right| self.count(right, class)).sum();
                ClassCounts { right, given, both: self.count(class, class) }.scores(records)
            })
            .collect()
    }

    /// Share of right predictions; `None` if there are no records.
    pub fn accuracy(&self) -> Option<f64> {
        let records = self.records();
        (records > 0).then(|| self.correct as f64 / records as f64)
    }

    /// Mean recall of the classes that have records; `None` if no class has records.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        mean(self.per_class().into_iter().map(|class| class.recall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_random::{Key, Place};

    #[test]
    fn scores_equal_those_without_a_matrix() {
        let mut stream = Key::new(4).stream(Place::Sample, 0);
        for records in 0..60 {
            // Some answers are outside of the four classes.
            let mut draw = || stream.below(6);
            let answers: Vec<_> = (0..records).map(|_| Answer { given: draw(), right: draw() }).collect();
            let matrix = ConfusionMatrix::new(4, &answers);
            assert_eq!(matrix.records(), records);
            assert_eq!(matrix.per_class(), crate::per_class(4, &answers));
            assert_eq!(matrix.accuracy(), crate::accuracy(&answers));
            assert_eq!(matrix.balanced_accuracy(), crate::balanced_accuracy(4, &answers));
        }
    }

    #[test]
    fn rows_are_true_classes() {
        let answers = [(0, 0), (1, 0), (1, 0), (5, 1)].map(|(given, right)| Answer { given, right });
        let matrix = ConfusionMatrix::new(2, &answers);
        assert_eq!((matrix.classes(), matrix.count(0, 0), matrix.count(0, 1), matrix.count(1, 0)), (2, 1, 2, 0));
        assert_eq!(
            (matrix.count(1, 2), matrix.count(1, 5)),
            (1, 1),
            "all answers outside of the classes are one class"
        );
    }

    #[test]
    fn no_records_are_undefined() {
        let matrix = ConfusionMatrix::new(2, &[]);
        assert_eq!((matrix.accuracy(), matrix.balanced_accuracy()), (None, None));
        assert_eq!(ConfusionMatrix::new(0, &[]).accuracy(), None);
    }
}
