//! Public data sets: each a description and a few rules over shared parts.
//!
//! Folders, columns and rules are those that the downloads have (docs/layouts.md); where nobody published a split,
//! ours is drawn by a hash of the patient, and said to be ours.

mod about;
mod chemprot;
mod chexpert;
mod medicat;
mod mednli;
mod medpix;
mod medvqa2019;
mod melinda;
mod mimic_cxr;
mod openi;
mod parts;
mod radnli;
mod roco;
mod rsna;
mod slake;
mod vqa_rad;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use about::Description;

use ptu_data::DataError;
use ptu_data::manifest::{Overlap, Skipped};
use ptu_data::shard::WriterOptions;

use crate::blocks::Workplace;
use crate::draft::Draft;
use crate::prepared::{Prepared, Progress, stored};
use crate::raw::{Entry, Raw};
use crate::run::{Drafts, Job, PrepareOptions, run};

/// A public data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dataset {
    /// Radiology Objects in Context, first and second version.
    Roco,
    /// Medical figures with captions and references.
    Medicat,
    /// Chest radiographs with reports, of MIMIC.
    MimicCxr,
    /// Chest radiographs with reports, of Indiana University.
    Openi,
    /// Teaching cases.
    Medpix,
    /// Questions about radiographs.
    VqaRad,
    /// Questions about radiographs, in English and Chinese.
    Slake,
    /// Questions about radiographs, of a challenge.
    Medvqa2019,
    /// Chest radiographs with labels, of Stanford.
    Chexpert,
    /// Chest radiographs with pneumonia marked.
    Rsna,
    /// Pairs of clinical sentences.
    Mednli,
    /// Pairs of sentences from radiology reports.
    Radnli,
    /// Figures of experiments with their methods.
    Melinda,
    /// Sentences with chemicals and genes.
    Chemprot,
}

impl Dataset {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 14] = [
        Self::Roco,
        Self::Medicat,
        Self::MimicCxr,
        Self::Openi,
        Self::Medpix,
        Self::VqaRad,
        Self::Slake,
        Self::Medvqa2019,
        Self::Chexpert,
        Self::Rsna,
        Self::Mednli,
        Self::Radnli,
        Self::Melinda,
        Self::Chemprot,
    ];

    /// What it is and how to get it.
    pub fn description(self) -> &'static Description {
        match self {
            Self::Roco => &roco::ABOUT,
            Self::Medicat => &medicat::ABOUT,
            Self::MimicCxr => &mimic_cxr::ABOUT,
            Self::Openi => &openi::ABOUT,
            Self::Medpix => &medpix::ABOUT,
            Self::VqaRad => &vqa_rad::ABOUT,
            Self::Slake => &slake::ABOUT,
            Self::Medvqa2019 => &medvqa2019::ABOUT,
            Self::Chexpert => &chexpert::ABOUT,
            Self::Rsna => &rsna::ABOUT,
            Self::Mednli => &mednli::ABOUT,
            Self::Radnli => &radnli::ABOUT,
            Self::Melinda => &melinda::ABOUT,
            Self::Chemprot => &chemprot::ABOUT,
        }
    }

    /// The name that commands use.
    pub fn name(self) -> &'static str {
        self.description().name
    }

    fn open(self, raw: &Arc<Raw>, options: &NamedOptions) -> Result<Opened, DataError> {
        match self {
            Self::Roco => roco::open(raw),
            Self::Medicat => medicat::open(raw, options),
            Self::MimicCxr => mimic_cxr::open(raw),
            Self::Openi => openi::open(raw),
            Self::Medpix => medpix::open(raw),
            Self::VqaRad => vqa_rad::open(raw, options),
            Self::Slake => slake::open(raw, options),
            Self::Medvqa2019 => medvqa2019::open(raw),
            Self::Chexpert => chexpert::open(raw),
            Self::Rsna => rsna::open(raw, options),
            Self::Mednli => mednli::open(raw),
            Self::Radnli => radnli::open(raw),
            Self::Melinda => melinda::open(raw),
            Self::Chemprot => chemprot::open(raw),
        }
    }

    /// Options that this data set has beside those that all have.
    fn options(self) -> &'static [Choice] {
        match self {
            Self::Medicat => &[Choice::SplitByPaper],
            Self::VqaRad => &[Choice::SplitByImage, Choice::CarveValidation],
            Self::Slake => &[Choice::AllLanguages],
            Self::Rsna => &[Choice::PublishedSplit],
            _ => &[],
        }
    }
}

/// Something that can be done in another way than by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All figures of a paper go into one split (medicat).
    SplitByPaper,
    /// All questions about an image go into one split (vqa-rad).
    SplitByImage,
    /// A tenth of the training images are for validation (vqa-rad).
    CarveValidation,
    /// Questions in every language (slake).
    AllLanguages,
    /// The split of the published code in the place of ours (rsna).
    PublishedSplit,
}

impl Choice {
    /// The option of the command line.
    pub fn option(self) -> &'static str {
        match self {
            Self::SplitByPaper => "--split-by paper",
            Self::SplitByImage => "--split-by image",
            Self::CarveValidation => "--carve-validation",
            Self::AllLanguages => "--all-languages",
            Self::PublishedSplit => "--published-split",
        }
    }
}

/// How a public data set is prepared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamedOptions {
    /// What is done in another way than by default.
    pub choices: Vec<Choice>,
    /// How it is made.
    pub making: PrepareOptions,
}

impl NamedOptions {
    fn has(&self, choice: Choice) -> bool {
        self.choices.contains(&choice)
    }
}

/// A download whose tables were read.
struct Opened {
    /// One row after another.
    rows: Box<dyn Iterator<Item = Result<Draft, DataError>>>,
    /// How many rows there will be, for the progress.
    total: u64,
    /// Files that decide about the records besides images.
    tables: Vec<Entry>,
    /// What is done to images and texts, one sentence each.
    preprocessing: Vec<String>,
    /// Whether somebody published the splits.
    published: bool,
    /// What is worth to be counted.
    noted: BTreeMap<String, u64>,
    /// What is counted there one by one, as far as somebody can do something about it.
    details: Details,
    /// What splits have in common besides images, texts and patients.
    overlaps: Vec<Overlap>,
}

/// What was not taken as it stands, by a word for each kind: where it stands, and why.
#[derive(Debug, Default)]
struct Details(BTreeMap<String, Vec<Skipped>>);

/// Rows of tables besides the one of records that cannot be read.
const ROWS_PASSED_OVER: &str = "rows-passed-over";

impl Details {
    fn add(&mut self, what: &str, place: impl fmt::Display, cause: impl Into<String>) {
        let told = Skipped { place: place.to_string(), cause: cause.into() };
        self.0.entry(what.to_string()).or_default().push(told);
    }
}

impl Opened {
    /// Rows of splits that somebody published.
    fn published(rows: Vec<Draft>, tables: Vec<Entry>, preprocessing: &[&str]) -> Self {
        Self {
            total: rows.len() as u64,
            rows: Box::new(rows.into_iter().map(Ok)),
            tables,
            preprocessing: preprocessing.iter().map(|sentence| sentence.to_string()).collect(),
            published: true,
            noted: BTreeMap::new(),
            details: Details::default(),
            overlaps: vec![],
        }
    }

    /// Rows of splits that are ours.
    fn ours(rows: Vec<Draft>, tables: Vec<Entry>, preprocessing: &[&str]) -> Self {
        Self { published: false, ..Self::published(rows, tables, preprocessing) }
    }
}

/// Writes the records of a public data set to `out`, a folder that is absent or empty. `raw` is its download: a folder or an
/// archive, packed or unpacked.
///
/// Rows that cannot be used are left out and listed in the manifest with the reason.
///
/// # Errors
/// When files are missing (all of them are named), when a table cannot be read, when no row is usable, or when the system
/// refuses. Nothing stands under `out` then.
pub fn prepare_named(
    dataset: Dataset,
    (raw, out): (&Path, &Path),
    options: &NamedOptions,
    progress: &dyn Fn(Progress),
) -> Result<Prepared, DataError> {
    let about = dataset.description();
    options.making.check()?;
    if let Some(foreign) = options.choices.iter().find(|choice| !dataset.options().contains(choice)) {
        let own: Vec<&str> = dataset.options().iter().map(|choice| choice.option()).collect();
        let own = if own.is_empty() { "none of its own".to_string() } else { format!("`{}`", own.join("`, `")) };
        let cause = format!("{} has no option `{}`; it has {own}", about.name, foreign.option());
        return Err(DataError::Setting { name: "options", cause });
    }
    let place = Workplace::take(out)?;
    let opened = Raw::open(raw, about.tars, &place.scratch())
        .and_then(|raw| dataset.open(&Arc::new(raw), options))
        .and_then(|opened| {
            let choices: Vec<&str> = options.choices.iter().map(|choice| choice.option()).collect();
            let told = BTreeMap::from([("choices".to_string(), choices.join(" "))]);
            let tables = Job::hashed(opened.tables.clone())?;
            Ok((opened, told, tables))
        });
    let (opened, decided_by, tables) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            place.clear()?;
            return Err(error);
        }
    };
    let Opened { rows, total, published, mut noted, details, overlaps, .. } = opened;
    noted.extend(details.0.iter().map(|(what, told)| (what.clone(), told.len() as u64)));
    let mut preprocessing = opened.preprocessing;
    preprocessing.push(stored(options.making.side));
    let job = Job {
        decided_by,
        tables,
        writer: WriterOptions {
            dataset: about.name.into(),
            about: about.markdown(),
            arguments: options.making.arguments.clone(),
            preprocessing,
            shared_patients: published,
            ..WriterOptions::new(about.name)
        },
        duplicates: options.making.duplicates_of(published),
        table: None,
        skip_bad: true,
        noted,
        details: details.0,
        overlaps,
    };
    run((place, out), job, &options.making, &mut Listed { rows, total }, progress)
}

struct Listed {
    rows: Box<dyn Iterator<Item = Result<Draft, DataError>>>,
    total: u64,
}

impl Drafts for Listed {
    fn next(&mut self) -> Result<Option<Draft>, DataError> {
        self.rows.next().transpose()
    }

    fn share(&self, rows: u64) -> f64 {
        (rows as f64 / self.total.max(1) as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests;
