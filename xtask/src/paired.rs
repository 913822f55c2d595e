//! A score beside that of a baseline on the same records.

use std::fmt;

use ptu_metrics::{Interval, Resampling, bootstrap, bootstrap_difference};
use ptu_random::Key;

/// A score, that of a baseline, and their paired difference, with intervals by patient.
pub struct PairedScore {
    records: usize,
    value: Option<Interval>,
    baseline: Option<f64>,
    difference: Option<Interval>,
}

impl PairedScore {
    /// Scores records of these patients; `own` and `other` give the scores of a model and of the baseline on some of them.
    pub fn of(
        patients: &[String],
        own: impl Fn(&[usize]) -> Option<f64> + Sync,
        other: impl Fn(&[usize]) -> Option<f64> + Sync,
    ) -> Self {
        let (all, resampling) = ((0..patients.len()).collect::<Vec<_>>(), Resampling::new(Key::new(0)));
        Self {
            records: patients.len(),
            value: bootstrap(patients, &own, &resampling),
            baseline: other(&all),
            difference: bootstrap_difference(patients, &own, &other, &resampling),
        }
    }
}

impl fmt::Display for PairedScore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: Option<f64>| value.map_or("undefined".to_string(), |value| format!("{value:.4}"));
        let interval = |found: &Option<Interval>| {
            let parts = [found.map(|it| it.value), found.map(|it| it.low), found.map(|it| it.high)];
            parts.map(show).join(" ")
        };
        write!(
            out,
            "n {} value {} baseline {} diff {}",
            self.records,
            interval(&self.value),
            show(self.baseline),
            interval(&self.difference)
        )
    }
}
