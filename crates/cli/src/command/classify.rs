use std::path::PathBuf;
use std::process::ExitCode;

use ptu_infer::task::TaskOutput;

use super::predict::{self, PredictOptions};

/// Predict the class, or the labels, of images, texts or pairs
///
/// With a fine-tuned model, or, with --sentences, with a pre-trained model that compares images with sentences (zero-shot
/// classification). The file of sentences names the classes, each with one or more sentences:
///   [classes]
///   "pleural effusion" = ["there is a pleural effusion.", "pleural effusion is seen."]
///   "no finding" = ["the lungs are clear."]
/// The vectors of a class's sentences are averaged; the probabilities are a softmax over the classes with the model's temperature.
///
/// Inputs are image files, .txt files, folders, patterns, tables and folders of shards, as for `embed`. A fine-tuned model reads of each what
/// it was fine-tuned on; prompts take the place of a missing image or text. Each prediction is a class with its probability. Inputs that
/// cannot be used are skipped and reported; the exit code is then 3.
#[derive(clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  ptunifier classify runs/finding scan.png
  ptunifier classify runs/finding scans/ --json > predictions.jsonl
  ptunifier classify runs/finding data/own --split test --top 3
  ptunifier classify quickstart/run quickstart/example.png --sentences recipes/zero-shot/phantom-organ.toml"
)]
pub struct Arguments {
    /// A fine-tuned run folder, or a bundle; with --sentences a pre-trained one
    model: PathBuf,
    /// Files, folders, patterns, tables, shards
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// TOML file of classes and sentences; a pre-trained model then classifies images by them
    #[arg(long, value_name = "FILE")]
    sentences: Option<PathBuf>,
    #[command(flatten)]
    options: PredictOptions,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let work = &arguments.options.work;
    let model = match &arguments.sentences {
        Some(sentences) => predict::open_with_sentences(&arguments.model, sentences, work)?,
        None => predict::open(&arguments.model, work)?,
    };
    let output = &model.task().output;
    if !matches!(output, TaskOutput::Classification { .. } | TaskOutput::Multilabel { .. }) {
        let (kind, command) = (output.kind(), predict::command_of(output, &arguments.model));
        anyhow::bail!("`{}` is fine-tuned for {kind}, not for classes; use `{command}`", arguments.model.display());
    }
    let Arguments { inputs, options, .. } = arguments;
    predict::Job { model: &model, inputs, options }.run(&|record| record)
}
