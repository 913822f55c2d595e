//! Comparison of embedding with PyTorch: at batch size 1, and for each side at its fastest batch size.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{AUTOCAST, Against, OURS_BF16, Side, bf16_products, number, our_precisions, parsed, shortest, side};
use crate::BenchError;
use crate::embed::EmbedResult;
use crate::python::last_line;

/// The comparison for one kind of record (`images`, `texts`, `pairs`).
#[derive(Clone, Debug, Serialize)]
pub struct EmbedComparison {
    /// One record per call.
    pub one: Batches,
    /// Each side at its fastest batch size.
    pub best: Batches,
}

/// The results of all sides, each at a batch size.
#[derive(Clone, Debug, Serialize)]
pub struct Batches {
    /// Our time per record divided by the time of PyTorch without tuning.
    pub ratio_to_eager: f64,
    /// Our time per record divided by the time of tuned PyTorch.
    pub ratio_to_tuned: f64,
    /// The time per record of our fastest precision, divided by that of the fastest PyTorch variant (with autocast if the
    /// processor has bf16 products).
    pub ratio_best: f64,
    /// The batch size of each side.
    pub batch: BTreeMap<&'static str, usize>,
    /// The results of each side; seconds are per call.
    pub sides: BTreeMap<&'static str, Side>,
}

/// Seconds and MiB of each round, by kind of record, side and batch size.
type Rounds = BTreeMap<(String, &'static str, usize), Vec<[f64; 2]>>;

impl Against<'_> {
    /// Compares embedding for each kind of record. Each side is timed with all batch sizes of `batches`, and with 1.
    ///
    /// # Errors
    /// If a side fails.
    pub fn embeddings(&mut self, batches: &[usize]) -> Result<BTreeMap<String, EmbedComparison>, BenchError> {
        let mut batches: Vec<usize> = batches.iter().copied().chain([1]).collect();
        batches.sort_unstable();
        batches.dedup();
        let mut rounds = Rounds::new();
        for round in 1..=self.rounds {
            for &batch in &batches {
                (self.report_progress)(&format!("round {round}/{}, batch {batch}", self.rounds));
                self.embed_round(batch, &mut rounds)?;
            }
        }
        let kinds: BTreeSet<String> = rounds.keys().map(|(kind, ..)| kind.clone()).collect();
        let names: BTreeSet<&'static str> = rounds.keys().map(|(_, name, _)| *name).collect();
        let of = |kind: &str, name, batch| side(&rounds[&(kind.to_string(), name, batch)], batch);
        let compared = |kind: String| {
            let at = |pick: &dyn Fn(&'static str) -> usize| {
                let chosen = names.iter().map(|name| (*name, pick(name)));
                Batches::of(chosen.map(|(name, batch)| (name, batch, of(&kind, name, batch))).collect())
            };
            let best = |name| {
                let rate = |batch: usize| of(&kind, name, batch).pairs_per_second;
                batches.iter().copied().max_by(|x, y| rate(*x).total_cmp(&rate(*y))).unwrap_or(1)
            };
            let comparison = EmbedComparison { one: at(&|_| 1), best: at(&best) };
            (kind, comparison)
        };
        Ok(kinds.into_iter().map(compared).collect())
    }

    fn embed_round(&mut self, batch: usize, rounds: &mut Rounds) -> Result<(), BenchError> {
        for (name, precision) in our_precisions() {
            let arguments = self.common_for(batch, &["--rounds", "5", "--json", "--precision", precision.name()]);
            let arguments: Vec<&str> = ["embed"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
            let ours: EmbedResult = parsed(last_line(&mut (self.ours)(&arguments), "our side")?)?;
            for (kind, timing) in &ours.timings {
                let measured = [timing.median().unwrap_or(f64::NAN), ours.peak_mib.unwrap_or(f64::NAN)];
                rounds.entry((kind.clone(), name, batch)).or_default().push(measured);
            }
        }
        let kinds: BTreeSet<String> = rounds.keys().map(|(kind, ..)| kind.clone()).collect();
        let autocast = bf16_products().then_some((AUTOCAST, "tuned-embed", true));
        let plain = [("eager", "eager-embed", false), ("tuned", "tuned-embed", false)];
        for (name, variant, autocast) in plain.into_iter().chain(autocast) {
            let mut arguments = self.common_for(batch, &["--variant", variant, "--rounds", "5"]);
            arguments.extend(autocast.then(|| "--autocast".to_string()));
            let value = self.python.bench(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
            let peak = number(&value, "peak_rss_mib") - number(&value, "import_rss_mib");
            for kind in &kinds {
                let seconds = number(&value[kind], "seconds_median");
                rounds.entry((kind.clone(), name, batch)).or_default().push([seconds, peak]);
            }
        }
        Ok(())
    }
}

impl Batches {
    fn of(sides: Vec<(&'static str, usize, Side)>) -> Self {
        let batch = sides.iter().map(|(name, batch, _)| (*name, *batch)).collect();
        let sides: BTreeMap<&'static str, Side> = sides.into_iter().map(|(name, _, side)| (name, side)).collect();
        let each = |name: &str| sides.get(name).map(|side| 1.0 / side.pairs_per_second);
        let ratio = |ours: &[&str], theirs: &[&str]| shortest(ours, each) / shortest(theirs, each);
        Self {
            ratio_to_eager: ratio(&["ours"], &["eager"]),
            ratio_to_tuned: ratio(&["ours"], &["tuned"]),
            ratio_best: ratio(&["ours", OURS_BF16], &["eager", "tuned", AUTOCAST]),
            batch,
            sides,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_per_record_are_compared() {
        let sides = [("ours", 1.0, 4), ("eager", 1.0, 1), ("tuned", 4.0, 8)];
        let sides = sides.map(|(name, seconds, batch)| (name, batch, side(&[[seconds, 0.0]], batch)));
        let compared = Batches::of(sides.to_vec());
        assert_eq!((compared.ratio_to_eager, compared.ratio_to_tuned, compared.ratio_best), (0.25, 0.5, 0.5));
    }
}
