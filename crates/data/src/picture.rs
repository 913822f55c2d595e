//! Where the picture of a record lies, and how it is read again from there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::DataError;
use crate::files::{IMAGE_LIMIT, Unread, read_bounded};
use crate::prepare::table::TableImages;
use crate::record::{RecordImage, Split};
use crate::shard::ShardFolder;
use crate::source::Source;

/// Where the picture of a record lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureAt {
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

impl PictureAt {
    /// In a file, by a path that is of use from any folder.
    pub(crate) fn file(path: &Path) -> Self {
        Self::File(absolute(path))
    }

    /// In a folder of shards, likewise.
    pub(crate) fn shards(folder: &Path, split: Split, record: usize) -> Self {
        Self::Shards { folder: absolute(folder), split, record: record as u64 }
    }

    /// In a table, likewise.
    pub(crate) fn table(table: &Path, row: u64) -> Self {
        Self::Table { table: absolute(table), row }
    }
}

/// Pictures of rows, read from where they lie; folders of shards and tables are opened once.
#[derive(Default)]
pub struct Pictures {
    open: Vec<((PathBuf, Split), Arc<ShardFolder>)>,
    tables: Vec<(PathBuf, TableImages)>,
}

impl Pictures {
    /// The encoded picture.
    ///
    /// # Errors
    /// When the file, the folder of shards or the table cannot be read any more.
    pub fn read(&mut self, at: &PictureAt) -> Result<Option<RecordImage>, DataError> {
        match at {
            PictureAt::File(path) => {
                let bytes = read_image(path)?;
                Ok(Some(RecordImage { bytes, path: Some(path.display().to_string()) }))
            }
            PictureAt::Shards { folder, split, record } => {
                Ok(self.shards(folder, *split)?.get(usize::try_from(*record).unwrap_or(usize::MAX))?.image)
            }
            PictureAt::Table { table, row } => {
                if !self.tables.iter().any(|(path, _)| path == table) {
                    self.tables.push((table.clone(), TableImages::open(table)?));
                }
                let images = self.tables.iter().find(|(path, _)| path == table);
                images.map_or(Ok(None), |(_, images)| images.read(*row))
            }
        }
    }

    fn shards(&mut self, folder: &Path, split: Split) -> Result<Arc<ShardFolder>, DataError> {
        if let Some((_, shards)) = self.open.iter().find(|((path, of), _)| path == folder && *of == split) {
            return Ok(Arc::clone(shards));
        }
        let shards = Arc::new(ShardFolder::open(folder, split)?);
        self.open.push(((folder.to_path_buf(), split), Arc::clone(&shards)));
        Ok(shards)
    }
}

/// The bytes of an image file.
///
/// # Errors
/// When it is not there, is no file, is too large or cannot be read.
pub fn read_image(path: &Path) -> Result<Vec<u8>, DataError> {
    image_bytes(path).map_err(|cause| DataError::Input { path: path.to_path_buf(), cause })
}

/// [`read_image`] with an error that goes on from the name of the file.
pub(crate) fn image_bytes(path: &Path) -> Result<Vec<u8>, String> {
    read_bounded(path, IMAGE_LIMIT).map_err(Unread::cause)
}

/// Of use from any folder; a path that cannot be made so stays.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
