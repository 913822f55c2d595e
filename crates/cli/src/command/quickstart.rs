use std::path::PathBuf;

use ptu_train::RunOptions;
use ptu_train::quickstart::{QuickstartOptions, quickstart};

use super::{Compute, wall_time};
use crate::progress::{RunProgress, print, stop_flag};

/// The whole story in minutes: draw a corpus, learn from it, score what was learned, write a page
///
/// The corpus is synthetic (radiograph-like pictures with report prose), so nothing has to be downloaded.
#[derive(clap::Args)]
#[command(after_help = "Example:
  ptunifier quickstart --out quickstart && xdg-open quickstart/report.html")]
pub struct Arguments {
    /// A new or empty folder
    #[arg(long)]
    out: PathBuf,
    /// Pairs to learn from
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    pairs: u64,
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
        pairs: arguments.pairs,
        seed: arguments.seed,
        overrides: arguments.overrides.clone(),
    };
    let run = RunOptions {
        out: arguments.out.join("run"),
        resume: false,
        device: arguments.compute.device.training(),
        wall_time,
    };
    let mut progress = RunProgress::new(stop_flag()?);
    let summary = quickstart(&options, &run, &mut progress)?;
    progress.finish();
    if summary.stopped {
        print("stopped before the last step: these are the scores of an unfinished run")?;
    }
    print(&format!("the page to look at: {}", summary.page.display()))?;
    print(&summary.line())
}
