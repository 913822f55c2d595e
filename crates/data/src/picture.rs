//! Where the picture of a record lies.

use std::path::{Path, PathBuf};

use crate::files::absolute;
use crate::record::Split;

/// Where the picture of a record lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureLocation {
    /// An image file.
    File(PathBuf),
    /// A record of a folder of shards.
    Shards {
        /// The folder.
        folder: PathBuf,
        /// The split.
        split: Split,
        /// Position in the split.
        record: u64,
    },
    /// A row of a parquet file that holds its images itself.
    Table {
        /// The file.
        table: PathBuf,
        /// Its number, from 1.
        row: u64,
    },
}

impl PictureLocation {
    /// In a file, by a path that is of use from any folder.
    pub fn file(path: &Path) -> Self {
        Self::File(absolute(path))
    }

    /// In a folder of shards, likewise.
    pub fn shards(folder: &Path, split: Split, record: usize) -> Self {
        Self::Shards { folder: absolute(folder), split, record: record as u64 }
    }

    /// In a table, likewise.
    pub fn table(table: &Path, row: u64) -> Self {
        Self::Table { table: absolute(table), row }
    }
}
