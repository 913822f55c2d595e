use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use ptu_data::inputs::Loaded;
use ptu_data::{Record, Split};
use ptu_infer::task::Refused;
use ptu_infer::{MatchKind, MatchModel, MatchScore, RecordMatches, TextMatch};
use ptu_model::files;
use serde::Serialize;

use super::chunks::each_chunk;
use super::{AtWork, done};
use crate::output::{print, say};
use crate::usage::WrongArguments;

/// The largest file of texts, in bytes.
const LARGEST: u64 = 64 << 20;

/// Tell how well texts fit images, with a model that was trained on image-text matching or fine-tuned for retrieval
///
/// With one text or several, each image is scored with each of them, and the texts of an image are printed with the best one first.
/// Without a text, the texts of the records are scored with their own images, if the input is a table or a folder of shards. A
/// pre-trained model (objective `itm`) gives the probability that the image and the text belong together. A model that was fine-tuned for
/// retrieval gives a score, larger for a better fit, which is no probability. Inputs that cannot be used are skipped and reported; the
/// exit code is then 3.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier match quickstart/run scan.png \"There is an effusion on the left.\"
  ptunifier match runs/retrieval scan.png \"no finding\" \"a mass in the right lung\"      ranked, the best first
  ptunifier match runs/retrieval scans/ --texts sentences.txt --json > matches.jsonl
  ptunifier match runs/retrieval data/own --split test --json")]
pub struct Arguments {
    /// A run folder or a bundle with a head for image-text matching or for retrieval
    model: PathBuf,
    /// An image, or a folder, pattern, table, or folder of shards
    input: PathBuf,
    /// Texts that are scored with each image
    texts: Vec<String>,
    /// A file with further texts, one a line
    #[arg(long = "texts", value_name = "FILE")]
    texts_file: Option<PathBuf>,
    /// Only these splits of shards: train, validate or test (default: all)
    #[arg(long)]
    split: Vec<Split>,
    /// One JSON object per line on stdout, for each image and text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    work: AtWork,
}

/// An image and a text with their score, as a JSON object.
#[derive(Serialize)]
struct Line<'a> {
    input: &'a str,
    text: &'a str,
    /// Place of the text among those of its image, from 1, if they were ranked.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,
    /// True if the text was longer than the model reads.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    #[serde(flatten)]
    score: MatchScore,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let texts = texts(arguments)?;
    let precision = arguments.work.start()?;
    let folder = super::bundle_folder(&arguments.model)?;
    let mut model = MatchModel::open(&folder, &arguments.work.compute.device.plain())?;
    model.precision = precision;
    if !arguments.json {
        say(match model.kind() {
            MatchKind::Probability => "probability that the image and the text belong together, 0 to 1",
            MatchKind::Score => "score of the retrieval head: larger for a better fit, but no probability",
        });
    }
    let mut printed = false;
    let skipped = each_chunk(std::slice::from_ref(&arguments.input), &arguments.split, |loaded, skipped| {
        // Scores are printed under the name by which the user knows the input.
        let records = loaded.into_iter().map(|Loaded { name, record, .. }| Record { id: name, ..record });
        for matches in model.matches(records.map(|record| with_texts(record, &texts)).collect())? {
            match matches {
                Ok(matches) => {
                    printed = true;
                    show(if texts.is_empty() { matches } else { matches.ranked() }, !texts.is_empty(), arguments.json)?;
                }
                Err(Refused { id, cause }) => skipped.add(&id, &cause),
            }
        }
        Ok(())
    })?;
    anyhow::ensure!(printed, "no input was scored, for the causes above; name other inputs");
    Ok(done(skipped))
}

/// The texts of the command line and of the file.
fn texts(arguments: &Arguments) -> anyhow::Result<Vec<String>> {
    if arguments.texts.iter().any(|text| text.trim().is_empty()) {
        return Err(WrongArguments("a text is empty; write one, or none at all".into()).into());
    }
    let mut texts = arguments.texts.clone();
    if let Some(path) = &arguments.texts_file {
        texts.extend(lines(path)?);
    }
    Ok(texts)
}

/// The lines of a file of texts, without empty ones.
fn lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = String::from_utf8(files::read(path, LARGEST)?)
        .ok()
        .with_context(|| format!("`{}` is not UTF-8 text; write one text a line in UTF-8", path.display()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines: Vec<String> = text.lines().map(|line| line.trim().to_string()).filter(|line| !line.is_empty()).collect();
    anyhow::ensure!(!lines.is_empty(), "`{}` holds no text; write one text a line", path.display());
    Ok(lines)
}

/// The record with the texts of the user in place of its own, if there are any.
fn with_texts(record: Record, texts: &[String]) -> Record {
    if texts.is_empty() { record } else { Record { texts: texts.to_vec(), ..record } }
}

/// Prints the scores of one image.
fn show(matches: RecordMatches, is_ranked: bool, json: bool) -> anyhow::Result<()> {
    let RecordMatches { id, texts } = matches;
    if !json {
        print(&id)?;
    }
    for (place, TextMatch { text, score, cut, .. }) in texts.iter().enumerate() {
        if json {
            let rank = is_ranked.then_some(place + 1);
            print(&serde_json::to_string(&Line { input: &id, text, rank, cut: *cut, score: *score })?)?;
        } else {
            let note = if *cut { "  (only the beginning of the text was read)" } else { "" };
            print(&format!("  {:>7.3}  {text}{note}", score.value()))?;
        }
    }
    Ok(())
}
