use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use ptu_data::{Question, Record};

use super::predict::{self, PredictOptions};
use crate::output::say;
use crate::usage::WrongArguments;

/// Ask a fine-tuned model questions about images
///
/// With a question, it is asked about each input. Without one: if the input is a single image file, questions are read from standard
/// input, one per line, until its end (Ctrl-D), and each is answered at once; if it is a table or a folder of shards, the questions of
/// its records are asked (column `question`; answers are not needed). A folder of images needs a question. A question about an input
/// without an image is answered from the question alone, and the answer says so (`--json`: `without_image`).
///
/// Answers come from the fixed set of answers that the model was fine-tuned on. Each has its own probability that it is right, so the
/// probabilities of the answers to a question do not add up to 1.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier ask quickstart/ask scan.png \"Which side?\"
  ptunifier ask quickstart/ask scan.png        questions are typed in
  ptunifier ask runs/vqa scans/ \"Is there an effusion?\" --json > answers.jsonl
  ptunifier ask runs/vqa one.png two.png \"Is there an effusion?\"
  ptunifier ask runs/vqa questions.csv         a table with columns image and question
  ptunifier ask runs/vqa data/vqa-rad --split test --json")]
pub struct Arguments {
    /// A run folder that was fine-tuned for questions, or a bundle
    model: PathBuf,
    /// Images, folders, patterns, tables or folders of shards, and the question behind them. The last argument is the question, unless
    /// it is the only one or a file or folder of this name exists
    #[arg(required = true, value_name = "INPUT... [QUESTION]")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    options: PredictOptions,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (inputs, question) = inputs_and_question(&arguments.inputs)?;
    let options = &arguments.options;
    let model = predict::open_for(&arguments.model, "vqa", &options.work)?;
    if !options.json {
        say("each number is the probability that this answer is right; they do not add up to 1");
    }
    let job = predict::Job { model: &model, inputs, options };
    match (question, inputs) {
        (Some(question), _) => job.run(&|record| Record {
            questions: vec![Question { question: question.to_string(), ..Question::default() }],
            ..record
        }),
        (None, [input]) if is_image(input) => typed(input, &job),
        (None, _) => job.run(&|record| record),
    }
}

/// The inputs, and the question if there is one: the last of several arguments, unless it exists as a file or folder.
fn inputs_and_question(all: &[PathBuf]) -> anyhow::Result<(&[PathBuf], Option<&str>)> {
    let (last, inputs) = match all.split_last() {
        Some((last, inputs)) if !inputs.is_empty() && !last.exists() => (last, inputs),
        _ => return Ok((all, None)),
    };
    let wrong = |text: String| Err(WrongArguments(text).into());
    match last.to_str().map(str::trim) {
        None => wrong(format!("the question `{}` is not UTF-8 text; write it in UTF-8", last.display())),
        Some("") => wrong("the question is empty; write one, or none at all".into()),
        // A question of one word with a file extension is an input that is not there.
        Some(text) if last.extension().is_some() && !text.contains(char::is_whitespace) && !text.ends_with('.') => {
            wrong(format!("`{text}` does not exist; name inputs that exist, and the question behind them"))
        }
        Some(question) => Ok((inputs, Some(question))),
    }
}

/// Whether the input is a single file that is an image.
fn is_image(input: &Path) -> bool {
    let read = || {
        let mut start = [0; 4096];
        let count = std::io::Read::read(&mut std::fs::File::open(input).ok()?, &mut start).ok()?;
        Some(matches!(ptu_input::FileForm::of(&start[..count]), ptu_input::FileForm::Picture(_)))
    };
    input.is_file() && read().unwrap_or(false)
}

/// Answers questions that are typed in, or come through a pipe.
fn typed(input: &Path, job: &predict::Job<'_>) -> anyhow::Result<ExitCode> {
    let bytes = std::fs::read(input).with_context(|| format!("cannot read `{}`", input.display()))?;
    let (name, stdin) = (input.display().to_string(), std::io::stdin());
    let prompt = || {
        if stdin.is_terminal() {
            // If stderr is closed, the prompt is not needed.
            let _ = write!(std::io::stderr(), "? ").and_then(|()| std::io::stderr().flush());
        }
    };
    prompt();
    let mut asked = 0usize;
    for (number, line) in stdin.lock().split(b'\n').enumerate() {
        let line = String::from_utf8(line.context("cannot read standard input")?).ok().with_context(|| {
            format!("line {} of standard input is not UTF-8 text; write the questions in UTF-8", number + 1)
        })?;
        if !line.trim().is_empty() {
            asked += 1;
            job.print(&job.model.image(bytes.clone(), &name, Some(line.trim()))?, None)?;
        }
        prompt();
    }
    anyhow::ensure!(
        asked > 0,
        "standard input has no question; write one per line, or one behind the image: `ask MODEL IMAGE \"QUESTION\"`"
    );
    Ok(ExitCode::SUCCESS)
}
