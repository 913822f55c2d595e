use std::path::PathBuf;

use ptu_train::RunOptions;
use ptu_train::quickstart::{Corpus, QuickstartOptions, quickstart};

use super::{Compute, wall_time};
use crate::interrupt::stop_flag;
use crate::progress::{RunProgress, print};

/// The whole story in minutes: a corpus, learning from it, scores of what was learned, a page to look at
///
/// Without a table the corpus is synthetic (radiograph-like pictures with report prose), so nothing has to be downloaded. With one
/// it is your own pairs, and their vectors are written too, to be searched.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier quickstart --out quickstart && xdg-open quickstart/report.html
  ptunifier quickstart --table pairs.csv --out own")]
pub struct Arguments {
    /// A new or empty folder
    #[arg(long)]
    out: PathBuf,
    /// Pairs to draw and learn from
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    pairs: u64,
    /// Your own pairs: a CSV or JSONL with a column of image paths and a column of texts
    #[arg(long, value_name = "FILE", conflicts_with = "pairs")]
    table: Option<PathBuf>,
    /// Everything random follows from it
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Override a key of the recipe; the value in TOML
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(flatten)]
    compute: Compute,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.compute.start()?;
    let options = QuickstartOptions {
        out: arguments.out.clone(),
        corpus: arguments.table.clone().map_or(Corpus::Phantom(arguments.pairs), Corpus::Table),
        seed: arguments.seed,
        overrides: arguments.overrides.clone(),
    };
    let run = RunOptions {
        out: arguments.out.join("run"),
        resume: false,
        device: arguments.compute.device.training(),
        wall_time,
    };
    let mut progress = RunProgress::new(stop_flag("the step at hand is ended, and its model scored"));
    let summary = quickstart(&options, &run, &mut progress)?;
    progress.finish();
    if summary.stopped {
        print("stopped before the last step: these are the scores of an unfinished run")?;
    }
    print(&format!("the page to look at: {}", summary.page.display()))?;
    if let Some(vectors) = &summary.vectors {
        print(&format!("vectors to search: {}", vectors.display()))?;
    }
    print(&summary.line())
}
