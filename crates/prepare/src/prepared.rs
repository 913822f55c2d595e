//! What a preparation does and makes, for whoever watches it.

use ptu_data::Manifest;
use serde::{Deserialize, Serialize};

/// What a preparation made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// Shards.
    Shards(Box<Manifest>),
    /// A part of the blocks, to be joined with the others; the raw data has so many rows.
    Part(u64),
}

/// What was done to images, for people.
pub(crate) fn stored(side: Option<usize>) -> String {
    match side {
        Some(side) => format!("images with a shorter side above {side} are resized to it and stored as 8-bit PNG"),
        None => "images are stored as their files were".into(),
    }
}

impl Prepared {
    /// The table of contents of the shards; `None` of a part.
    pub fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::Shards(manifest) => Some(manifest),
            Self::Part(_) => None,
        }
    }
}

/// What to do with records that another split has too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// They are told.
    #[default]
    Reported,
    /// Those of `train` are left out, and those of `validate` that `test` has.
    Removed,
}

/// What a preparation is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Raw data are made into records.
    Make,
    /// Records are compared with each other.
    Compare,
    /// Records are written to shards.
    Write,
}

impl Stage {
    /// One word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Make => "made",
            Self::Compare => "compared",
            Self::Write => "written",
        }
    }
}

/// How far a preparation has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// Records that this stage has done.
    pub records: u64,
    /// Records left out so far.
    pub skipped: u64,
    /// Share of all the work, 0 to 1.
    pub share: f64,
}
