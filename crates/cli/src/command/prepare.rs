use std::cell::RefCell;
use std::path::PathBuf;

use clap::Subcommand;
use ptu_data::prepare::phantom::{PhantomOptions, prepare_phantom};
use ptu_data::prepare::table::{ColumnNames, TableOptions, prepare};
use ptu_data::{Manifest, Progress, Shares, Split};

use crate::progress::{Bar, print};

/// Turn raw data into shards that training reads
#[derive(Subcommand)]
pub enum Dataset {
    Phantom(Phantom),
    Table(Table),
}

/// Draw a synthetic corpus: radiograph-like pictures whose causes are known, and report prose about them
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier prepare phantom data/phantom --pairs 5000 --seed 1
  ptunifier prepare phantom data/half --pairs 5000 --image-missing 0.3 --text-missing 0.3")]
pub struct Phantom {
    /// A new or empty folder
    out: PathBuf,
    /// Records in all splits together
    #[arg(long, default_value_t = 5000)]
    pairs: u64,
    /// Everything random follows from it
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Height and width of the pictures in pixels
    #[arg(long, default_value_t = 64)]
    side: usize,
    /// Records held out for validation (default: a tenth)
    #[arg(long)]
    validate: Option<u64>,
    /// Records held out for the test (default: a tenth)
    #[arg(long)]
    test: Option<u64>,
    /// Share of the records to learn from that have no image
    #[arg(long, default_value_t = 0.0)]
    image_missing: f64,
    /// Share of the records to learn from that have no text
    #[arg(long, default_value_t = 0.0)]
    text_missing: f64,
    /// Threads (default: one a core); the result does not depend on it
    #[arg(long)]
    threads: Option<usize>,
}

/// A CSV or JSONL of image paths, texts and labels
///
/// Columns with usual names are found by themselves: image, text (or report, caption, findings and impression), id,
/// patient, split, label. Without a split column, patients are split by a hash of their name.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier prepare table pairs.csv data/own
  ptunifier prepare table export.csv data/own --image file --text findings --text impression --patient subject_id
  ptunifier prepare table pairs.jsonl data/own --skip-bad --validate 0.1 --test 0.2")]
pub struct Table {
    /// The table
    table: PathBuf,
    /// A new or empty folder
    out: PathBuf,
    /// Column with the path of the image, relative to the table
    #[arg(long)]
    image: Option<String>,
    /// Column with a text; may be given several times
    #[arg(long)]
    text: Vec<String>,
    /// Column with a unique name of the record
    #[arg(long)]
    id: Option<String>,
    /// Column with the patient; all records of a patient go into one split
    #[arg(long)]
    patient: Option<String>,
    /// Column that says train, validate or test
    #[arg(long)]
    split: Option<String>,
    /// Column with a label; may be given several times
    #[arg(long)]
    label: Vec<String>,
    /// Share of the patients held out for validation
    #[arg(long, default_value_t = Shares::default().validate)]
    validate: f64,
    /// Share of the patients held out for the test
    #[arg(long, default_value_t = Shares::default().test)]
    test: f64,
    /// Draws the splits
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Name of the data set (default: the table's file name)
    #[arg(long)]
    source: Option<String>,
    /// Leave bad rows out and list them in the manifest, instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
    /// Take an empty image or text cell for a record without that half
    #[arg(long)]
    allow_missing: bool,
    /// Store images with a shorter side of so many pixels, if theirs is longer (default: as their files are)
    #[arg(long, value_name = "PIXELS")]
    side: Option<usize>,
    /// Threads (default: one a core); the result does not depend on it
    #[arg(long)]
    threads: Option<usize>,
}

pub fn run(dataset: &Dataset) -> anyhow::Result<()> {
    // Progress comes in thousandths: a table's number of rows is not known before its end.
    let bar = RefCell::new(Bar::new("prepare", 1000));
    let progress = |progress: Progress| {
        let done = (progress.share * 1000.0) as u64;
        bar.borrow_mut().set(done, || format!("{} records, {} skipped", progress.records, progress.skipped));
    };
    let (out, manifest) = match dataset {
        Dataset::Phantom(arguments) => {
            (&arguments.out, prepare_phantom(&arguments.out, &phantom(arguments), &progress)?)
        }
        Dataset::Table(arguments) => {
            (&arguments.out, prepare(&arguments.table, &arguments.out, &table(arguments), &progress)?)
        }
    };
    bar.borrow().finish();
    print(&summary(&manifest))?;
    print(&format!("shards in {}", out.display()))
}

fn phantom(arguments: &Phantom) -> PhantomOptions {
    let defaults = PhantomOptions::new(arguments.pairs, arguments.seed);
    PhantomOptions {
        side: arguments.side,
        validate: arguments.validate.unwrap_or(defaults.validate),
        test: arguments.test.unwrap_or(defaults.test),
        image_missing: arguments.image_missing,
        text_missing: arguments.text_missing,
        threads: arguments.threads,
        ..defaults
    }
}

fn table(arguments: &Table) -> TableOptions {
    TableOptions {
        source: arguments.source.clone().unwrap_or_default(),
        columns: ColumnNames {
            image: arguments.image.clone(),
            texts: arguments.text.clone(),
            id: arguments.id.clone(),
            patient: arguments.patient.clone(),
            split: arguments.split.clone(),
            labels: arguments.label.clone(),
        },
        shares: Shares { validate: arguments.validate, test: arguments.test, seed: arguments.seed },
        skip_bad: arguments.skip_bad,
        allow_missing: arguments.allow_missing,
        side: arguments.side,
        threads: arguments.threads,
        arguments: vec![],
    }
}

/// Counts a split, and what was skipped.
fn summary(manifest: &Manifest) -> String {
    let mut lines = vec![];
    for split in Split::ALL {
        let counts = manifest.counts(split);
        if counts.records > 0 {
            lines.push(format!(
                "{split:9} {:>8} pairs {:>8} images alone {:>8} texts alone",
                counts.pairs, counts.images_only, counts.texts_only
            ));
        }
    }
    if !manifest.skipped.is_empty() {
        lines.push(format!("skipped {} records, listed in manifest.json", manifest.skipped.len()));
    }
    lines.join("\n")
}
