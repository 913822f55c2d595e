//! [`PictureLocation`]: where the image of a record is stored.

use std::path::{Path, PathBuf};

use crate::files::absolute;
use crate::record::Split;

/// Where the image of a record is stored.
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
    /// A row of a parquet file that contains the images themselves.
    Table {
        /// The file.
        table: PathBuf,
        /// The number of the row, from 1.
        row: u64,
    },
}

impl PictureLocation {
    /// An image file. Its path is made absolute, so that it is valid from any working folder.
    pub fn file(path: &Path) -> Self {
        Self::File(absolute(path))
    }

    /// A record of a folder of shards; the path is made absolute.
    pub fn shards(folder: &Path, split: Split, record: usize) -> Self {
        Self::Shards { folder: absolute(folder), split, record: record as u64 }
    }

    /// A row of a table; the path is made absolute.
    pub fn table(table: &Path, row: u64) -> Self {
        Self::Table { table: absolute(table), row }
    }
}
