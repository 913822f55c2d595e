//! What the commands that use a fine-tuned model have in common: reading inputs in batches, printing predictions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use ptu_data::inputs::Loaded;
use ptu_data::{Record, Split};
use ptu_infer::task::{Answer, ClassSentences, Prediction, Refused, Scored, TaskModel, TaskOutput};
use serde::Serialize;

use super::chunks::each_chunk;
use super::generation::GenerationOptions;
use super::{AtWork, done};
use crate::output::print;
use crate::usage::at_least_one;

/// Opens a fine-tuned run or bundle.
pub fn open(model: &Path, work: &AtWork) -> anyhow::Result<TaskModel> {
    let precision = work.start()?;
    let folder = super::bundle_folder(model)?;
    let mut opened = TaskModel::open(&folder, &work.compute.device.plain())?;
    opened.precision = precision;
    Ok(opened)
}

/// Opens a fine-tuned run or bundle for one kind of task (`TaskOutput::kind`). For a model of another kind, the error names the
/// command that uses it.
pub fn open_for(path: &Path, kind: &str, work: &AtWork) -> anyhow::Result<TaskModel> {
    let model = open(path, work)?;
    let found = model.task().output.kind();
    if found != kind {
        let shown = path.display();
        bail!("`{shown}` is fine-tuned for {found}, not for {kind}; use `{}`", command_of(&model.task().output, path));
    }
    Ok(model)
}

/// Options of commands that write a text for each input.
#[derive(clap::Args)]
pub struct WriteOptions {
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

impl WriteOptions {
    /// Writes a text for each input with a model of one kind, `report` or `summary`.
    pub fn run(&self, kind: &str, path: &Path) -> anyhow::Result<ExitCode> {
        let mut model = open_for(path, kind, &self.options.work)?;
        self.generation.apply(&mut model)?;
        model.seed = self.seed;
        Job { model: &model, inputs: &self.inputs, options: &self.options }.run(&|record| record)
    }
}

/// The command that uses a model with these outputs.
pub fn command_of(output: &TaskOutput, path: &Path) -> String {
    let path = path.display();
    match output {
        TaskOutput::Classification { .. } | TaskOutput::Multilabel { .. } => {
            format!("ptunifier classify {path} INPUT")
        }
        TaskOutput::Vqa { .. } => format!("ptunifier ask {path} IMAGE \"QUESTION\""),
        TaskOutput::Retrieval { .. } => format!("ptunifier match {path} IMAGE \"TEXT\""),
        TaskOutput::Report(_) => format!("ptunifier report {path} IMAGE"),
        TaskOutput::Summary(_) => format!("ptunifier summarise {path} TEXT_FILE"),
    }
}

/// Opens a pre-trained run or bundle that classifies images by the sentences in a file.
pub fn open_with_sentences(model: &Path, sentences: &Path, work: &AtWork) -> anyhow::Result<TaskModel> {
    let precision = work.start()?;
    let (folder, sentences) = (super::bundle_folder(model)?, ClassSentences::read(sentences)?);
    let mut opened = TaskModel::by_sentences(&folder, &sentences, &work.compute.device.plain())?;
    opened.precision = precision;
    Ok(opened)
}

/// Options of commands that print predictions.
#[derive(clap::Args)]
pub struct PredictOptions {
    /// Only these splits of shards: train, validate or test (default: all)
    #[arg(long)]
    split: Vec<Split>,
    /// Number of classes or answers that are printed for each input, the most probable first
    #[arg(long, default_value = "3", value_parser = at_least_one)]
    top: usize,
    /// One JSON object per line on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub work: AtWork,
}

/// Inputs whose predictions are printed.
pub struct Job<'a> {
    /// The model.
    pub model: &'a TaskModel,
    /// Files, folders, patterns, tables, shards.
    pub inputs: &'a [PathBuf],
    /// Which of them, and how predictions are printed.
    pub options: &'a PredictOptions,
}

/// A prediction as a JSON object.
#[derive(Serialize)]
struct Line<'a> {
    input: &'a str,
    /// The record's own id; absent for a file, whose name is its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<&'a str>,
    /// True if the text was longer than the model reads.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    /// True if a question was answered without an image.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    without_image: bool,
    #[serde(flatten)]
    prediction: &'a Prediction,
}

impl Job<'_> {
    /// Prints a prediction for each input; `change` may add a question to a record. Inputs that cannot be used are reported, and the exit
    /// code is then 3.
    pub fn run(&self, change: &(dyn Fn(Record) -> Record + Sync)) -> anyhow::Result<ExitCode> {
        let mut printed = 0usize;
        let skipped = each_chunk(self.inputs, &self.options.split, |loaded, skipped| {
            let (mut records, mut ids) = (vec![], HashMap::new());
            for Loaded { name, record, .. } in loaded {
                // Predictions are printed under the name by which the user knows the input, and with the id of the record.
                if record.id != name {
                    ids.insert(name.clone(), record.id.clone());
                }
                records.push(change(Record { id: name, ..record }));
            }
            for answer in self.model.predict(records)? {
                match answer {
                    Ok(answer) => {
                        printed += 1;
                        self.print(&answer, ids.get(&answer.id).map(String::as_str))?;
                    }
                    Err(Refused { id, cause }) => skipped.add(&id, &cause),
                }
            }
            Ok(())
        })?;
        anyhow::ensure!(printed > 0, "no input gave a prediction, for the causes above; name other inputs");
        Ok(done(skipped))
    }

    /// Prints one prediction; `id` is the id of the record, if the input is not a file.
    pub fn print(&self, answer: &Answer, id: Option<&str>) -> anyhow::Result<()> {
        let Answer { id: input, question, cut, has_image, prediction } = answer;
        let without_image = question.is_some() && !has_image;
        let shortened = self.shortened(prediction);
        if self.options.json {
            let line =
                Line { input, id, question: question.as_deref(), cut: *cut, without_image, prediction: &shortened };
            return print(&serde_json::to_string(&line)?);
        }
        let note = match (cut, without_image) {
            (_, true) => "  (from the question alone: the input has no image)",
            (true, _) => "  (only the beginning of the text was read)",
            _ => "",
        };
        let question = question.as_ref().map_or(String::new(), |question| format!("  {question}"));
        print(&format!("{input}{question}\n  {}{note}", line(&shortened)))
    }

    /// The prediction with the most probable classes or answers only.
    fn shortened(&self, prediction: &Prediction) -> Prediction {
        let first = |scored: &[Scored]| scored.iter().take(self.options.top).cloned().collect();
        match prediction {
            Prediction::Classification { classes } => Prediction::Classification { classes: first(classes) },
            Prediction::Vqa { answers } => Prediction::Vqa { answers: first(answers) },
            other => other.clone(),
        }
    }
}

/// Names and probabilities in one line, or the text.
pub fn line(prediction: &Prediction) -> String {
    let scored = match prediction {
        Prediction::Report(text) | Prediction::Summary(text) => {
            let stopped = if text.finished { String::new() } else { format!("  (stopped at {} tokens)", text.tokens) };
            return format!("{}{stopped}", text.text);
        }
        Prediction::Classification { classes: scored }
        | Prediction::Vqa { answers: scored }
        | Prediction::Multilabel { labels: scored } => scored,
    };
    scored.iter().map(|one| format!("{} {:.2}", one.name, one.probability)).collect::<Vec<_>>().join("   ")
}
