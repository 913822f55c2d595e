//! Comparison with PyTorch: both sides alternate, one process at a time. Training steps are compared only after a check that
//! the losses of both sides agree.

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

/// The largest permitted difference between the losses of the first step.
const LOSS_TOLERANCE: f64 = 1e-4;

/// A comparison with PyTorch.
pub struct Against<'a> {
    /// The Python interpreter that runs the PyTorch side.
    pub python: &'a Python,
    /// Creates the command of our side: this program, with `bench` and the given arguments.
    pub ours: &'a dyn Fn(&[&str]) -> Command,
    /// The model size.
    pub preset: Preset,
    /// Records per step.
    pub batch: usize,
    /// Number of threads of each side.
    pub threads: usize,
    /// Gradient checkpointing of our training step.
    pub checkpointing: Checkpointing,
    /// The number of rounds. In each round, each side runs as a new process with warm-up and timed calls.
    pub rounds: usize,
    /// Gets the progress messages.
    pub report_progress: &'a mut dyn FnMut(&str),
}

/// The results of one side over all rounds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Side {
    /// Median over the rounds of the median of each round, in seconds.
    pub seconds: f64,
    /// The smallest and the largest median of a round, in seconds.
    pub range: [f64; 2],
    /// Records per second.
    pub pairs_per_second: f64,
    /// Median over the rounds of the peak memory, in MiB. For PyTorch, the memory after importing torch is subtracted.
    pub peak_mib: f64,
}

/// A comparison of steps.
#[derive(Clone, Debug, Serialize)]
pub struct StepComparison {
    /// Our time divided by the time of PyTorch as published.
    pub ratio_to_published: f64,
    /// Our time divided by the time of tuned PyTorch.
    pub ratio_to_tuned: f64,
    /// The time of our fastest precision, divided by the time of tuned PyTorch, with or without autocast, whichever is
    /// faster (autocast only if the processor has bf16 products).
    pub ratio_best: f64,
    /// Our peak memory divided by the peak memory of PyTorch as published.
    pub peak_memory_ratio: f64,
    /// How the matrix products are computed when bf16 is permitted: `amx` or `f32`.
    pub precision_path: &'static str,
    /// Records per step.
    pub batch: usize,
    /// Number of threads of each side.
    pub threads: usize,
    /// Floating point operations per second in our matrix products, in 1e9.
    pub gflops: f64,
    /// `gflops` as a share of the peak of the machine.
    pub peak_share: f64,
    /// The version of torch.
    pub torch: String,
    /// The largest difference between losses of both sides, before timing.
    pub loss_difference: f64,
    /// Optimisations that our side has and `tuned` does not have.
    pub levers_of_ours_only: &'static [&'static str],
    /// The results of each side.
    pub sides: BTreeMap<&'static str, Side>,
}

/// Our side with matrix products in bf16, if the processor has tiles for them.
const OURS_BF16: &str = "ours --precision bf16";
/// Tuned PyTorch with matrix products in bf16.
const AUTOCAST: &str = "tuned --autocast";

/// How our matrix products are computed when bf16 is permitted.
fn precision_path() -> &'static str {
    match tiles() {
        Some(Tiles::Amx) => "amx",
        Some(Tiles::Portable) | None => "f32",
    }
}

/// The precisions that our side is timed with, each with the name of its side. bf16 only if the processor has tiles.
fn our_precisions() -> impl Iterator<Item = (&'static str, Precision)> {
    let bf16 = tiles().map(|_| (OURS_BF16, Precision::Bf16));
    [("ours", Precision::F32)].into_iter().chain(bf16)
}

/// The shortest time of the named sides; sides that did not run are ignored.
fn shortest(names: &[&str], seconds: impl Fn(&str) -> Option<f64>) -> f64 {
    names.iter().filter_map(|name| seconds(name)).fold(f64::INFINITY, f64::min)
}

/// Whether this processor has bf16 matrix products. Without them, PyTorch's autocast is slower than its f32 and is not timed.
fn bf16_products() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    true
}

/// Optimisations of our side for which the reference has no option.
const OUR_OPTIMISATIONS: &[&str] = &[
    "packed sequences: one pass through each layer for all objectives of a step",
    "dropout masks drawn again in the backward pass",
    "the first fusion layer's attention of a sequence to itself, shared by the passes that the sequence is in",
];

impl Against<'_> {
    /// Compares training steps. `peak` is the peak rate of the machine, in floating point operations per second.
    ///
    /// # Errors
    /// If a side fails or the losses differ.
    pub fn steps(&mut self, peak: f64) -> Result<StepComparison, BenchError> {
        let loss_difference = self.compare_losses()?;
        let mut rounds: BTreeMap<&'static str, Vec<[f64; 2]>> = BTreeMap::new();
        let mut flops = 0.0;
        for round in 1..=self.rounds {
            (self.report_progress)(&format!("round {round}/{}", self.rounds));
            for (name, precision) in our_precisions() {
                let ours = self.our_step(precision)?;
                flops = ours.flops;
                let seconds = ours.timing.median().unwrap_or(f64::NAN);
                rounds.entry(name).or_default().push([seconds, ours.peak_mib.unwrap_or(f64::NAN)]);
            }
            let autocast = bf16_products().then_some((AUTOCAST, "tuned", true));
            let plain = [("published", "published", false), ("tuned", "tuned", false)];
            for (name, variant, autocast) in plain.into_iter().chain(autocast) {
                let theirs = self.pytorch_step(variant, autocast)?;
                rounds.entry(name).or_default().push(theirs);
            }
        }
        let sides: BTreeMap<_, _> = rounds.iter().map(|(name, rounds)| (*name, side(rounds, self.batch))).collect();
        let seconds = |name: &str| sides[name].seconds;
        let best = |names: &[&str]| shortest(names, |name| sides.get(name).map(|side| side.seconds));
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
            levers_of_ours_only: OUR_OPTIMISATIONS,
            sides,
        })
    }

    /// Computes one step on both sides from the same weights, batch, masks and ITM images, without dropout. Returns the
    /// largest difference of a loss.
    fn compare_losses(&mut self) -> Result<f64, BenchError> {
        (self.report_progress)("comparing losses");
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
            // A difference that is not a number counts as a failure.
            if difference.is_nan() || difference > LOSS_TOLERANCE {
                return Err(BenchError::Disagree { name: name.into(), ours, theirs });
            }
            largest = largest.max(difference);
        }
        Ok(largest)
    }

    /// Arguments that both sides have in common, followed by `more`.
    fn common(&self, more: &[&str]) -> Vec<String> {
        self.common_for(self.batch, more)
    }

    /// As [`Self::common`], for another batch size.
    fn common_for(&self, batch: usize, more: &[&str]) -> Vec<String> {
        let (batch, threads) = (batch.to_string(), self.threads.to_string());
        let common = ["--preset", self.preset.name(), "--batch", &batch, "--threads", &threads];
        common.iter().chain(more).map(|argument| argument.to_string()).collect()
    }

    fn our_step(&self, precision: Precision) -> Result<StepResult, BenchError> {
        let (checkpointing, precision) = (self.checkpointing.name(), precision.name());
        let more = ["--rounds", "3", "--json", "--checkpointing", checkpointing, "--precision", precision];
        let arguments = self.common(&more);
        let arguments: Vec<&str> = ["step"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        let value = last_line(&mut (self.ours)(&arguments), "our side")?;
        parsed(value)
    }

    /// Seconds and MiB of the PyTorch side.
    fn pytorch_step(&self, variant: &str, autocast: bool) -> Result<[f64; 2], BenchError> {
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

/// The number of a key, or NaN if there is none; a comparison with NaN fails.
fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or(f64::NAN)
}

/// The result of a side from the seconds and MiB of its rounds.
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
    fn the_result_of_a_side_has_medians() {
        let side = side(&[[2.0, 100.0], [1.0, 300.0], [4.0, 200.0]], 8);
        assert_eq!((side.seconds, side.range, side.pairs_per_second, side.peak_mib), (2.0, [1.0, 4.0], 4.0, 200.0));
    }

    #[test]
    fn a_missing_number_is_nan() {
        assert!(number(&serde_json::json!({ "a": "x" }), "a").is_nan());
    }
}
