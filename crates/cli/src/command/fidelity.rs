use std::path::PathBuf;

use ptu_data::Split;
use ptu_evaluate::fidelity::{Completion, Fidelity, FidelityPart, FidelityReport, LayerFidelity};
use ptu_evaluate::scored_on::ScoredOn;
use ptu_evaluate::{EvaluateOptions, Removed, Score, fidelity};

use super::AtWork;
use crate::output::print;
use crate::progress::Bar;
use crate::usage::at_least_one;

/// Compare pairs whose missing image or text was completed with the real pairs
///
/// The image, then the text, of each pair is removed and replaced: by the model's prompts, by zeros, by nothing, by the mean of the training
/// embeddings, by the image or text of the most similar training pair (neighbour), and by itself (pair: what a perfect stand-in gives).
///
/// Scores: cosine similarity of the pooled features with those of the real pair (after the mean of all pairs was subtracted); how often the own
/// real pair is the nearest one, and its median rank; CKA; and, for each --label, accuracy and calibration of a linear probe that was fitted to
/// complete training pairs, and how often it says the same as for the real pair. For each layer of the fusion also what the completed stream
/// tells about the real modality, in bits (a linear probe). Intervals are 95 %, resampled by patient.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier fidelity runs/phantom --label organ --label finding
  ptunifier fidelity runs/phantom --split validate --gallery 400 --json")]
pub struct Arguments {
    /// Run folder, or bundle
    model: PathBuf,
    /// Shard folders with a training split (default: those of the run's recipe)
    #[arg(long)]
    data: Vec<PathBuf>,
    /// Which split: train, validate or test
    #[arg(long, default_value = "test")]
    split: Split,
    /// Number of pairs at most (default: the recipe's, or 200)
    #[arg(long, value_parser = at_least_one)]
    gallery: Option<usize>,
    /// File with the vectors of the training pairs (neighbours and mean): written if it does not exist, else read; one of another model or of
    /// other data is refused
    #[arg(long, value_name = "FILE")]
    memory: Option<PathBuf>,
    /// Label for a probe; may be given several times
    #[arg(long)]
    label: Vec<String>,
    /// Compare records even if the model was trained on them
    #[arg(long)]
    force: bool,
    /// Seed of the sampled records and of the resamples (default: the recipe's)
    #[arg(long)]
    seed: Option<u64>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    work: AtWork,
}

/// Number of parts of the work for one gallery.
const PARTS: u64 = 2 * Completion::ALL.len() as u64;

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let precision = arguments.work.start()?;
    super::check_model(&arguments.model)?;
    let device = arguments.work.compute.device.plain();
    let mut options = EvaluateOptions::of(&arguments.model, arguments.data.clone(), arguments.split, device)?;
    options.config.gallery = arguments.gallery.unwrap_or(options.config.gallery);
    options.config.labels.clone_from(&arguments.label);
    (options.seed, options.precision) = (arguments.seed.unwrap_or(options.seed), precision);
    options.force = arguments.force;
    let mut bar = Bar::new("compare", PARTS);
    let mut begun = 0;
    let reports = fidelity(&options, arguments.memory.as_deref(), &mut |source, part| match part {
        FidelityPart::Memory(pairs) => bar.set(0, || format!("{source}: {pairs} training pairs")),
        FidelityPart::Completion(removed, completion) => {
            let done = begun % PARTS;
            begun += 1;
            bar.set(done, || format!("{source}: {} removed, {}", removed.name(), completion.name()));
        }
    })?;
    bar.finish();
    if arguments.json {
        return print(&serde_json::json!({ "model": arguments.model, "galleries": reports }).to_string());
    }
    reports.iter().try_for_each(show)
}

fn show(report: &FidelityReport) -> anyhow::Result<()> {
    let FidelityReport { scored_on, training_pairs, fidelity, differences } = report;
    print(&ScoredOn::title(scored_on))?;
    print(&format!("  mean and neighbours of {training_pairs} training pairs"))?;
    for removed in [Removed::Images, Removed::Texts] {
        let rows: Vec<&Fidelity> = fidelity.iter().filter(|one| one.removed == removed).collect();
        print(&format!("{} removed", removed.name()))?;
        scores(&rows)?;
        for one in differences.iter().filter(|one| one.removed == removed && one.second != Completion::Pair) {
            let name = format!("{}, {} minus {}", one.score, one.first.name(), one.second.name());
            print(&format!("  {name:44} {}", interval(&one.difference, true)))?;
        }
        layers(&rows)?;
    }
    Ok(())
}

/// One row for each completion, one column for each score.
fn scores(rows: &[&Fidelity]) -> anyhow::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let names: Vec<&String> = first.scores.keys().collect();
    let header: Vec<String> = names.iter().map(|name| format!("{name:>26}")).collect();
    print(&format!("  {:10}{} {:>8}", "", header.join(" "), "CKA"))?;
    for row in rows {
        let values: Vec<String> =
            names.iter().map(|name| format!("{:>26}", interval(&row.scores[*name], false))).collect();
        print(&format!("  {:10}{} {:>8}", row.completion.name(), values.join(" "), number(row.cka)))?;
    }
    for label in first.calibration.keys() {
        let of_row = |row: &&Fidelity| {
            let error = row.calibration.get(label).copied().flatten();
            format!("{} {}", row.completion.name(), number(error))
        };
        let errors: Vec<String> = rows.iter().map(of_row).collect();
        print(&format!("  expected calibration error of {label}: {}", errors.join(", ")))?;
    }
    Ok(())
}

/// One row for each completion, with cosine, CKA and bits of each layer.
fn layers(rows: &[&Fidelity]) -> anyhow::Result<()> {
    let count = rows.first().map_or(0, |row| row.layers.len());
    let header: Vec<String> =
        (1..=count).map(|layer| format!("{:>24}", format!("layer {layer}: cos CKA bits"))).collect();
    print(&format!("  {:10}{}", "", header.join(" ")))?;
    for row in rows {
        let of_layer = |layer: &LayerFidelity| {
            let values = [layer.cosine, layer.cka, layer.bits].map(number);
            format!("{:>24}", values.join(" "))
        };
        let values: Vec<String> = row.layers.iter().map(of_layer).collect();
        print(&format!("  {:10}{}", row.completion.name(), values.join(" ")))?;
    }
    Ok(())
}

fn interval(score: &Score, signed: bool) -> String {
    let value = |value: Option<f64>| match value {
        None => "-".to_string(),
        Some(value) if signed => format!("{value:+.3}"),
        Some(value) => format!("{value:.3}"),
    };
    format!("{} [{}, {}]", value(score.value), value(score.low), value(score.high))
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.3}"))
}
