use std::path::PathBuf;
use std::process::ExitCode;

use super::predict::WriteOptions;

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
    #[command(flatten)]
    options: WriteOptions,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    arguments.options.run("report", &arguments.model)
}
