use std::path::PathBuf;
use std::process::ExitCode;

use ptu_infer::task::TaskOutput;

use super::predict::{self, PredictOptions};

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
    #[command(flatten)]
    options: PredictOptions,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let model = predict::open(&arguments.model, &arguments.options.work)?;
    let output = &model.task().output;
    if !matches!(output, TaskOutput::Classification { .. } | TaskOutput::Multilabel { .. }) {
        let (kind, command) = (output.kind(), predict::command_of(output, &arguments.model));
        anyhow::bail!("`{}` is fine-tuned for {kind}, not for classes; use `{command}`", arguments.model.display());
    }
    let Arguments { inputs, options, .. } = arguments;
    predict::Job { model: &model, inputs, options }.run(&|record| record)
}
