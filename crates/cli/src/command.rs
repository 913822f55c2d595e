//! Subcommands, one file each.

mod bench;
mod evaluate;
mod inspect;
mod prepare;
mod pretrain;
mod quickstart;

use clap::{Parser, Subcommand};

use crate::device::DeviceName;

/// Learn from medical images together with the text that belongs to them.
///
/// One model for images, texts and pairs: where one half is missing, learned soft prompts stand in for it.
#[derive(Parser)]
#[command(name = "ptunifier", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  ptunifier quickstart --out quickstart          the whole story in minutes, on a corpus that comes with it
  ptunifier prepare table pairs.csv data/own     your own images and texts
  ptunifier pretrain recipes/pretrain/table.toml --out runs/own
  ptunifier evaluate runs/own                    scores with intervals, beside chance";

#[derive(Subcommand)]
enum Command {
    Quickstart(quickstart::Arguments),
    #[command(subcommand)]
    Prepare(prepare::Dataset),
    Pretrain(pretrain::Arguments),
    Evaluate(evaluate::Arguments),
    Inspect(inspect::Arguments),
    #[command(subcommand)]
    Bench(bench::Benchmark),
}

/// What every command that computes can be told.
#[derive(clap::Args, Clone, Debug)]
pub struct Compute {
    /// What computes: cpu
    #[arg(long, default_value = "cpu")]
    pub device: DeviceName,
    /// Threads (default: one a core); a run gives the same bits only with the same number
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

impl Compute {
    /// Sets the number of threads, once, before anything computes.
    pub fn start(&self) -> anyhow::Result<()> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
        }
        Ok(())
    }
}

/// Runs the command that the user wrote.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Quickstart(arguments) => quickstart::run(&arguments),
        Command::Prepare(dataset) => prepare::run(&dataset),
        Command::Pretrain(arguments) => pretrain::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Bench(benchmark) => bench::run(&benchmark),
    }
}

/// Seconds since 1970, for files that want the time.
pub fn wall_time() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
