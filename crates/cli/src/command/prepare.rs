mod named;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use ptu_data::{Manifest, Split};
use ptu_prepare::named::{Description, prepare_named};
use ptu_prepare::phantom::{PhantomOptions, prepare_phantom};
use ptu_prepare::table::{ColumnNames, FILES_LEFT, Table as OpenTable, TableCommand, TableOptions};
use ptu_prepare::{Duplicates, Part, PrepareOptions, Prepared, Progress, Shares, join_parts};

use crate::interrupt::go_on;
use crate::output::{print, say};
use crate::progress::Bar;
use crate::usage::{WrongArguments, at_least_one, check_shares, share};
use named::Public;

/// Convert raw data into shards for training
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  ptunifier prepare --describe                       list the known data sets
  ptunifier prepare --describe vqa-rad               licence, access, expected layout, resulting records
  ptunifier prepare vqa-rad downloads/vqa-rad data/vqa-rad
  ptunifier prepare table pairs.csv data/own         your own images and texts
  ptunifier prepare roco roco.zip part-2 --part 2/8  one of eight parts; `prepare join` makes shards of all of them")]
pub struct Arguments {
    #[command(subcommand)]
    what: Option<Dataset>,
    /// Describe a data set and the expected layout of its download; without a name, list all data sets
    #[arg(long, value_name = "DATASET")]
    describe: Option<Option<String>>,
    /// Print the description as JSON
    #[arg(long, requires = "describe")]
    json: bool,
}

#[derive(Subcommand)]
enum Dataset {
    Phantom(Phantom),
    Table(Table),
    Join(Join),
    #[command(flatten)]
    Public(Public),
}

/// Join the parts that `--part` made, on any machines, into the same shards that one machine would make
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier prepare join data/own part-1 part-2 part-3")]
pub struct Join {
    /// A new or empty folder
    out: PathBuf,
    /// The folders of all parts, in any order
    #[arg(required = true)]
    parts: Vec<PathBuf>,
}

/// Generate a synthetic corpus: radiograph-like pictures of known findings, with report texts and questions
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier prepare phantom data/phantom --pairs 5000 --seed 1
  ptunifier prepare phantom data/incomplete --pairs 5000 --image-missing 0.3 --text-missing 0.3")]
pub struct Phantom {
    /// A new or empty folder
    out: PathBuf,
    /// Records in all splits together
    #[arg(long, default_value_t = 5000)]
    pairs: u64,
    /// Random seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Height and width of the pictures in pixels
    #[arg(long, default_value_t = 64)]
    side: usize,
    /// Number of validation records (default: a tenth)
    #[arg(long)]
    validate: Option<u64>,
    /// Number of test records (default: a tenth)
    #[arg(long)]
    test: Option<u64>,
    /// Share of the training records that have no image
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    image_missing: f64,
    /// Share of the training records that have no text
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    text_missing: f64,
    #[command(flatten)]
    machine: Machine,
}

/// Options of every preparation
#[derive(clap::Args)]
struct Machine {
    /// Number of threads (default: one per core); the result does not depend on it
    #[arg(long, value_parser = at_least_one)]
    threads: Option<usize>,
    /// Make only this part, for example 2/8; `prepare join` joins all parts into shards
    #[arg(long, value_name = "I/N")]
    part: Option<Part>,
    /// Remove images from `train` that are also in `validate` or `test` (default if ptunifier makes the splits)
    #[arg(long, conflicts_with = "keep_duplicates")]
    dedup: bool,
    /// Only report which images two splits have in common (default if the splits are published ones)
    #[arg(long)]
    keep_duplicates: bool,
}

impl Machine {
    fn options(&self, side: Option<usize>, out: &Path) -> PrepareOptions {
        let duplicates = match (self.dedup, self.keep_duplicates) {
            (true, _) => Some(Duplicates::Removed),
            (_, true) => Some(Duplicates::Reported),
            _ => None,
        };
        PrepareOptions { side, threads: self.threads, part: self.part, duplicates, arguments: arguments(out) }
    }
}

/// The command line without the options that the result does not depend on.
fn arguments(out: &Path) -> Vec<String> {
    let (mut kept, mut skip) = (vec![], false);
    for argument in std::env::args().skip(1) {
        if skip || ["--part", "--threads"].contains(&argument.as_str()) {
            skip = !skip;
        } else if Path::new(&argument) != out
            && !["--part=", "--threads="].iter().any(|start| argument.starts_with(start))
        {
            kept.push(argument);
        }
    }
    kept
}

/// A CSV, JSON or parquet file of images, texts and labels
///
/// Columns with usual names are recognised: image, text (or report, caption, findings and impression), id, patient, split, label,
/// labels (several values, separated by | in a CSV), question with answer and answer_type (open or closed; an answer may be empty),
/// premise with hypothesis; all others are kept as fields. In JSONL each line is an object, in which a list gives several texts or
/// labels. The command first prints how each column is used, and writes this to manifest.json. Without a split column, patients are
/// split by a hash of their name.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier prepare table pairs.csv data/own
  ptunifier prepare table export.csv data/own --image file --text findings --text impression --patient subject_id
  ptunifier prepare table pairs.jsonl data/own --skip-bad --validate 0.1 --test 0.2")]
pub struct Table {
    /// The table (.csv, .tsv, .jsonl, .json, .parquet), or a folder with metadata.*, labels.*, or files by split
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
    #[command(flatten)]
    fields: super::Fields,
    /// Share of the patients in the validation split
    #[arg(long, default_value_t = Shares::default().validate, value_parser = share)]
    validate: f64,
    /// Share of the patients in the test split
    #[arg(long, default_value_t = Shares::default().test, value_parser = share)]
    test: f64,
    /// Seed of the splits
    #[arg(long, default_value_t = Shares::default().seed)]
    seed: u64,
    /// Name of the data set (default: the table's file name)
    #[arg(long)]
    source: Option<String>,
    /// Skip rows that cannot be used and list them in the manifest, instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
    /// Treat an empty image or text cell as a missing modality instead of a mistake
    #[arg(long)]
    allow_missing: bool,
    /// Shrink images whose shorter side is longer than so many pixels (default: keep the files as they are)
    #[arg(long, value_name = "PIXELS")]
    side: Option<usize>,
    #[command(flatten)]
    machine: Machine,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.what {
        Some(dataset) => prepare_one(dataset),
        None => {
            describe(arguments.describe.as_ref().and_then(Option::as_deref), arguments.json)?;
            Ok(super::done(false))
        }
    }
}

fn describe(name: Option<&str>, json: bool) -> anyhow::Result<()> {
    let Some(name) = name else {
        let all: Vec<&Description> = Description::all().collect();
        let lines: Vec<String> = all.iter().map(|about| format!("{:12} {}", about.name, about.title)).collect();
        return print(&if json { serde_json::to_string(&all)? } else { lines.join("\n") });
    };
    let Some(about) = Description::of(name) else {
        let known = Description::all().map(|about| about.name).collect::<Vec<_>>().join(", ");
        return Err(WrongArguments(format!("there is no data set `{name}`; known are {known}")).into());
    };
    print(&if json { serde_json::to_string(about)? } else { about.text().trim_end().to_string() })
}

fn prepare_one(dataset: &Dataset) -> anyhow::Result<ExitCode> {
    go_on("finished work is kept; continue with the same command");
    // A share, since a table's number of rows is not known before its end.
    let bar = RefCell::new(Bar::of_percent("prepare"));
    let progress = |progress: Progress| {
        let done = (progress.share * 100.0) as u64;
        let Progress { stage, records, skipped, .. } = progress;
        bar.borrow_mut().set(done, || format!("{records} records {}, {skipped} skipped", stage.name()));
    };
    let (out, prepared) = match dataset {
        Dataset::Phantom(arguments) => {
            (&arguments.out, prepare_phantom(&arguments.out, &phantom(arguments), &progress)?)
        }
        Dataset::Table(arguments) => {
            check_shares(table(arguments).shares)?;
            let table = OpenTable::open(&arguments.table, &table(arguments))?;
            table.lines().iter().for_each(|line| say(line));
            (&arguments.out, table.prepare(&arguments.out, &progress)?)
        }
        Dataset::Public(public) => {
            let (dataset, named) = public.parts();
            (&named.out, prepare_named(dataset, (&named.raw, &named.out), &named.options(), &progress)?)
        }
        Dataset::Join(Join { out, parts }) => (out, Prepared::Shards(Box::new(join_parts(parts, out, &progress)?))),
    };
    bar.borrow().finish();
    match prepared {
        Prepared::Shards(manifest) => {
            print(&summary(&manifest))?;
            print(&format!("shards in {}", out.display()))?;
            Ok(super::done(manifest.unusable() > 0 || manifest.noted.contains_key(FILES_LEFT)))
        }
        // Skipped rows are reported, also by the exit code, when the parts are joined.
        Prepared::Part(rows) => {
            print(&format!("a part of {rows} rows in {}; `prepare join` joins all parts into shards", out.display()))?;
            Ok(super::done(false))
        }
    }
}

fn phantom(arguments: &Phantom) -> PhantomOptions {
    let defaults = PhantomOptions::new(arguments.pairs, arguments.seed);
    PhantomOptions {
        side: arguments.side,
        validate: arguments.validate.unwrap_or(defaults.validate),
        test: arguments.test.unwrap_or(defaults.test),
        image_missing: arguments.image_missing,
        text_missing: arguments.text_missing,
        prepare: arguments.machine.options(None, &arguments.out),
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
            fields: arguments.fields.chosen(),
        },
        shares: Shares { validate: arguments.validate, test: arguments.test, seed: arguments.seed },
        skip_bad: arguments.skip_bad,
        allow_missing: arguments.allow_missing,
        command: TableCommand::Prepare,
        prepare: arguments.machine.options(arguments.side, &arguments.out),
    }
}

/// At most so many skipped records are shown.
const SHOWN: usize = 5;

/// Counts a split, and what was skipped.
fn summary(manifest: &Manifest) -> String {
    let mut lines = vec![];
    for split in Split::ALL {
        let counts = manifest.counts(split);
        if counts.records > 0 {
            lines.push(format!(
                "{split:9} {:>8} pairs {:>8} images without text {:>8} texts without image",
                counts.pairs, counts.images_only, counts.texts_only
            ));
        }
    }
    if !manifest.skipped.is_empty() {
        lines.push(format!("skipped {} records, all listed in manifest.json:", manifest.skipped.len()));
        lines.extend(manifest.skipped.iter().take(SHOWN).map(|one| format!("  {}: {}", one.place, one.cause)));
    }
    for (what, count) in &manifest.noted {
        lines.push(format!("{what}: {count}"));
        let told = manifest.details.get(what).map_or(&[][..], Vec::as_slice);
        lines.extend(told.iter().take(SHOWN).map(|one| format!("  {}: {}", one.place, one.cause)));
        if told.len() > SHOWN {
            lines.push(format!("  and {} more, all listed in manifest.json", told.len() - SHOWN));
        }
    }
    lines.extend(manifest.remarks.iter().cloned());
    lines.extend(manifest.overlaps.iter().map(ptu_data::manifest::describe_overlap));
    lines.join("\n")
}
