use std::path::PathBuf;

use ptu_data::prepare::table::ColumnNames;
use ptu_train::RunOptions;
use ptu_train::quickstart::{Corpus, OwnTable, QuickstartOptions, quickstart};

use super::{Compute, wall_time};
use crate::interrupt::{Interrupted, go_on, saving, stop_flag};
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
    /// A new or empty folder, or one that the same command has begun in
    #[arg(long)]
    out: PathBuf,
    /// Pairs to draw and learn from
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    pairs: u64,
    /// Your own pairs: a CSV or JSONL with a column of image paths and a column of texts
    #[arg(long, value_name = "FILE", conflicts_with = "pairs")]
    table: Option<PathBuf>,
    /// Column of the image paths, where it has no usual name
    #[arg(long, value_name = "COLUMN", requires = "table")]
    image: Option<String>,
    /// Column of texts; may be repeated
    #[arg(long, value_name = "COLUMN", requires = "table")]
    text: Vec<String>,
    /// Column that says what belongs together (a patient, a study, an article): it stays in one split
    #[arg(long, value_name = "COLUMN", requires = "table")]
    patient: Option<String>,
    /// Share of the patients to choose a model by, where the table has no splits
    #[arg(long, default_value_t = 0.1, requires = "table")]
    validate: f64,
    /// Share of the patients in the test split, where the table has no splits
    #[arg(long, default_value_t = 0.2, requires = "table")]
    test: f64,
    /// Minutes in all, which steps are chosen for (default: the recipe's steps, in 15 minutes at most)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    minutes: Option<u32>,
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
    let own = |path: &PathBuf| OwnTable {
        path: path.clone(),
        columns: ColumnNames {
            image: arguments.image.clone(),
            texts: arguments.text.clone(),
            patient: arguments.patient.clone(),
            ..ColumnNames::default()
        },
        validate: arguments.validate,
        test: arguments.test,
    };
    let options = QuickstartOptions {
        out: arguments.out.clone(),
        corpus: arguments.table.as_ref().map_or(Corpus::Phantom(arguments.pairs), |path| Corpus::Table(own(path))),
        seed: arguments.seed,
        minutes: arguments.minutes,
        overrides: arguments.overrides.clone(),
    };
    let run = RunOptions {
        out: arguments.out.join("run"),
        resume: false,
        device: arguments.compute.device.training(),
        wall_time,
    };
    go_on("the same command goes on");
    saving(false);
    let mut progress = RunProgress::new(stop_flag("the step at hand is ended and saved"));
    let summary = quickstart(&options, &run, &mut progress)?;
    progress.finish();
    let Some(summary) = summary else { return Err(Interrupted("the same command goes on".into()).into()) };
    print(&format!("the page to look at: {}", summary.page.display()))?;
    if let Some(vectors) = &summary.vectors {
        print(&format!("vectors to search: {}", vectors.display()))?;
    }
    print(&summary.line())
}
