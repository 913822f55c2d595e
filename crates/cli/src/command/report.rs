use std::path::PathBuf;
use std::process::ExitCode;

use super::generation::GenerationOptions;
use super::predict::{self, PredictOptions};

/// Write the report of images with a fine-tuned model
///
/// Inputs are image files, folders, patterns, tables and folders of shards, as for `embed`. The text ends by itself, or at the
/// largest number of tokens, which is then reported. Inputs that cannot be used are skipped and reported; the exit code is then 3.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier report runs/report scan.png
  ptunifier report runs/report scans/ --json > reports.jsonl
  ptunifier report runs/report scan.png --sample --temperature 0.7 --seed 1")]
pub struct Arguments {
    /// A run folder that was fine-tuned for reports, or a bundle
    model: PathBuf,
    /// Files, folders, patterns, tables, shards
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    generation: GenerationOptions,
    /// Seed of texts that are sampled
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    options: PredictOptions,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { model, inputs, generation, seed, options } = arguments;
    predict::write_texts("report", model, inputs, (generation, *seed), options)
}
