//! Benchmarks, one file each; this file holds what they share.

mod data;
mod embed;
mod explain;
mod finetune;
mod generate;
mod rank;
mod scale;
mod step;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use ptu_bench::Python;
use ptu_bench::against::Against;
use ptu_bench::measure::Timing;
use ptu_model::Preset;
use ptu_train::recipe::{Checkpointing, Precision};
use serde::Serialize;

use super::Compute;
use crate::output::{print, say};

/// Measure the speed of this machine, alone or in comparison with PyTorch
#[derive(clap::Subcommand)]
pub enum Benchmark {
    Step(step::Arguments),
    Finetune(finetune::Arguments),
    Embed(embed::Arguments),
    Generate(generate::Arguments),
    Explain(explain::Arguments),
    Rank(rank::Arguments),
    Scale(scale::Arguments),
    Load(data::LoadArguments),
    Prepare(data::PrepareArguments),
}

#[derive(clap::Args)]
struct Common {
    /// Model size: tiny, small or base
    #[arg(long, default_value = "base")]
    preset: Preset,
    /// Records per step or call
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Number of timed steps or calls; in a comparison: rounds, in each of which both programs start, warm up, are timed and end
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Number format of matrix products: f32, bf16 (on processors with AMX) or auto
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// Compare with PyTorch: a Python interpreter that has torch 2.11
    #[arg(long, value_name = "PYTHON")]
    against: Option<PathBuf>,
    #[command(flatten)]
    general: General,
}

/// Options of every benchmark of a model.
#[derive(clap::Args)]
struct General {
    /// One JSON object as the last line on stdout
    #[arg(long)]
    json: bool,
    /// Seed of weights and data
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    compute: Compute,
}

pub fn run(benchmark: &Benchmark) -> anyhow::Result<()> {
    match benchmark {
        Benchmark::Step(arguments) => step::run(arguments),
        Benchmark::Finetune(arguments) => finetune::run(arguments),
        Benchmark::Embed(arguments) => embed::run(arguments),
        Benchmark::Generate(arguments) => generate::run(arguments),
        Benchmark::Explain(arguments) => explain::run(arguments),
        Benchmark::Rank(arguments) => rank::run(arguments),
        Benchmark::Scale(arguments) => scale::run(arguments),
        Benchmark::Load(arguments) => data::run_load(arguments),
        Benchmark::Prepare(arguments) => data::run_prepare(arguments),
    }
}

/// This program with the argument `bench`, to which more are added: one side of a comparison, in its own process.
fn this_program() -> anyhow::Result<impl Fn() -> Command> {
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    Ok(move || {
        let mut command = Command::new(&program);
        command.arg("bench");
        command
    })
}

impl Common {
    /// Number of threads of both sides.
    fn threads(&self) -> usize {
        self.general
            .compute
            .threads
            .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
    }

    fn report(&self, result: &impl Serialize, lines: &[String]) -> anyhow::Result<()> {
        report(self.general.json, result, lines)
    }

    /// Runs the comparison `compare` with PyTorch.
    fn against<T>(
        &self,
        python: &Path,
        checkpointing: Checkpointing,
        compare: impl FnOnce(Against<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let python = Python::new(python)?;
        let program = this_program()?;
        compare(Against {
            python: &python,
            ours: &|arguments| {
                let mut command = program();
                command.args(arguments);
                command
            },
            preset: self.preset,
            batch: self.batch.into(),
            threads: self.threads(),
            checkpointing,
            rounds: self.rounds.into(),
            report_progress: &mut |what| say(what),
        })
    }
}

/// Prints one object, as JSON or for people.
fn report(json: bool, result: &impl Serialize, lines: &[String]) -> anyhow::Result<()> {
    match json {
        true => print(&serde_json::to_string(result)?),
        false => lines.iter().try_for_each(|line| print(line)),
    }
}

/// `0.512 s [0.490, 0.601]  7.8 records/s`.
fn shown(timing: &Timing, batch: usize) -> String {
    match (timing.median(), timing.range()) {
        (Some(median), Some([least, most])) => {
            format!("{median:.3} s [{least:.3}, {most:.3}]  {:.1} records/s", batch as f64 / median)
        }
        _ => "nothing was timed".into(),
    }
}
