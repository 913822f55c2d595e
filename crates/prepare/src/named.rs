//! Public data sets. Each has a description and a few rules of its own; the rest is common code.
//!
//! Folders, columns and rules are those of the downloads (docs/layouts.md). If a data set has no published splits, our own are
//! drawn by a hash of the patient, and the manifest says that they are our own.

mod about;
mod chemprot;
mod chexpert;
mod helpers;
mod medicat;
mod mednli;
mod medpix;
mod medvqa2019;
mod melinda;
mod mimic_cxr;
mod openi;
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

use crate::blocks::WorkFolder;
use crate::draft::Draft;
use crate::prepared::{Prepared, Progress, image_storage};
use crate::raw::{Entry, Raw};
use crate::run::{DraftSource, Job, PrepareOptions, run};

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
    /// All data sets, in the order in which they are listed.
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

    /// The description of the data set: its content, and how to get it.
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

    /// The name of the data set in commands.
    pub fn name(self) -> &'static str {
        self.description().name
    }

    fn open(self, raw: &Arc<Raw>, options: &NamedOptions) -> Result<DatasetRows, DataError> {
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

    /// The options that only this data set has.
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

/// An option of a single data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All figures of a paper go into one split (medicat).
    SplitByPaper,
    /// All questions about an image go into one split (vqa-rad).
    SplitByImage,
    /// A tenth of the training images is used for validation (vqa-rad).
    CarveValidation,
    /// Questions in every language (slake).
    AllLanguages,
    /// The split of the published code instead of our own (rsna).
    PublishedSplit,
}

impl Choice {
    /// The option on the command line.
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
    /// The options that only this data set has.
    pub choices: Vec<Choice>,
    /// The options that all data sets have in common.
    pub prepare: PrepareOptions,
}

impl NamedOptions {
    fn has(&self, choice: Choice) -> bool {
        self.choices.contains(&choice)
    }
}

/// The rows of a download, and what its tables say about the data set as a whole.
struct DatasetRows {
    /// The rows, one after another.
    rows: Box<dyn Iterator<Item = Result<Draft, DataError>>>,
    /// The number of rows, for the progress.
    total: u64,
    /// Files on which the records depend, other than images.
    tables: Vec<Entry>,
    /// What is done to images and texts, as sentences for the manifest.
    preprocessing: Vec<String>,
    /// Whether the splits are published, not our own.
    published: bool,
    /// Counts for the manifest.
    noted: BTreeMap<String, u64>,
    /// The items of these counts one by one, if the user can correct them.
    details: Details,
    /// What splits have in common besides images, texts and patients.
    overlaps: Vec<Overlap>,
}

/// What was skipped or changed: by the key under which the manifest counts it, the position of each item and the reason.
#[derive(Debug, Default)]
struct Details(BTreeMap<String, Vec<Skipped>>);

/// Key of unreadable rows in tables other than the table of the records.
const ROWS_SKIPPED: &str = "rows-passed-over";

impl Details {
    fn add(&mut self, key: &str, position: impl fmt::Display, cause: impl Into<String>) {
        let entry = Skipped { place: position.to_string(), cause: cause.into() };
        self.0.entry(key.to_string()).or_default().push(entry);
    }
}

impl DatasetRows {
    /// Rows with published splits.
    fn published_splits(rows: Vec<Draft>, tables: Vec<Entry>, preprocessing: &[&str]) -> Self {
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

    /// Rows with splits of our own.
    fn own_splits(rows: Vec<Draft>, tables: Vec<Entry>, preprocessing: &[&str]) -> Self {
        Self { published: false, ..Self::published_splits(rows, tables, preprocessing) }
    }
}

/// Writes the records of a public data set to the folder `out`, which must be absent or empty. `raw` is the download: a folder or
/// an archive, packed or unpacked.
///
/// Rows that cannot be used are skipped and listed in the manifest with the reason.
///
/// # Errors
/// When files are missing (the message names all of them), when a table cannot be read, when no row can be used, or when the
/// system reports an error. `out` is not written then.
pub fn prepare_named(
    dataset: Dataset,
    (raw, out): (&Path, &Path),
    options: &NamedOptions,
    progress: &dyn Fn(Progress),
) -> Result<Prepared, DataError> {
    let about = dataset.description();
    options.prepare.check()?;
    if let Some(unknown) = options.choices.iter().find(|choice| !dataset.options().contains(choice)) {
        let own: Vec<&str> = dataset.options().iter().map(|choice| choice.option()).collect();
        let own = if own.is_empty() { "no options of its own".to_string() } else { format!("`{}`", own.join("`, `")) };
        let cause = format!("{} has no option `{}`; it has {own}", about.name, unknown.option());
        return Err(DataError::Setting { name: "options", cause });
    }
    let work_folder = WorkFolder::acquire(out)?;
    let opened = Raw::open(raw, about.tars, &work_folder.scratch())
        .and_then(|raw| dataset.open(&Arc::new(raw), options))
        .and_then(|opened| {
            let choices: Vec<&str> = options.choices.iter().map(|choice| choice.option()).collect();
            let decided_by = BTreeMap::from([("choices".to_string(), choices.join(" "))]);
            let tables = Job::hash_tables(opened.tables.clone())?;
            Ok((opened, decided_by, tables))
        });
    let (opened, decided_by, tables) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            work_folder.clear()?;
            return Err(error);
        }
    };
    let DatasetRows { rows, total, published, mut noted, details, overlaps, .. } = opened;
    noted.extend(details.0.iter().map(|(key, entries)| (key.clone(), entries.len() as u64)));
    let mut preprocessing = opened.preprocessing;
    preprocessing.push(image_storage(options.prepare.side));
    let job = Job {
        decided_by,
        tables,
        writer: WriterOptions {
            dataset: about.name.into(),
            about: about.markdown(),
            arguments: options.prepare.arguments.clone(),
            preprocessing,
            shared_patients: published,
            ..WriterOptions::new(about.name)
        },
        duplicates: options.prepare.duplicates_of(published),
        table: None,
        skip_bad: true,
        noted,
        details: details.0,
        overlaps,
    };
    run(work_folder, job, &options.prepare, &mut DatasetDrafts { rows, total }, progress)
}

/// The rows of a data set as a [`DraftSource`].
struct DatasetDrafts {
    rows: Box<dyn Iterator<Item = Result<Draft, DataError>>>,
    total: u64,
}

impl DraftSource for DatasetDrafts {
    fn next(&mut self) -> Result<Option<Draft>, DataError> {
        self.rows.next().transpose()
    }

    fn share(&self, rows: u64) -> f64 {
        (rows as f64 / self.total.max(1) as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests;
