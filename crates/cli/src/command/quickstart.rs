use std::path::PathBuf;
use std::process::ExitCode;

use ptu_prepare::Shares;
use ptu_prepare::table::ColumnNames;
use ptu_train::{RunOptions, TrainError};
use ptu_workflow::quickstart::{Corpus, OwnTable, QuickstartOptions, StartWeights, quickstart};

use super::evaluate::says_little;
use super::{Compute, wall_time};
use crate::interrupt::{Interrupted, go_on, saving, stop_flag};
use crate::output::print;
use crate::progress::RunProgress;
use crate::usage::{check_sets, check_shares, share};

/// Train, evaluate and view a small model in minutes
///
/// Prepares data, pre-trains a model, evaluates it and writes an HTML page. Without a table the data is synthetic (radiograph-like
/// pictures with report texts), so nothing has to be downloaded; the model is then also fine-tuned to answer questions (`ask`).
/// With a table it is your own pairs, and a file of their vectors is
/// written too, for `search`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier quickstart --out quickstart && xdg-open quickstart/report.html
  ptunifier quickstart --table pairs.csv --out own
  ptunifier quickstart --table pairs.csv --init weights/dinov2-small weights/all-MiniLM-L6-v2 --out own")]
pub struct Arguments {
    /// A new or empty folder, or the folder of an interrupted quickstart
    #[arg(long)]
    out: PathBuf,
    /// Number of synthetic pairs
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    pairs: u64,
    /// Your own pairs: a table (.csv, .tsv, .json, .jsonl or .parquet; all but .parquet also packed, as .csv.gz) with a column of
    /// image paths, or in parquet of images, and a column of texts; or a folder with such a table, or with files by split
    #[arg(long, value_name = "FILE", conflicts_with = "pairs")]
    table: Option<PathBuf>,
    /// Column of the image paths, if it has no usual name
    #[arg(long, value_name = "COLUMN", requires = "table")]
    image: Option<String>,
    /// Column of texts; may be repeated
    #[arg(long, value_name = "COLUMN", requires = "table")]
    text: Vec<String>,
    /// Column of the patient (or study, article): all its records go into one split
    #[arg(long, value_name = "COLUMN", requires = "table")]
    patient: Option<String>,
    /// Share of the patients in the validation split, if the table has no splits
    #[arg(long, default_value_t = 0.1, value_parser = share, requires = "table")]
    validate: f64,
    /// Share of the patients in the test split, if the table has no splits
    #[arg(long, default_value_t = 0.2, value_parser = share, requires = "table")]
    test: f64,
    /// Skip rows that cannot be used, such as rows with broken images, instead of stopping at the first
    #[arg(long, requires = "table")]
    skip_bad: bool,
    /// Start from published weights: files or folders of an image encoder and a text encoder (`docs/weights.md`). Both stay as they are; what
    /// is new is trained
    #[arg(long, value_name = "FOLDER", num_args = 1.., requires = "table")]
    init: Vec<PathBuf>,
    /// Total minutes; sets the number of training steps (default: the recipe's steps, but at most 15 minutes)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    minutes: Option<u32>,
    /// Random seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Override a key of the recipe; the value is TOML
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[command(flatten)]
    compute: Compute,
}

impl Arguments {
    fn options(&self) -> anyhow::Result<QuickstartOptions> {
        let own = |path: &PathBuf| OwnTable {
            path: path.clone(),
            columns: ColumnNames {
                image: self.image.clone(),
                texts: self.text.clone(),
                patient: self.patient.clone(),
                ..ColumnNames::default()
            },
            validate: self.validate,
            test: self.test,
            skip_bad: self.skip_bad,
        };
        Ok(QuickstartOptions {
            out: self.out.clone(),
            corpus: self.table.as_ref().map_or(Corpus::Phantom(self.pairs), |path| Corpus::Table(Box::new(own(path)))),
            seed: self.seed,
            minutes: self.minutes,
            overrides: self.overrides.clone(),
            init: (!self.init.is_empty()).then(|| StartWeights::find(&self.init)).transpose()?,
        })
    }
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    arguments.compute.start()?;
    let options = arguments.options()?;
    check_shares(Shares { validate: arguments.validate, test: arguments.test, seed: arguments.seed })?;
    check_sets(&arguments.overrides, |sets| {
        QuickstartOptions { overrides: sets.to_vec(), ..options.clone() }.check_recipe().map_err(TrainError::from)
    })?;
    let run = RunOptions {
        out: arguments.out.join("run"),
        resume: false,
        device: arguments.compute.device.training(),
        wall_time,
    };
    go_on("continue with the same command");
    saving(false);
    let mut progress = RunProgress::new(stop_flag("the current step is finished and saved"));
    let summary = quickstart(&options, &run, &mut progress)?;
    progress.finish();
    let Some(summary) = summary else { return Err(Interrupted("continue with the same command".into()).into()) };
    if summary.skipped > 0 {
        let list = options.out.join("data/manifest.json");
        print(&format!("skipped rows or files: {}, listed in {}", summary.skipped, list.display()))?;
    }
    print(&format!("page: {}", summary.page.display()))?;
    if let Some(vectors) = &summary.vectors {
        print(&format!("vectors for `search`: {}", vectors.display()))?;
    }
    if let Some(answers) = summary.answers() {
        let [ask, example] = ["ask", "example.png"].map(|name| options.out.join(name).display().to_string());
        print(&format!("{answers}; ask with `ptunifier ask {ask} {example} \"Which side?\"`"))?;
    }
    if let Some(warning) = says_little(&summary.scores) {
        print(&format!("note: {warning}"))?;
    }
    print(&summary.line())?;
    Ok(super::done(summary.skipped > 0))
}
