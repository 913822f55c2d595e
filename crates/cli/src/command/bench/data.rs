use std::num::NonZeroUsize;
use std::path::PathBuf;

use ptu_bench::data::{DataOptions, load, prepare};
use ptu_model::Preset;
use ptu_model::files::write_bytes;

use super::{report, shown};
use crate::command::check_page;
use crate::usage::at_least_one;

#[derive(clap::Args)]
struct DataArguments {
    /// Number of synthetic pairs
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pairs: u64,
    /// Height and width of the stored pictures, in pixels
    #[arg(long, default_value_t = 512)]
    side: usize,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    /// Seed of the corpus
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of threads that prepare (default: one per core)
    #[arg(long, value_parser = at_least_one)]
    threads: Option<usize>,
}

/// Time how one thread loads training batches: decoding, cropping, resizing, tokenizing, masking
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench load --preset base --batch 4
  ptunifier bench load --preset tiny --batch 32 --side 64")]
pub struct LoadArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Model size, which sets the image size: tiny, small or base
    #[arg(long, default_value = "base")]
    preset: Preset,
    /// Records per batch
    #[arg(long, default_value = "4")]
    batch: NonZeroUsize,
    /// Number of timed batches
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

/// Time how fast images and reports are converted to shards
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier bench prepare --pairs 1000 --side 512
  ptunifier bench prepare --pairs 1000000 --side 64 --page memory.html")]
pub struct PrepareArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Write a page with the memory curve: one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

impl DataArguments {
    fn options(&self) -> DataOptions {
        DataOptions { pairs: self.pairs, side: self.side, seed: self.seed, threads: self.threads }
    }
}

pub fn run_load(arguments: &LoadArguments) -> anyhow::Result<()> {
    let (data, batch) = (&arguments.data, arguments.batch);
    let result = load(&data.options(), arguments.preset, batch, arguments.rounds.into())?;
    report(data.json, &result, &[shown(&result.timing, batch.get())])
}

pub fn run_prepare(arguments: &PrepareArguments) -> anyhow::Result<()> {
    check_page(arguments.page.as_deref())?;
    let result = prepare(&arguments.data.options())?;
    if let Some(file) = &arguments.page {
        let facts = vec![("version".to_string(), env!("CARGO_PKG_VERSION").to_string())];
        write_bytes(file, ptu_report::render(&result.page(facts)).as_bytes())?;
    }
    let line = |name: &str, rate: f64| format!("{name:24}{rate:9.0} pairs/s");
    let lines = [
        line("phantom", result.phantom_pairs_per_second),
        line("table", result.table_pairs_per_second),
        line("table at half the side", result.resized_table_pairs_per_second),
    ];
    report(arguments.data.json, &result, &lines)
}
