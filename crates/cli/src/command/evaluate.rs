use std::collections::BTreeMap;
use std::path::PathBuf;

use ptu_data::Split;
use ptu_model::files::write_bytes;
use ptu_train::evaluate::{EvaluateOptions, Score, Scores, evaluate, mean_r10};
use ptu_train::page;
use serde::Serialize;

use super::Compute;
use crate::progress::{Bar, print};

/// Score a model on pairs that it has not seen
///
/// Zero-shot retrieval in both directions (an image alone looks for its text, a text alone for its image), image-text
/// matching and masked words; each with a 95 % interval by patient and with what chance would give.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier evaluate runs/phantom
  ptunifier evaluate runs/phantom --data data/other --split validate --json
  ptunifier evaluate runs/phantom/best --data data/phantom --hits cause")]
pub struct Arguments {
    /// A run folder, or a bundle
    model: PathBuf,
    /// Shard folders (default: those of the run's recipe)
    #[arg(long)]
    data: Vec<PathBuf>,
    /// Which split: train, validate or test
    #[arg(long, default_value = "test")]
    split: Split,
    /// Pairs at most (default: the recipe's, or 200)
    #[arg(long)]
    gallery: Option<usize>,
    /// Label whose equality makes a hit besides equal texts and images (default: the recipe's)
    #[arg(long)]
    hits: Option<String>,
    /// Label whose values are galleries of their own (default: the recipe's)
    #[arg(long)]
    by: Option<String>,
    /// Draws records, masks, partners, resamples (default: the recipe's)
    #[arg(long)]
    seed: Option<u64>,
    /// Write the page of the run with these scores, one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Serialize)]
struct Report<'a> {
    model: &'a PathBuf,
    split: Split,
    /// Scores by source, or by source and gallery.
    sources: BTreeMap<&'a str, Scores>,
    /// Mean R@10 over galleries and directions.
    mean_r10: Score,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.compute.start()?;
    let device = arguments.compute.device.plain();
    let mut options = EvaluateOptions::of(&arguments.model, arguments.data.clone(), arguments.split, device)?;
    options.config.gallery = arguments.gallery.unwrap_or(options.config.gallery);
    options.config.hits = arguments.hits.clone().or(options.config.hits);
    options.config.by = arguments.by.clone().or(options.config.by);
    options.seed = arguments.seed.unwrap_or(options.seed);
    let mut bar = None;
    let evaluated = evaluate(&options, &mut |name, done, all| {
        bar.get_or_insert_with(|| Bar::new("scoring", all as u64)).set(done as u64, || name.to_string());
    })?;
    if let Some(bar) = &bar {
        bar.finish();
    }
    if let Some(file) = &arguments.page {
        let mut page = page::of_run(&arguments.model, &evaluated)?;
        page.title = format!("Run {}", arguments.model.display());
        write_bytes(file, ptu_report::render(&page).as_bytes())?;
    }
    let mean = mean_r10(&evaluated, options.seed);
    if arguments.json {
        let sources = evaluated.iter().map(|evaluated| (evaluated.name.as_str(), evaluated.scores)).collect();
        let report = Report { model: &arguments.model, split: arguments.split, sources, mean_r10: mean };
        return print(&serde_json::to_string(&report)?);
    }
    for evaluated in &evaluated {
        let retrieval = &evaluated.scores.retrieval;
        print(&format!("{} ({}, {} pairs)", evaluated.name, arguments.split, retrieval.records))?;
        for (name, score) in evaluated.scores.rows() {
            print(&format!("  {name:28}{}", line(score)))?;
        }
    }
    if evaluated.len() > 1 {
        print(&format!("mean over galleries and directions\n  {:28}{}", "R@10", line(mean)))?;
    }
    Ok(())
}

/// `0.620 [0.550, 0.690]  chance 0.050`; what is undefined is a dash.
fn line(score: Score) -> String {
    let show = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.3}"));
    format!("{:>8} [{}, {}]  chance {}", show(score.value), show(score.low), show(score.high), show(score.chance))
}
