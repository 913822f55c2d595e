use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use ptu_data::{Question, Record};

use super::predict::{self, PredictOptions};
use crate::usage::WrongArguments;

/// Ask a fine-tuned model questions about images
///
/// With a question, it is asked about each input. Without one: if the input is a single image file, questions are read from standard
/// input, one per line, until its end (Ctrl-D), and each is answered at once; if it is a table or a folder of shards, the questions of
/// its records are asked. A folder of images needs a question. A question about an input without an image is answered from the question
/// alone, and the answer says so (`--json`: `without_image`). Answers come from the fixed set of answers that the model was fine-tuned on.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier ask quickstart/ask scan.png \"Which side?\"
  ptunifier ask quickstart/ask scan.png        questions are typed in
  ptunifier ask runs/vqa scans/ \"Is there an effusion?\" --json > answers.jsonl
  ptunifier ask runs/vqa data/vqa-rad --split test --json")]
pub struct Arguments {
    /// A run folder that was fine-tuned for questions, or a bundle
    model: PathBuf,
    /// An image, or a folder, pattern, table, or folder of shards
    input: PathBuf,
    /// The question
    question: Option<String>,
    #[command(flatten)]
    options: PredictOptions,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let model = predict::open_for(&arguments.model, "vqa", &arguments.options.work)?;
    let Arguments { input, question, options, .. } = arguments;
    let inputs = std::slice::from_ref(input);
    let job = predict::Job { model: &model, inputs, options };
    match question {
        Some(question) if question.trim().is_empty() => {
            Err(WrongArguments("the question is empty; write one, or none at all".into()).into())
        }
        Some(question) => job.run(&|record| Record {
            questions: vec![Question { question: question.clone(), ..Question::default() }],
            ..record
        }),
        None if is_image(input) => typed(arguments, &job),
        None => job.run(&|record| record),
    }
}

/// Whether the input is a single file that is an image.
fn is_image(input: &std::path::Path) -> bool {
    let read = || {
        let mut start = [0; 4096];
        let count = std::io::Read::read(&mut std::fs::File::open(input).ok()?, &mut start).ok()?;
        Some(matches!(ptu_input::FileForm::of(&start[..count]), ptu_input::FileForm::Picture(_)))
    };
    input.is_file() && read().unwrap_or(false)
}

/// Answers questions that are typed in, or come through a pipe.
fn typed(arguments: &Arguments, job: &predict::Job<'_>) -> anyhow::Result<ExitCode> {
    let bytes =
        std::fs::read(&arguments.input).with_context(|| format!("cannot read `{}`", arguments.input.display()))?;
    let (name, stdin) = (arguments.input.display().to_string(), std::io::stdin());
    let prompt = || {
        if stdin.is_terminal() {
            // If stderr is closed, the prompt is not needed.
            let _ = write!(std::io::stderr(), "? ").and_then(|()| std::io::stderr().flush());
        }
    };
    prompt();
    for line in stdin.lock().lines() {
        let line = line.context("cannot read standard input")?;
        if !line.trim().is_empty() {
            job.print(&job.model.image(bytes.clone(), &name, Some(line.trim()))?, None)?;
        }
        prompt();
    }
    Ok(ExitCode::SUCCESS)
}
