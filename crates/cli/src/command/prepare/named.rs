use std::path::PathBuf;

use clap::ValueEnum;
use ptu_prepare::named::{Choice, Dataset, NamedOptions};

use super::Machine;

/// A public data set from its download
#[derive(clap::Args)]
#[command(
    after_help = "`ptunifier prepare --describe` lists the data sets, and with a name says how the download must look."
)]
pub struct Named {
    /// The download: a folder or an archive, packed or unpacked
    pub raw: PathBuf,
    /// A new or empty folder
    pub out: PathBuf,
    /// Store images with a shorter side of so many pixels, if theirs is longer (default: as their files are)
    #[arg(long, value_name = "PIXELS")]
    side: Option<usize>,
    /// Split by this instead (medicat: paper; vqa-rad: image)
    #[arg(long)]
    split_by: Option<SplitBy>,
    /// Take a tenth of the training images for validation (vqa-rad)
    #[arg(long)]
    carve_validation: bool,
    /// Take questions in every language (slake; default: English)
    #[arg(long)]
    all_languages: bool,
    /// Take the split of published code instead of ours (rsna)
    #[arg(long)]
    published_split: bool,
    #[command(flatten)]
    machine: Machine,
}

/// What stays together in one split
#[derive(Clone, Copy, ValueEnum)]
enum SplitBy {
    Paper,
    Image,
}

impl Named {
    pub fn options(&self) -> NamedOptions {
        let split_by = self.split_by.map(|by| match by {
            SplitBy::Paper => Choice::SplitByPaper,
            SplitBy::Image => Choice::SplitByImage,
        });
        let flags = [
            (self.carve_validation, Choice::CarveValidation),
            (self.all_languages, Choice::AllLanguages),
            (self.published_split, Choice::PublishedSplit),
        ];
        let flags = flags.into_iter().filter(|(given, _)| *given).map(|(_, choice)| choice);
        NamedOptions {
            choices: split_by.into_iter().chain(flags).collect(),
            prepare: self.machine.options(self.side, &self.out),
        }
    }
}

/// The public data sets, by the names that they have on the command line.
#[derive(clap::Subcommand)]
pub enum Public {
    /// ROCO or ROCOv2: radiology figures with captions
    Roco(Named),
    /// MedICaT: medical figures with captions and references
    Medicat(Named),
    /// MIMIC-CXR-JPG: chest radiographs with reports
    MimicCxr(Named),
    /// Open-i: chest X-rays of Indiana University with reports
    Openi(Named),
    /// MedPix 2.0: teaching cases with CT and MR images
    Medpix(Named),
    /// VQA-RAD: questions about radiology images
    VqaRad(Named),
    /// SLAKE: questions about radiology images
    Slake(Named),
    /// VQA-Med 2019: questions about radiology images
    Medvqa2019(Named),
    /// CheXpert: chest radiographs with 14 labels
    Chexpert(Named),
    /// RSNA pneumonia detection challenge
    Rsna(Named),
    /// MedNLI: pairs of clinical sentences
    Mednli(Named),
    /// RadNLI: pairs of sentences from radiology reports
    Radnli(Named),
    /// MELINDA: figures of experiments with their methods
    Melinda(Named),
    /// ChemProt: relations of chemicals and proteins
    Chemprot(Named),
}

impl Public {
    pub fn parts(&self) -> (Dataset, &Named) {
        match self {
            Self::Roco(named) => (Dataset::Roco, named),
            Self::Medicat(named) => (Dataset::Medicat, named),
            Self::MimicCxr(named) => (Dataset::MimicCxr, named),
            Self::Openi(named) => (Dataset::Openi, named),
            Self::Medpix(named) => (Dataset::Medpix, named),
            Self::VqaRad(named) => (Dataset::VqaRad, named),
            Self::Slake(named) => (Dataset::Slake, named),
            Self::Medvqa2019(named) => (Dataset::Medvqa2019, named),
            Self::Chexpert(named) => (Dataset::Chexpert, named),
            Self::Rsna(named) => (Dataset::Rsna, named),
            Self::Mednli(named) => (Dataset::Mednli, named),
            Self::Radnli(named) => (Dataset::Radnli, named),
            Self::Melinda(named) => (Dataset::Melinda, named),
            Self::Chemprot(named) => (Dataset::Chemprot, named),
        }
    }
}
