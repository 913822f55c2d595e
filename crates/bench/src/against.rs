//! Ours and PyTorch's in turn, one process at a time; steps after their losses were seen to agree.

mod embed;

use std::collections::BTreeMap;
use std::process::Command;

use ptu_kernels::{Tiles, tiles};
use ptu_model::Preset;
use ptu_train::recipe::{Checkpointing, Precision};
use serde::Serialize;
use serde_json::Value;

use crate::measure::Timing;
use crate::python::last_line;
use crate::step::StepResult;
use crate::{BenchError, Python};

pub use embed::{Batches, EmbedComparison};

/// Losses of the first step may differ by this much.
const AGREE: f64 = 1e-4;

/// What is compared.
pub struct Against<'a> {
    /// PyTorch's side.
    pub python: &'a Python,
    /// Makes our side: this program, with `bench` and these arguments.
    pub ours: &'a dyn Fn(&[&str]) -> Command,
    /// Sizes of the model.
    pub preset: Preset,
    /// Records a step.
    pub batch: usize,
    /// Threads of each side.
    pub threads: usize,
    /// What our step keeps for its backward pass.
    pub checkpointing: Checkpointing,
    /// Rounds: in each, each side starts, warms, times and ends.
    pub rounds: usize,
    /// Is told what happens.
    pub told: &'a mut dyn FnMut(&str),
}

/// One side over all rounds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Side {
    /// Median of each round's median, in seconds.
    pub seconds: f64,
    /// Least and most of them.
    pub range: [f64; 2],
    /// Records a second.
    pub pairs_per_second: f64,
    /// Median of each round's peak, in MiB; PyTorch's without what importing torch takes.
    pub peak_mib: f64,
}

/// A comparison of steps.
#[derive(Clone, Debug, Serialize)]
pub struct StepComparison {
    /// Time, ours over PyTorch's as published.
    pub ratio_to_published: f64,
    /// Time, ours over tuned PyTorch's.
    pub ratio_to_tuned: f64,
    /// Time, our fastest precision over the faster of tuned PyTorch's and tuned PyTorch's with autocast (where the processor
    /// has products in bf16).
    pub ratio_best: f64,
    /// Peak memory, ours over PyTorch's as published.
    pub peak_memory_ratio: f64,
    /// What computed the products of our fastest precision.
    pub precision_path: &'static str,
    /// Records a step.
    pub batch: usize,
    /// Threads of each side.
    pub threads: usize,
    /// Floating point operations a second of our products, in 1e9.
    pub gflops: f64,
    /// Their share of the machine's peak.
    pub peak_share: f64,
    /// Version of torch.
    pub torch: String,
    /// Largest difference of a loss before timing.
    pub loss_difference: f64,
    /// Levers that ours has and `tuned` lacks.
    pub levers_of_ours_only: &'static [&'static str],
    /// Each side.
    pub sides: BTreeMap<&'static str, Side>,
}

/// Ours with products in bf16, where the processor has tiles for it.
const OURS_BF16: &str = "ours --precision bf16";
/// Tuned PyTorch with products in bf16.
const AUTOCAST: &str = "tuned --autocast";

/// What computes our products when they may be in bf16.
fn precision_path() -> &'static str {
    match tiles() {
        Some(Tiles::Amx) => "amx",
        Some(Tiles::Twin) | None => "f32",
    }
}

/// Our precisions that are worth a try here, by the names of the sides.
fn ours() -> impl Iterator<Item = (&'static str, Precision)> {
    let bf16 = tiles().map(|_| (OURS_BF16, Precision::Bf16));
    [("ours", Precision::F32)].into_iter().chain(bf16)
}

/// The least of what the named sides took; sides that did not run do not count.
fn least(names: &[&str], seconds: impl Fn(&str) -> Option<f64>) -> f64 {
    names.iter().filter_map(|name| seconds(name)).fold(f64::INFINITY, f64::min)
}

/// Whether this processor multiplies in bf16. Where it does not, PyTorch's autocast is slower than its f32 and is
/// left out.
fn bf16_products() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    true
}

/// What is ours alone: the reference has no switch for it.
const OURS_ONLY: &[&str] = &[
    "packed sequences: one pass through each layer for all objectives of a step",
    "dropout masks drawn again in the backward pass",
    "the first fusion layer's attention of a sequence to itself, shared by the passes that the sequence is in",
];

impl Against<'_> {
    /// Compares steps. `peak` is the machine's, in operations a second.
    ///
    /// # Errors
    /// A side that fails, losses that differ.
    pub fn steps(&mut self, peak: f64) -> Result<StepComparison, BenchError> {
        let loss_difference = self.agree()?;
        let mut rounds: BTreeMap<&'static str, Vec<[f64; 2]>> = BTreeMap::new();
        let mut flops = 0.0;
        for round in 1..=self.rounds {
            (self.told)(&format!("round {round}/{}", self.rounds));
            for (name, precision) in ours() {
                let ours = self.ours_step(precision)?;
                flops = ours.flops;
                let seconds = ours.timing.median().unwrap_or(f64::NAN);
                rounds.entry(name).or_default().push([seconds, ours.peak_mib.unwrap_or(f64::NAN)]);
            }
            let autocast = bf16_products().then_some((AUTOCAST, "tuned", true));
            let plain = [("published", "published", false), ("tuned", "tuned", false)];
            for (name, variant, autocast) in plain.into_iter().chain(autocast) {
                let theirs = self.their_step(variant, autocast)?;
                rounds.entry(name).or_default().push(theirs);
            }
        }
        let sides: BTreeMap<_, _> = rounds.iter().map(|(name, rounds)| (*name, side(rounds, self.batch))).collect();
        let seconds = |name: &str| sides[name].seconds;
        let best = |names: &[&str]| least(names, |name| sides.get(name).map(|side| side.seconds));
        let gflops = flops / seconds("ours") / 1e9;
        Ok(StepComparison {
            ratio_to_published: seconds("ours") / seconds("published"),
            ratio_to_tuned: seconds("ours") / seconds("tuned"),
            ratio_best: best(&["ours", OURS_BF16]) / best(&["tuned", AUTOCAST]),
            peak_memory_ratio: sides["ours"].peak_mib / sides["published"].peak_mib,
            precision_path: precision_path(),
            batch: self.batch,
            threads: self.threads,
            gflops,
            peak_share: gflops * 1e9 / peak,
            torch: self.python.torch.clone(),
            loss_difference,
            levers_of_ours_only: OURS_ONLY,
            sides,
        })
    }

    /// One step of both from the same weights, batch, masks and partners, without dropout.
    fn agree(&mut self) -> Result<f64, BenchError> {
        (self.told)("comparing losses");
        let case = self.python.folder().join("case");
        let folder = case.display().to_string();
        let arguments = self.common(&["--variant", "published", "--dropout", "0", "--losses-only", "--save", &folder]);
        let theirs = self.python.bench(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
        let ours = last_line(&mut (self.ours)(&["step", "--case", &folder, "--json"]), "our side")?;
        let _ = std::fs::remove_dir_all(&case);
        let mut largest = 0f64;
        for name in ["mlm", "itm", "itc"] {
            let (ours, theirs) = (number(&ours, name), number(&theirs["losses"], name));
            let difference = (ours - theirs).abs();
            // Not finite counts as different.
            if difference.is_nan() || difference > AGREE {
                return Err(BenchError::Disagree { name: name.into(), ours, theirs });
            }
            largest = largest.max(difference);
        }
        Ok(largest)
    }

    fn common(&self, more: &[&str]) -> Vec<String> {
        self.common_of(self.batch, more)
    }

    fn common_of(&self, batch: usize, more: &[&str]) -> Vec<String> {
        let (batch, threads) = (batch.to_string(), self.threads.to_string());
        let common = ["--preset", self.preset.name(), "--batch", &batch, "--threads", &threads];
        common.iter().chain(more).map(|argument| argument.to_string()).collect()
    }

    fn ours_step(&self, precision: Precision) -> Result<StepResult, BenchError> {
        let (checkpointing, precision) = (self.checkpointing.name(), precision.name());
        let more = ["--rounds", "3", "--json", "--checkpointing", checkpointing, "--precision", precision];
        let arguments = self.common(&more);
        let arguments: Vec<&str> = ["step"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        let value = last_line(&mut (self.ours)(&arguments), "our side")?;
        parsed(value)
    }

    fn their_step(&self, variant: &str, autocast: bool) -> Result<[f64; 2], BenchError> {
        let mut arguments = self.common(&["--variant", variant, "--rounds", "3"]);
        arguments.extend(autocast.then(|| "--autocast".to_string()));
        let value = self.python.bench(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok([number(&value, "seconds_median"), number(&value, "peak_rss_mib") - number(&value, "import_rss_mib")])
    }
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, BenchError> {
    serde_json::from_value(value)
        .map_err(|error| BenchError::Process { what: "our side".into(), cause: error.to_string() })
}

/// A number, or NaN: a comparison with it fails.
fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or(f64::NAN)
}

/// Medians over rounds of seconds and MiB.
fn side(rounds: &[[f64; 2]], batch: usize) -> Side {
    let column = |index: usize| Timing { seconds: rounds.iter().map(|round| round[index]).collect() };
    let times = column(0);
    let seconds = times.median().unwrap_or(f64::NAN);
    Side {
        seconds,
        range: times.range().unwrap_or([f64::NAN; 2]),
        pairs_per_second: batch as f64 / seconds,
        peak_mib: column(1).median().unwrap_or(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_told_by_medians() {
        let side = side(&[[2.0, 100.0], [1.0, 300.0], [4.0, 200.0]], 8);
        assert_eq!((side.seconds, side.range, side.pairs_per_second, side.peak_mib), (2.0, [1.0, 4.0], 4.0, 200.0));
    }

    #[test]
    fn what_is_missing_is_no_number() {
        assert!(number(&serde_json::json!({ "a": "x" }), "a").is_nan());
    }
}
