//! Calibration: whether predicted probabilities agree with observed frequencies.
//!
//! Binary functions take (probability, whether the predicted event happened) of each record: the probability of the
//! positive class and whether the record is positive, or, for several classes, the confidence and correctness from
//! [`top_label`]. Without records, or if a probability is NaN or outside [0, 1], the scores are `None`.

use crate::mean::mean;

/// The usual number of bins of the expected calibration error.
pub const CALIBRATION_BINS: usize = 15;

/// One bin of a reliability curve: the records whose probability is above `low` and at most `high`. The first bin also
/// has those with probability 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReliabilityBin {
    /// Lower end, not in the bin.
    pub low: f64,
    /// Upper end, in the bin.
    pub high: f64,
    /// Number of records.
    pub count: usize,
    /// Mean probability; `None` in an empty bin.
    pub confidence: Option<f64>,
    /// Share of records for which the event happened; `None` in an empty bin.
    pub accuracy: Option<f64>,
}

/// The reliability curve (reliability diagram) with `bins` bins of equal width. `None` also if `bins` is 0.
pub fn reliability_curve(bins: usize, records: impl IntoIterator<Item = (f32, bool)>) -> Option<Vec<ReliabilityBin>> {
    let records = checked(records)?;
    // Count, sum of probabilities and number of events of each bin.
    let mut sums = vec![(0usize, 0.0, 0usize); bins];
    for (probability, happened) in records {
        // The product of a 32-bit float and the number of bins is exact in f64, so no record falls on the wrong side.
        let bin = ((probability * bins as f64).ceil() as usize).saturating_sub(1);
        let sum = sums.get_mut(bin)?;
        *sum = (sum.0 + 1, sum.1 + probability, sum.2 + usize::from(happened));
    }
    let bin = |(bin, (count, total, events)): (usize, (usize, f64, usize))| ReliabilityBin {
        low: bin as f64 / bins as f64,
        high: (bin + 1) as f64 / bins as f64,
        count,
        confidence: (count > 0).then(|| total / count as f64),
        accuracy: (count > 0).then(|| events as f64 / count as f64),
    };
    Some(sums.into_iter().enumerate().map(bin).collect())
}

/// The expected calibration error (ECE; Guo et al., "On calibration of modern neural networks", 2017): the mean over
/// records of the absolute difference between mean probability and share of events in the record's bin, for `bins` bins
/// of equal width ([`CALIBRATION_BINS`]). `None` also if `bins` is 0.
///
/// 0 is best. A model that gives every record the share of events also has 0, so it says nothing about how well a model
/// distinguishes records; the Brier score does.
pub fn expected_calibration_error(bins: usize, records: impl IntoIterator<Item = (f32, bool)>) -> Option<f64> {
    let curve = reliability_curve(bins, records)?;
    let records: usize = curve.iter().map(|bin| bin.count).sum();
    let gap = |bin: &ReliabilityBin| Some((bin.confidence? - bin.accuracy?).abs() * bin.count as f64);
    Some(curve.iter().filter_map(gap).sum::<f64>() / records as f64)
}

/// The Brier score of a binary classifier: mean of (probability - event)^2, where an event is 1 or 0. 0 is best; for
/// the level without information see [`chance_brier`].
pub fn brier(records: impl IntoIterator<Item = (f32, bool)>) -> Option<f64> {
    mean(
        checked(records)?
            .into_iter()
            .map(|(probability, happened)| Some((probability - f64::from(u8::from(happened))).powi(2))),
    )
}

/// The Brier score of a model that gives every record the share p of positives: p (1 - p). `None` without records.
pub fn chance_brier(positives: usize, negatives: usize) -> Option<f64> {
    let records = (positives + negatives) as f64;
    (records > 0.0).then(|| positives as f64 / records * (negatives as f64 / records))
}

/// The Brier score of several classes: mean over records of the sum over classes of (probability - target)^2, where the
/// target is 1 for the true class and 0 for the others; between 0 and 2 (scikit-learn's `brier_score_loss` with
/// `scale_by_half=False`). `probabilities` is row-major `[records, classes]`; a true class outside of `0..classes` has
/// no target of 1.
///
/// # Panics
/// If `probabilities` does not have one row of `classes` numbers for each element of `right`.
pub fn brier_of_classes(probabilities: &[f32], classes: usize, right: &[usize]) -> Option<f64> {
    assert_rows(probabilities, classes, right);
    let entries = probabilities.iter().enumerate();
    let targets = entries.map(|(entry, probability)| (*probability, right[entry / classes] == entry % classes));
    brier(targets).map(|mean_of_entries| mean_of_entries * classes as f64)
}

/// [`brier_of_classes`] of a model that gives every record the share of each class: 1 - the sum of squared shares.
/// `None` without records.
pub fn chance_brier_of_classes(records_of_classes: &[usize]) -> Option<f64> {
    let records = records_of_classes.iter().sum::<usize>() as f64;
    (records > 0.0).then(|| 1.0 - records_of_classes.iter().map(|count| (*count as f64 / records).powi(2)).sum::<f64>())
}

/// The confidence (largest probability) of each record and whether the class with this probability is the true one.
/// `probabilities` is row-major `[records, classes]`. A true class that shares the largest probability with another
/// class counts as wrong. If one of the probabilities is NaN, the confidence is NaN.
///
/// # Panics
/// If `probabilities` does not have one row of `classes` numbers for each element of `right`.
pub fn top_label(probabilities: &[f32], classes: usize, right: &[usize]) -> Vec<(f32, bool)> {
    assert_rows(probabilities, classes, right);
    if classes == 0 {
        return Vec::new();
    }
    let rows = probabilities.chunks_exact(classes).zip(right);
    rows.map(|(row, &right)| {
        if row.iter().any(|probability| probability.is_nan()) {
            return (f32::NAN, false);
        }
        let others = row.iter().enumerate().filter(|(class, _)| *class != right).map(|(_, probability)| *probability);
        let best_other = others.fold(f32::NEG_INFINITY, f32::max);
        let own = row.get(right).filter(|own| **own > best_other);
        own.map_or((best_other, false), |own| (*own, true))
    })
    .collect()
}

fn assert_rows(probabilities: &[f32], classes: usize, right: &[usize]) {
    assert_eq!(probabilities.len(), right.len() * classes, "each record needs a probability for each class");
}

/// The records, if there are any and all have a probability.
fn checked(records: impl IntoIterator<Item = (f32, bool)>) -> Option<Vec<(f64, bool)>> {
    let probability = |probability: f32| (0.0..=1.0).contains(&probability).then(|| f64::from(probability));
    let records: Option<Vec<_>> =
        records.into_iter().map(|(value, happened)| Some((probability(value)?, happened))).collect();
    records.filter(|records| !records.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_open_below_and_closed_above() {
        let records = [(0.0, false), (0.25, true), (0.5, false), (0.5, true), (1.0, true)];
        let curve = reliability_curve(4, records).unwrap();
        assert_eq!(curve.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2, 2, 0, 1]);
        assert_eq!((curve[0].confidence, curve[0].accuracy), (Some(0.125), Some(0.5)));
        assert_eq!((curve[2].low, curve[2].high, curve[2].confidence, curve[2].accuracy), (0.5, 0.75, None, None));
        // |0.125 - 0.5| x 2, |0.5 - 0.5| x 2 and |1 - 1| x 1, divided by 5.
        assert_eq!(expected_calibration_error(4, records), Some(0.15));
    }

    #[test]
    fn a_probability_on_an_edge_is_in_the_bin_below() {
        for bins in 1..200 {
            for edge in 1..=bins {
                let probability = (edge as f64 / bins as f64) as f32;
                let curve = reliability_curve(bins, [(probability, true)]).unwrap();
                let found = curve.iter().position(|bin| bin.count == 1).unwrap();
                // A 32-bit float may be a little above the edge.
                let above = f64::from(probability) * bins as f64 > edge as f64;
                assert_eq!(found, edge - usize::from(!above), "{edge} of {bins}");
            }
        }
    }

    #[test]
    fn brier_scores_of_models_without_information() {
        let records = [(0.25, true), (0.25, false), (0.25, false), (0.25, false)];
        assert_eq!(brier(records), Some(0.1875));
        assert_eq!(chance_brier(1, 3), Some(0.1875));
        assert_eq!(expected_calibration_error(CALIBRATION_BINS, records), Some(0.0));
        let right = [0, 1, 1, 1];
        assert_eq!(brier_of_classes(&[0.25, 0.75].repeat(4), 2, &right), Some(0.375));
        assert_eq!(chance_brier_of_classes(&[1, 3]), Some(0.375));
        assert_eq!((chance_brier(0, 0), chance_brier_of_classes(&[0, 0])), (None, None));
    }

    #[test]
    fn a_tie_counts_as_wrong() {
        let probabilities = [0.4, 0.4, 0.2, 0.5, 0.3, 0.2, 0.2, 0.2, 0.6];
        assert_eq!(top_label(&probabilities, 3, &[0, 0, 9]), [(0.4, false), (0.5, true), (0.6, false)]);
        assert_eq!(top_label(&[1.0], 1, &[0]), [(1.0, true)]);
        assert!(top_label(&[], 0, &[1, 2]).is_empty());
    }

    #[test]
    fn invalid_probabilities_and_no_records_are_undefined() {
        for records in [&[][..], &[(f32::NAN, true), (0.5, true)], &[(1.5, true)], &[(-0.1, false)]] {
            assert_eq!(reliability_curve(15, records.iter().copied()), None);
            assert_eq!(expected_calibration_error(15, records.iter().copied()), None);
            assert_eq!(brier(records.iter().copied()), None);
        }
        assert_eq!(expected_calibration_error(0, [(0.5, true)]), None);
        assert_eq!(expected_calibration_error(0, [(0.0, true)]), None);
        for row in [[f32::NAN, 0.5], [0.5, f32::NAN]] {
            for right in [0, 1] {
                assert!(top_label(&row, 2, &[right])[0].0.is_nan());
            }
            assert_eq!(brier_of_classes(&row, 2, &[0]), None);
        }
    }
}
