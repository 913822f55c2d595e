//! The result of a preparation, and its progress for the program that shows it.

use ptu_data::Manifest;
use serde::{Deserialize, Serialize};

/// The result of a preparation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// All shards; this is their manifest.
    Shards(Box<Manifest>),
    /// Only a part of the blocks, which must be joined with the other parts; the number of rows of all raw data.
    Part(u64),
}

/// A sentence for the manifest: how images are stored.
pub(crate) fn image_storage(side: Option<usize>) -> String {
    match side {
        Some(side) => format!(
            "images whose shorter side has more than {side} pixels are resized to {side} pixels on that side and \
             stored as 8-bit PNG"
        ),
        None => "image files are stored unchanged".into(),
    }
}

impl Prepared {
    /// The manifest of the shards; `None` for a part.
    pub fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::Shards(manifest) => Some(manifest),
            Self::Part(_) => None,
        }
    }
}

/// What to do with images that are in two splits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// They are reported in the manifest.
    #[default]
    Reported,
    /// They are skipped in the earlier split: in `train` those that `validate` or `test` has too, in `validate` those that
    /// `test` has too.
    Removed,
}

/// What a preparation does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Raw data is turned into records.
    Make,
    /// Records are compared with each other.
    Compare,
    /// Records are written to shards.
    Write,
}

impl Stage {
    /// The word that the progress line shows after the number of records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Make => "prepared",
            Self::Compare => "compared",
            Self::Write => "written",
        }
    }
}

/// The progress of a preparation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The current stage.
    pub stage: Stage,
    /// Records that this stage has processed so far.
    pub records: u64,
    /// Records skipped so far.
    pub skipped: u64,
    /// Share of all work that is done, 0 to 1.
    pub share: f64,
}
