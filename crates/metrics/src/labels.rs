//! AUROC and average precision for several labels (multi-label) or several classes (one versus rest): for each label,
//! and averaged over labels.

use crate::classify::auroc;
use crate::mean::mean;
use crate::threshold::average_precision;
use std::fmt;

/// A score of a binary classifier that needs no threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryScore {
    /// Area under the receiver operating characteristic curve, see [`auroc`].
    Auroc,
    /// Average precision, see [`average_precision`].
    AveragePrecision,
}

impl BinaryScore {
    fn of(self, records: impl IntoIterator<Item = (f32, bool)>) -> Option<f64> {
        match self {
            Self::Auroc => auroc(records),
            Self::AveragePrecision => average_precision(records),
        }
    }

    fn chance(self, positives: usize, negatives: usize) -> Option<f64> {
        (positives > 0 && negatives > 0).then(|| match self {
            Self::Auroc => 0.5,
            Self::AveragePrecision => positives as f64 / (positives + negatives) as f64,
        })
    }

    /// The score of one label.
    fn label(self, records: &[(f32, bool)]) -> LabelScore {
        let positives = records.iter().filter(|(_, positive)| *positive).count();
        let negatives = records.len() - positives;
        LabelScore {
            positives,
            negatives,
            value: self.of(records.iter().copied()),
            chance: self.chance(positives, negatives),
        }
    }
}

impl fmt::Display for BinaryScore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Auroc => "AUROC",
            Self::AveragePrecision => "average precision",
        })
    }
}

/// The score of one label, or of one class against all others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelScore {
    /// Number of positive records.
    pub positives: usize,
    /// Number of negative records.
    pub negatives: usize,
    /// The score; `None` without positives, without negatives, or if a score is NaN.
    pub value: Option<f64>,
    /// The score that a random order is expected to get: 0.5 for AUROC, the share of positives for average precision.
    /// `None` without positives or without negatives.
    pub chance: Option<f64>,
}

/// A score for several labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelAverages {
    /// The macro average: the mean over the labels that have positives and negatives. `None` if there are no such
    /// labels, or if one of them has a score that is NaN (a label must not be left out because the model failed on it).
    pub macro_mean: Option<f64>,
    /// The chance level of the macro average: the mean of the chance levels of the same labels.
    pub macro_chance: Option<f64>,
    /// The micro average: the score of all pairs of record and label together, also of labels without positives or
    /// negatives.
    pub micro: LabelScore,
    /// The score of each label.
    pub labels: Vec<LabelScore>,
    /// Number of labels without positives or without negatives, which the macro average leaves out.
    pub undefined: usize,
}

/// The score of each label and its averages (multi-label). `scores` and `truths` are row-major `[records, labels]`; a
/// truth that is `None` is unknown, and the pair of record and label is not used. The same as scikit-learn's
/// `average="macro"`, `"micro"` and `None`, except that labels without positives or without negatives are undefined.
///
/// # Panics
/// If `scores` and `truths` differ in length, or if their length is not a multiple of `labels`.
pub fn scores_by_label(score: BinaryScore, labels: usize, scores: &[f32], truths: &[Option<bool>]) -> LabelAverages {
    assert_eq!(scores.len(), truths.len(), "each score needs a truth");
    averages(score, labels, scores, |entry| truths[entry])
}

/// The score of each class against all others (one versus rest) and its averages. `scores` is row-major
/// `[records, classes]`; `right` has the true class of each record. A record whose true class is not in `0..classes` is
/// a negative of every class.
///
/// # Panics
/// If `scores` does not have one row of `classes` scores for each element of `right`.
pub fn scores_one_versus_rest(score: BinaryScore, classes: usize, scores: &[f32], right: &[usize]) -> LabelAverages {
    assert_eq!(scores.len(), right.len() * classes, "each record needs a score for each class");
    averages(score, classes, scores, |entry| Some(right[entry / classes] == entry % classes))
}

/// `truth` gives the truth of an entry of the row-major matrix.
fn averages(score: BinaryScore, labels: usize, scores: &[f32], truth: impl Fn(usize) -> Option<bool>) -> LabelAverages {
    assert!(scores.len().is_multiple_of(labels), "the matrix must have whole rows");
    let known = |entry: usize| Some((scores[entry], truth(entry)?));
    let of_label =
        |label: usize| -> Vec<(f32, bool)> { (label..scores.len()).step_by(labels).filter_map(known).collect() };
    let by_label: Vec<LabelScore> = (0..labels).map(|label| score.label(&of_label(label))).collect();
    let average = MacroAverage::of(&by_label);
    LabelAverages {
        macro_mean: average.mean,
        macro_chance: average.chance,
        micro: score.label(&(0..scores.len()).filter_map(known).collect::<Vec<_>>()),
        undefined: average.undefined,
        labels: by_label,
    }
}

/// The mean score over the labels that have positives and negatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MacroAverage {
    /// The mean, see [`LabelAverages::macro_mean`].
    pub mean: Option<f64>,
    /// The mean of the chance levels of the same labels.
    pub chance: Option<f64>,
    /// Number of labels without positives or without negatives, which the average leaves out.
    pub undefined: usize,
}

impl MacroAverage {
    fn of(labels: &[LabelScore]) -> Self {
        let defined: Vec<&LabelScore> = labels.iter().filter(|label| label.chance.is_some()).collect();
        let failed = defined.iter().any(|label| label.value.is_none());
        Self {
            mean: if failed { None } else { mean(defined.iter().map(|label| label.value)) },
            chance: mean(defined.iter().map(|label| label.chance)),
            undefined: labels.len() - defined.len(),
        }
    }
}

/// The macro average alone, which takes much less time than all of [`LabelAverages`]. For each label, the (score, is positive) of each record
/// for which it is known.
pub fn macro_average(score: BinaryScore, labels: impl IntoIterator<Item = Vec<(f32, bool)>>) -> MacroAverage {
    MacroAverage::of(&labels.into_iter().map(|records| score.label(&records)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_without_one_class_are_left_out_and_counted() {
        // Three labels; the second has no positives, and the truth of one pair is unknown.
        let scores = [0.9, 0.2, 0.4, 0.1, 0.8, 0.6, 0.3, 0.5, 0.7];
        let truths = [1, 0, 0, 0, 0, 1, 2, 0, 0].map(|truth| (truth < 2).then_some(truth == 1));
        let auroc = scores_by_label(BinaryScore::Auroc, 3, &scores, &truths);
        let values: Vec<_> = auroc.labels.iter().map(|label| label.value).collect();
        assert_eq!(values, [Some(1.0), None, Some(0.5)]);
        assert_eq!((auroc.macro_mean, auroc.macro_chance, auroc.undefined), (Some(0.75), Some(0.5), 1));
        assert_eq!((auroc.labels[0].positives, auroc.labels[0].negatives), (1, 1));
        assert_eq!((auroc.micro.positives, auroc.micro.negatives), (2, 6));
        assert_eq!(auroc.micro.value, Some((6.0 + 4.0) / 12.0));
        let precision = scores_by_label(BinaryScore::AveragePrecision, 3, &scores, &truths);
        assert_eq!(precision.macro_mean, Some((1.0 + 0.5) / 2.0));
        assert_eq!(precision.macro_chance, Some((1.0 / 2.0 + 1.0 / 3.0) / 2.0));
        assert_eq!(precision.micro.chance, Some(0.25));
    }

    #[test]
    fn a_label_with_nan_makes_the_averages_undefined() {
        let (scores, truths) = ([0.1, f32::NAN, 0.9, 0.5], [false, false, true, true].map(Some));
        let found = scores_by_label(BinaryScore::Auroc, 2, &scores, &truths);
        assert_eq!((found.labels[0].value, found.labels[1].value), (Some(1.0), None));
        assert_eq!((found.macro_mean, found.micro.value, found.undefined), (None, None, 0));
    }

    #[test]
    fn nothing_is_undefined() {
        for labels in [0, 3] {
            let found = scores_by_label(BinaryScore::AveragePrecision, labels, &[], &[]);
            assert_eq!((found.macro_mean, found.macro_chance, found.micro.value), (None, None, None));
            assert_eq!((found.labels.len(), found.undefined), (labels, labels));
        }
        assert_eq!(scores_one_versus_rest(BinaryScore::Auroc, 0, &[], &[1]).macro_mean, None);
    }

    #[test]
    fn a_record_of_an_unknown_class_is_a_negative_of_all() {
        let found = scores_one_versus_rest(BinaryScore::Auroc, 2, &[0.9, 0.1, 0.2, 0.8, 0.5, 0.5], &[0, 1, 7]);
        let counts: Vec<_> = found.labels.iter().map(|label| (label.positives, label.negatives)).collect();
        assert_eq!(counts, [(1, 2), (1, 2)]);
        assert_eq!(found.macro_mean, Some(1.0));
    }

    #[test]
    #[should_panic(expected = "whole rows")]
    fn a_matrix_without_whole_rows_is_rejected() {
        scores_by_label(BinaryScore::Auroc, 2, &[0.5; 3], &[Some(true); 3]);
    }
}
