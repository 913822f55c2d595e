//! Tests of the difference between two models on the same records. Records of one patient are similar, so patients are
//! the units of both tests, as they are for confidence intervals.

use crate::interval::number_groups;
use ptu_random::{Key, Place};
use statrs::function::beta::beta_reg;
use std::fmt;
use std::hash::Hash;

/// A paired test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairedTest {
    /// McNemar's exact test.
    McNemar,
    /// Permutation test over all exchanges of the two models.
    Permutation,
    /// Permutation test over a random sample of the exchanges (approximate randomization).
    Randomization,
}

impl fmt::Display for PairedTest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::McNemar => "exact McNemar test",
            Self::Permutation => "exact permutation test",
            Self::Randomization => "approximate randomization test",
        })
    }
}

/// The result of a paired test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedResult {
    /// The test.
    pub test: PairedTest,
    /// Mean of `first - second` over the records that both models have a value for.
    pub difference: f64,
    /// Two-sided p-value: the probability of a difference at least as large if the two models are exchangeable.
    pub p_value: f64,
    /// Number of groups (patients) with a record that both models have a value for.
    pub groups: usize,
    /// Number of these groups on which the two models differ.
    pub differing: usize,
}

/// Settings of the permutation test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Permutations {
    /// Number of random exchanges. If there are no more than this in all, each is used once and the test is exact.
    pub count: usize,
    /// The key of the random numbers: the same key gives the same p-value.
    pub key: Key,
}

impl Permutations {
    /// 10,000 exchanges: the smallest possible p-value is 0.0001.
    pub fn new(key: Key) -> Self {
        Self { count: 10_000, key }
    }
}

/// McNemar's exact test of two models that are right (1) or wrong (0) on the same records, as from
/// [`correct`](crate::correct) or [`found_at`](crate::found_at): a binomial test of the pairs in which only one of the
/// models is right. A record for which one of the models has `None` is not used.
///
/// McNemar's test needs independent pairs, so each patient counts once, for the model that is right on more of the
/// patient's records (a sign test over patients). With one record for each patient, this is the usual test.
///
/// `None` if fewer than two groups have a record, or if a value is neither 0 nor 1.
///
/// # Panics
/// If `first`, `second` and `groups` differ in length.
pub fn mcnemar<G: Eq + Hash>(first: &[Option<f64>], second: &[Option<f64>], groups: &[G]) -> Option<PairedResult> {
    if first.iter().chain(second).flatten().any(|value| *value != 0.0 && *value != 1.0) {
        return None;
    }
    let differences = Differences::new(first, second, groups)?;
    let won = differences.of_groups.iter().filter(|difference| **difference > 0.0).count();
    let lost = differences.of_groups.iter().filter(|difference| **difference < 0.0).count();
    Some(differences.result(PairedTest::McNemar, sign_test(won, lost)))
}

/// Permutation test of the mean difference of two models on the same records (also known as approximate randomization;
/// Noreen, "Computer-intensive methods for testing hypotheses", 1989). If the models are exchangeable, the sign of each
/// patient's difference is arbitrary; all records of a patient are exchanged together. The p-value is the share of the
/// exchanges with a mean difference at least as large as the observed one. In a random sample of exchanges, the
/// observed one counts as one of them, so the p-value is never 0.
///
/// `None` if fewer than two groups have a record that both models have a value for, if a value is infinite or NaN, or
/// if there are no permutations.
///
/// # Panics
/// If `first`, `second` and `groups` differ in length.
pub fn permutation_test<G: Eq + Hash>(
    first: &[Option<f64>],
    second: &[Option<f64>],
    groups: &[G],
    permutations: &Permutations,
) -> Option<PairedResult> {
    let differences = Differences::new(first, second, groups).filter(|_| permutations.count > 0)?;
    // Exchanging the models for a patient on whom they agree has no effect.
    let differing: Vec<f64> = differences.of_groups.iter().copied().filter(|difference| *difference != 0.0).collect();
    // The number of all exchanges, 2^groups, if it is small enough.
    let all = u32::try_from(differing.len()).ok().and_then(|groups| 1usize.checked_shl(groups));
    Some(match all.filter(|all| *all <= permutations.count) {
        Some(all) => {
            let extreme =
                count_extreme(&differing, (0..all).map(|exchange| move |group: usize| exchange >> group & 1 == 1));
            differences.result(PairedTest::Permutation, extreme as f64 / all as f64)
        }
        None => {
            let exchanges = (0..permutations.count).map(|permutation| {
                let mut stream = permutations.key.stream(Place::Permutation, permutation as u64);
                let words: Vec<u32> = (0..differing.len().div_ceil(32)).map(|_| stream.next_u32()).collect();
                move |group: usize| words[group / 32] >> (group % 32) & 1 == 1
            });
            let extreme = count_extreme(&differing, exchanges);
            differences.result(PairedTest::Randomization, (extreme + 1) as f64 / (permutations.count + 1) as f64)
        }
    })
}

/// Number of the exchanges with a sum at least as large as without an exchange. Each exchange tells whether the sign of
/// a group changes.
fn count_extreme(differences: &[f64], exchanges: impl Iterator<Item = impl Fn(usize) -> bool>) -> usize {
    let observed: f64 = differences.iter().sum();
    // Equal sums may differ by rounding, which depends on the order of the signs; they count against a difference.
    let rounding = 1e-12 * differences.iter().map(|difference| difference.abs()).sum::<f64>();
    exchanges
        .filter(|exchanged| {
            let signed = differences.iter().enumerate().map(|(group, d)| if exchanged(group) { -d } else { *d });
            signed.sum::<f64>().abs() >= observed.abs() - rounding
        })
        .count()
}

/// Two-sided p-value of an exact binomial test with probability 1/2.
fn sign_test(won: usize, lost: usize) -> f64 {
    let (fewer, all) = (won.min(lost) as f64, (won + lost) as f64);
    if won == lost {
        return 1.0;
    }
    // The probability of at most `fewer` successes among `all` draws, as a regularised incomplete beta function.
    (2.0 * beta_reg(all - fewer, fewer + 1.0, 0.5)).min(1.0)
}

/// Differences of two models on the records that both have a value for.
struct Differences {
    /// The sum of the differences of each group.
    of_groups: Vec<f64>,
    records: usize,
}

impl Differences {
    /// `None` for fewer than two groups, or if a difference is infinite or NaN.
    fn new<G: Eq + Hash>(first: &[Option<f64>], second: &[Option<f64>], groups: &[G]) -> Option<Self> {
        assert_eq!(first.len(), second.len(), "both models need a value for each record");
        assert_eq!(first.len(), groups.len(), "each value has a group");
        let (differences, groups): (Vec<f64>, Vec<&G>) = first
            .iter()
            .zip(second)
            .zip(groups)
            .filter_map(|((own, other), group)| Some(((*own)? - (*other)?, group)))
            .unzip();
        let (group_of, count) = number_groups(groups.iter().copied());
        let mut of_groups = vec![0.0; count];
        differences.iter().zip(group_of).for_each(|(difference, group)| of_groups[group] += difference);
        let valid = count >= 2 && of_groups.iter().all(|difference| difference.is_finite());
        valid.then_some(Self { of_groups, records: differences.len() })
    }

    fn result(&self, test: PairedTest, p_value: f64) -> PairedResult {
        PairedResult {
            test,
            difference: self.of_groups.iter().sum::<f64>() / self.records as f64,
            p_value,
            groups: self.of_groups.len(),
            differing: self.of_groups.iter().filter(|difference| **difference != 0.0).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ones_and_zeros(ones: usize, zeros: usize) -> Vec<Option<f64>> {
        (0..ones + zeros).map(|record| Some(f64::from(u8::from(record < ones)))).collect()
    }

    fn permutations(count: usize) -> Permutations {
        Permutations { count, key: Key::new(3) }
    }

    #[test]
    fn mcnemar_equals_scipy() {
        // scipy 1.17.1, binomtest(k, n).pvalue.
        for (won, lost, expected) in
            [(4, 0, 0.125), (6, 0, 0.03125), (3, 9, 0.145_996_093_75), (5, 5, 1.0), (0, 0, 1.0)]
        {
            assert!((sign_test(won, lost) - expected).abs() < 1e-12, "{won} against {lost}");
        }
        assert!((sign_test(480, 520) - 0.217_448_293_204_141_5).abs() < 1e-9);
        assert!(sign_test(0, 5_000) < 1e-300);
    }

    #[test]
    fn a_patient_counts_once() {
        // The first model is right on all of 12 records, the second on none; the records are of two patients.
        let (first, second) = (ones_and_zeros(12, 0), ones_and_zeros(0, 12));
        let alone: Vec<usize> = (0..12).collect();
        let patients: Vec<usize> = (0..12).map(|record| record / 6).collect();
        let by_record = mcnemar(&first, &second, &alone).unwrap();
        let by_patient = mcnemar(&first, &second, &patients).unwrap();
        assert!((by_record.p_value - 2.0 * 0.5f64.powi(12)).abs() < 1e-15);
        assert!((by_patient.p_value - 0.5).abs() < 1e-12);
        assert_eq!((by_patient.difference, by_patient.groups, by_patient.differing), (1.0, 2, 2));
        let permuted = permutation_test(&first, &second, &patients, &permutations(100)).unwrap();
        assert_eq!((permuted.test, permuted.p_value), (PairedTest::Permutation, 0.5));
    }

    #[test]
    fn a_sample_of_exchanges_approximates_all_of_them() {
        let mut stream = Key::new(8).stream(Place::Sample, 0);
        let first: Vec<_> = (0..40).map(|_| Some(stream.normal() + 0.4)).collect();
        let second: Vec<_> = (0..40).map(|_| Some(stream.normal())).collect();
        let groups: Vec<usize> = (0..40).map(|record| record % 12).collect();
        let exact = permutation_test(&first, &second, &groups, &permutations(4_096)).unwrap();
        let sampled = permutation_test(&first, &second, &groups, &permutations(4_095)).unwrap();
        assert_eq!((exact.test, sampled.test), (PairedTest::Permutation, PairedTest::Randomization));
        let error = (exact.p_value * (1.0 - exact.p_value) / 4_095.0).sqrt();
        assert!((exact.p_value - sampled.p_value).abs() < 3.0 * error, "{exact:?} {sampled:?}");
        assert_eq!(Some(sampled), permutation_test(&first, &second, &groups, &permutations(4_095)), "the same key");
    }

    #[test]
    fn p_values_are_uniform_for_equal_models() {
        let trials = 400;
        let significant = (0..trials)
            .filter(|trial| {
                let mut stream = Key::new(9).stream(Place::Sample, *trial);
                let mut draw = || (0..60).map(|_| Some(stream.normal())).collect::<Vec<_>>();
                let (first, second) = (draw(), draw());
                let patients: Vec<usize> = (0..60).map(|record| record / 2).collect();
                permutation_test(&first, &second, &patients, &permutations(199)).unwrap().p_value <= 0.1
            })
            .count();
        let share = significant as f64 / trials as f64;
        assert!((0.06..0.15).contains(&share), "{share} of 0.1");
    }

    #[test]
    fn equal_models_have_a_p_value_of_one() {
        let values = ones_and_zeros(5, 5);
        let groups: Vec<usize> = (0..10).collect();
        let permuted = permutation_test(&values, &values, &groups, &permutations(1)).unwrap();
        assert_eq!((permuted.p_value, permuted.difference, permuted.differing), (1.0, 0.0, 0));
        assert_eq!(mcnemar(&values, &values, &groups).unwrap().p_value, 1.0);
    }

    #[test]
    fn a_sampled_p_value_is_never_zero() {
        let (first, second) = (ones_and_zeros(100, 0), ones_and_zeros(0, 100));
        let groups: Vec<usize> = (0..100).collect();
        let found = permutation_test(&first, &second, &groups, &permutations(99)).unwrap();
        assert_eq!((found.test, found.p_value), (PairedTest::Randomization, 0.01));
    }

    #[test]
    fn too_little_or_invalid_data_is_undefined() {
        let (one, zero) = (Some(1.0), Some(0.0));
        let both = |first: &[Option<f64>], second: &[Option<f64>], groups: &[u8]| {
            (mcnemar(first, second, groups), permutation_test(first, second, groups, &permutations(10)))
        };
        assert_eq!(both(&[], &[], &[]), (None, None));
        assert_eq!(both(&[one, one], &[zero, zero], &[1, 1]), (None, None));
        assert_eq!(both(&[one, None], &[zero, one], &[1, 2]), (None, None));
        assert_eq!(both(&[one, Some(f64::NAN)], &[zero, one], &[1, 2]), (None, None));
        assert_eq!(permutation_test(&[one, one], &[zero, zero], &[1, 2], &permutations(0)), None);
        assert_eq!(mcnemar(&[Some(0.5), one], &[zero, zero], &[1, 2]), None);
    }

    #[test]
    fn tests_have_names() {
        assert_eq!(PairedTest::McNemar.to_string(), "exact McNemar test");
    }
}
