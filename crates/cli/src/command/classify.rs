use std::path::PathBuf;
use std::process::ExitCode;

use ptu_data::Split;

use super::{AtWork, predict};

/// Predict the class, or the labels, of images, texts or pairs with a fine-tuned model
///
/// Inputs are image files, .txt files, folders, patterns, tables and folders of shards, as for `embed`. The model reads of each what it
/// was fine-tuned on; prompts take the place of a missing image or text. Each prediction is a class with its probability. Inputs that
/// cannot be used are skipped and reported; the exit code is then 3.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier classify runs/finding scan.png
  ptunifier classify runs/finding scans/ --json > predictions.jsonl
  ptunifier classify runs/finding data/own --split test --top 3")]
pub struct Arguments {
    /// A fine-tuned run folder, or a bundle
    model: PathBuf,
    /// Files, folders, patterns, tables, shards
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// Only these splits of shards: train, validate or test (default: all)
    #[arg(long)]
    split: Vec<Split>,
    /// Number of classes that are printed for each input, the most probable first
    #[arg(long, default_value_t = 3)]
    top: usize,
    /// One JSON object per line on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    work: AtWork,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let model = predict::open(&arguments.model, &arguments.work)?;
    if model.task().output.kind() == "vqa" {
        anyhow::bail!(
            "`{}` is fine-tuned for questions; use `ptunifier ask {0} IMAGE \"QUESTION\"`",
            arguments.model.display()
        );
    }
    let Arguments { inputs, split, top, json, .. } = arguments;
    predict::Job { model: &model, inputs, splits: split, top: *top, json: *json }.run(&|record| record)
}
