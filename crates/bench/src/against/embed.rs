//! Embedding beside PyTorch: at batch 1, and each side at the batch that suits it best.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Against, Side, number, parsed, side};
use crate::BenchError;
use crate::embed::EmbedResult;
use crate::python::last_line;

/// Our side, then PyTorch's by its variants.
const SIDES: [&str; 3] = ["ours", "eager", "tuned"];

/// One kind of record (`images`, `texts`, `pairs`) embedded by both.
#[derive(Clone, Debug, Serialize)]
pub struct EmbedComparison {
    /// One record a call.
    pub one: Batches,
    /// As many a call as suits each side best.
    pub best: Batches,
}

/// Both sides, each at a batch.
#[derive(Clone, Debug, Serialize)]
pub struct Batches {
    /// Time a record, ours over PyTorch's without tuning.
    pub ratio_to_eager: f64,
    /// Time a record, ours over tuned PyTorch's.
    pub ratio_to_tuned: f64,
    /// Time a record, ours over the faster of both.
    pub ratio_best: f64,
    /// Records a call of each side.
    pub batch: BTreeMap<&'static str, usize>,
    /// Each side; seconds are those of a call.
    pub sides: BTreeMap<&'static str, Side>,
}

/// Seconds and MiB of each round, by kind, side and batch.
type Rounds = BTreeMap<(String, &'static str, usize), Vec<[f64; 2]>>;

impl Against<'_> {
    /// Compares embedding, kind by kind. `batches` are tried by each side, 1 besides.
    ///
    /// # Errors
    /// A side that fails.
    pub fn embeddings(&mut self, batches: &[usize]) -> Result<BTreeMap<String, EmbedComparison>, BenchError> {
        let mut batches: Vec<usize> = batches.iter().copied().chain([1]).collect();
        batches.sort_unstable();
        batches.dedup();
        let mut rounds = Rounds::new();
        for round in 1..=self.rounds {
            for &batch in &batches {
                (self.told)(&format!("round {round}/{}, batch {batch}", self.rounds));
                self.embed_round(batch, &mut rounds)?;
            }
        }
        let kinds: Vec<String> = rounds.keys().map(|(kind, ..)| kind.clone()).collect();
        let of = |kind: &str, name, batch| side(&rounds[&(kind.to_string(), name, batch)], batch);
        let compared = |kind: String| {
            let at = |pick: &dyn Fn(&'static str) -> usize| {
                let chosen = SIDES.map(|name| (name, pick(name)));
                Batches::of(chosen, chosen.map(|(name, batch)| of(&kind, name, batch)))
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
        let arguments = self.common_of(batch, &["--rounds", "5", "--json"]);
        let arguments: Vec<&str> = ["embed"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        let ours: EmbedResult = parsed(last_line(&mut (self.ours)(&arguments), "our side")?)?;
        for (kind, timing) in &ours.timings {
            let seen = [timing.median().unwrap_or(f64::NAN), ours.peak_mib.unwrap_or(f64::NAN)];
            rounds.entry((kind.clone(), "ours", batch)).or_default().push(seen);
        }
        for (name, variant) in [("eager", "eager-embed"), ("tuned", "tuned-embed")] {
            let arguments = self.common_of(batch, &["--variant", variant, "--rounds", "5"]);
            let value = self.python.bench(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
            let peak = number(&value, "peak_rss_mib") - number(&value, "import_rss_mib");
            for kind in ours.timings.keys() {
                let seconds = number(&value[kind], "seconds_median");
                rounds.entry((kind.clone(), name, batch)).or_default().push([seconds, peak]);
            }
        }
        Ok(())
    }
}

impl Batches {
    fn of(batch: [(&'static str, usize); 3], sides: [Side; 3]) -> Self {
        let [ours, eager, tuned] = sides.each_ref().map(|side| 1.0 / side.pairs_per_second);
        Self {
            ratio_to_eager: ours / eager,
            ratio_to_tuned: ours / tuned,
            ratio_best: ours / eager.min(tuned),
            batch: batch.into_iter().collect(),
            sides: SIDES.into_iter().zip(sides).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_compared_not_calls() {
        let sides = [(1.0, 4), (1.0, 1), (4.0, 8)].map(|(seconds, batch)| side(&[[seconds, 0.0]], batch));
        let compared = Batches::of([("ours", 4), ("eager", 1), ("tuned", 8)], sides);
        assert_eq!((compared.ratio_to_eager, compared.ratio_to_tuned, compared.ratio_best), (0.25, 0.5, 0.5));
    }
}
