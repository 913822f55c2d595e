use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{bail, ensure};
use clap::ValueEnum;
use ptu_data::inputs::{Inputs, SkippedInput};
use ptu_data::vectors::{Modality, Space};
use ptu_data::{Split, TextChoice};
use ptu_infer::embed::{EmbedJob, EmbedOptions, Embedded};
use ptu_kernels::ComputePrecision;
use ptu_model::Bundle;
use ptu_model::files::check_writable;
use ptu_prepare::InputFiles;
use ptu_train::folder;
use serde::Serialize;

use super::{AtWork, SOME_SKIPPED, check_model};
use crate::interrupt::{Interrupted, stop_flag};
use crate::output::{print, say};
use crate::progress::Bar;

/// At most so many skipped inputs are listed; `--json` has all.
const LISTED: usize = 50;

/// Turn images, texts or pairs into vectors, in one file
///
/// Inputs are image files, .txt files, folders, patterns, tables (CSV, JSON, JSONL, parquet) and folders of shards, in any number.
/// The image or the text of a record may be missing. Memory use does not grow with the number of inputs. Inputs that cannot be used
/// are skipped and listed at the end; the exit code is then 3.
///
/// A folder is searched together with its subfolders for images (PNG, JPEG, TIFF, WebP; recognised by content, not by name) and .txt
/// files. Tables and folders of shards inside it are not read (name them to embed their records), nor are notes (.json, .md, .xml and
/// similar text files) and hidden files: one line reports them, and the exit code stays 0. Every other file is skipped with its
/// cause: other pictures (GIF, BMP, HEIC), medical formats (DICOM, NIfTI), documents, archives, broken links.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier embed runs/own scans/ --out scans.parquet
  ptunifier embed runs/own 'archive/**/*.png' --out archive.npy
  ptunifier embed runs/own data/own --split test --only images --out test.parquet
  ptunifier embed runs/own pairs.csv --space features --out features.jsonl
  ptunifier embed runs/own scans/ --out scans.parquet --resume     continue after an interruption

Exit codes: 0 done, 1 failed (also where no input gave a vector: then no file is written), 2 wrong arguments, 3 done but some
inputs were skipped, 130 interrupted (`--resume` continues)")]
pub struct Arguments {
    /// A run folder, or a bundle
    model: PathBuf,
    /// Files, folders, patterns, tables, shards
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// A new file: .parquet (what `search` reads), .npy (with .npy.jsonl beside it) or .jsonl
    #[arg(long)]
    out: PathBuf,
    /// Kind of vectors: contrast (to compare images and texts with each other), features (of whole records, for classifiers) or encoder (of
    /// one encoder alone, before the fusion; with `--only`)
    #[arg(long, default_value = "contrast")]
    space: SpaceName,
    /// Embed only this modality of each record
    #[arg(long)]
    only: Option<ModalityName>,
    /// Which text of a record that has several: first, last or all
    #[arg(long, default_value = "all")]
    text: TextName,
    /// Only these splits of shards: train, validate or test (default: all)
    #[arg(long)]
    split: Vec<Split>,
    #[command(flatten)]
    fields: super::Fields,
    /// Batch size
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Continue interrupted work
    #[arg(long)]
    resume: bool,
    /// Save every N seconds
    #[arg(long, default_value_t = 20)]
    save_every: u32,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    work: AtWork,
}

#[derive(Clone, Copy, ValueEnum)]
enum SpaceName {
    Contrast,
    Features,
    Encoder,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModalityName {
    Images,
    Texts,
    Pairs,
}

impl ModalityName {
    fn modality(self) -> Modality {
        match self {
            Self::Images => Modality::Image,
            Self::Texts => Modality::Text,
            Self::Pairs => Modality::Pair,
        }
    }

    /// One of them, in words.
    fn words(self) -> &'static str {
        match self {
            Self::Images => "an image",
            Self::Texts => "a text",
            Self::Pairs => "an image with a text",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum TextName {
    First,
    Last,
    All,
}

#[derive(Serialize)]
struct Report<'a> {
    /// The file; absent if it would hold no vector.
    vectors: Option<&'a Path>,
    model: &'a str,
    rows: u64,
    #[serde(rename = "left_out")]
    skipped: &'a [SkippedInput],
    /// Texts that are longer than the model's limit.
    cut: u64,
    /// Inputs without the modality that `--only` selects.
    #[serde(rename = "passed")]
    without_modality: u64,
    /// Notes to the user about tables and folders.
    notes: &'a [String],
    finished: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let precision = arguments.work.start()?;
    check_writable(&arguments.out)?;
    let folder = match arguments.space {
        // The encoders of a model whose other weights are new are as published.
        SpaceName::Encoder => {
            check_model(&arguments.model)?;
            folder::bundle_of(&arguments.model)?
        }
        SpaceName::Contrast | SpaceName::Features => super::bundle_folder(&arguments.model)?,
    };
    let bundle = Bundle::load(&folder, &arguments.work.compute.device.plain())?;
    let model = Bundle::fingerprint(&folder)?;
    let inputs = InputFiles::with_fields(&arguments.inputs, &arguments.split, arguments.fields.chosen())?;
    inputs.notes().iter().for_each(|line| say(line));
    if let Some(modality) = arguments.only {
        let asked = modality.words();
        let cure = "remove `--only`, or name inputs that have one";
        ensure!(!inputs.lacks(modality.modality()), "none of the inputs has {asked}, which `--only` selects: {cure}");
    }
    let job = EmbedJob::new(&bundle, model.clone(), options(arguments, precision));
    let (stop, mut bar) = (stop_flag("finished work is being saved"), Bar::new("embed", inputs.count()));
    let embedded = job.run(&inputs, &arguments.out, &mut |progress| {
        bar.set(progress.inputs, || match progress.skipped {
            0 => String::new(),
            skipped => format!("{skipped} skipped"),
        });
        if stop.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bar.finish();
    tell(&embedded, arguments, bundle.max_tokens);
    let Embedded { rows, ref skipped, cut, without_modality, finished } = embedded;
    if arguments.json {
        let (vectors, notes) = ((!finished || rows > 0).then_some(arguments.out.as_path()), inputs.notes());
        let report = Report { vectors, model: &model, rows, skipped, cut, without_modality, notes, finished };
        print(&serde_json::to_string(&report)?)?;
    }
    if !finished {
        return Err(Interrupted("continue with the same command and `--resume`".into()).into());
    }
    if rows == 0 {
        bail!("{}", nothing(&embedded, inputs.count()));
    }
    if !arguments.json {
        print(&format!("{rows} vectors in {}", arguments.out.display()))?;
    }
    Ok(if skipped.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SOME_SKIPPED) })
}

/// Reports which inputs were skipped, truncated or not selected.
fn tell(embedded: &Embedded, arguments: &Arguments, max_tokens: usize) {
    for SkippedInput { name, cause } in embedded.skipped.iter().take(LISTED) {
        say(&format!("skipped: {name}: {cause}"));
    }
    if embedded.skipped.len() > LISTED {
        say(&format!("skipped: {} more; `--json` lists all", embedded.skipped.len() - LISTED));
    }
    if embedded.cut > 0 {
        let count = embedded.cut;
        say(&format!(
            "texts longer than the model's {max_tokens} tokens: {count}; only the beginning of each was used"
        ));
    }
    if let (Some(modality), 1..) = (arguments.only, embedded.without_modality) {
        say(&format!("inputs without {}, which `--only` selects: {}", modality.words(), embedded.without_modality));
    }
}

/// The message for the case that no input gave a vector.
fn nothing(embedded: &Embedded, inputs: u64) -> String {
    let skipped = embedded.skipped.len();
    let cause = match embedded.without_modality {
        0 => format!("all {inputs} inputs were skipped, for the causes above"),
        without_modality => {
            format!(
                "of {inputs} inputs {skipped} were skipped, and {without_modality} do not have what `--only` selects"
            )
        }
    };
    format!("no input gave a vector, so no file was written: {cause}; name other inputs, or repair these")
}

fn options(arguments: &Arguments, precision: ComputePrecision) -> EmbedOptions {
    EmbedOptions {
        space: match arguments.space {
            SpaceName::Contrast => Space::Contrast,
            SpaceName::Features => Space::Features,
            SpaceName::Encoder => Space::Encoder,
        },
        only: arguments.only.map(ModalityName::modality),
        text: match arguments.text {
            TextName::First => TextChoice::First,
            TextName::Last => TextChoice::Last,
            TextName::All => TextChoice::All,
        },
        batch: arguments.batch.into(),
        resume: arguments.resume,
        save_every: Duration::from_secs(arguments.save_every.into()),
        precision,
    }
}
