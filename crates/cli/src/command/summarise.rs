use std::path::PathBuf;
use std::process::ExitCode;

use super::generation::GenerationOptions;
use super::predict::{self, PredictOptions};

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
    predict::write_texts("summary", model, inputs, (generation, *seed), options)
}
