use std::path::PathBuf;
use std::process::ExitCode;

use super::predict::WriteOptions;

/// Summarise texts with a fine-tuned model
///
/// Inputs are .txt files, folders, patterns, tables and folders of shards, as for `embed`. Of a record with sections, such as
/// findings and impression, the model reads the section that it was fine-tuned on; of other texts, all. If it was fine-tuned on
/// pairs, prompts take the place of a missing image. Inputs that cannot be used are skipped and reported; the exit code is then 3.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier summarise runs/summary findings.txt
  ptunifier summarise runs/summary data/own --split test --json > summaries.jsonl")]
pub struct Arguments {
    /// A run folder that was fine-tuned for summaries, or a bundle
    model: PathBuf,
    #[command(flatten)]
    options: WriteOptions,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    arguments.options.run("summary", &arguments.model)
}
