//! Benchmarks, one file each; here what they share.

mod data;
mod embed;
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

/// Measure how fast this machine is, alone or beside PyTorch
#[derive(clap::Subcommand)]
pub enum Benchmark {
    Step(step::Arguments),
    Embed(embed::Arguments),
    Rank(rank::Arguments),
    Scale(scale::Arguments),
    Load(data::LoadArguments),
    Prepare(data::PrepareArguments),
}

#[derive(clap::Args)]
struct Common {
    /// Sizes of the model: tiny, small or base
    #[arg(long, default_value = "base")]
    preset: Preset,
    /// Records a step or call
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Timed steps or calls; beside PyTorch: rounds in which each side starts, warms, times and ends
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// In what linear maps and attention multiply: f32, bf16 (where the processor has AMX) or auto
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// Compare with PyTorch: a Python interpreter that has torch 2.11
    #[arg(long, value_name = "PYTHON")]
    against: Option<PathBuf>,
    #[command(flatten)]
    general: General,
}

/// What every benchmark of a model takes.
#[derive(clap::Args)]
struct General {
    /// One JSON object as the last line on stdout
    #[arg(long)]
    json: bool,
    /// Draws weights and data
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    compute: Compute,
}

pub fn run(benchmark: &Benchmark) -> anyhow::Result<()> {
    match benchmark {
        Benchmark::Step(arguments) => step::run(arguments),
        Benchmark::Embed(arguments) => embed::run(arguments),
        Benchmark::Rank(arguments) => rank::run(arguments),
        Benchmark::Scale(arguments) => scale::run(arguments),
        Benchmark::Load(arguments) => data::run_load(arguments),
        Benchmark::Prepare(arguments) => data::run_prepare(arguments),
    }
}

/// This program, with `bench` and more arguments to come: a side of a comparison in a process of its own.
fn this_program() -> anyhow::Result<impl Fn() -> Command> {
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    Ok(move || {
        let mut command = Command::new(&program);
        command.arg("bench");
        command
    })
}

impl Common {
    /// Threads that both sides are given.
    fn threads(&self) -> usize {
        self.general
            .compute
            .threads
            .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
    }

    fn report(&self, result: &impl Serialize, lines: &[String]) -> anyhow::Result<()> {
        report(self.general.json, result, lines)
    }

    /// Runs `compare` beside PyTorch.
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
            told: &mut |what| say(what),
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
