//! Reads the pictures of records again from their files, shards or tables.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ptu_data::files::read_image;
use ptu_data::picture::PictureLocation;
use ptu_data::record::{RecordImage, Split};
use ptu_data::{DataError, ShardFolder, Source};

use crate::table::TableImages;

/// Reads pictures from files, shards and tables. Each folder of shards and each table is opened only once.
#[derive(Default)]
pub struct PictureReader {
    shards: Vec<((PathBuf, Split), Arc<ShardFolder>)>,
    tables: Vec<(PathBuf, TableImages)>,
}

impl PictureReader {
    /// The encoded picture at a location; `None` if the record has no image.
    ///
    /// # Errors
    /// When the file, the folder of shards or the table cannot be read any more.
    pub fn read(&mut self, at: &PictureLocation) -> Result<Option<RecordImage>, DataError> {
        match at {
            PictureLocation::File(path) => {
                let bytes = read_image(path)?;
                Ok(Some(RecordImage { bytes, path: Some(path.display().to_string()) }))
            }
            PictureLocation::Shards { folder, split, record } => {
                Ok(self.shards(folder, *split)?.get(usize::try_from(*record).unwrap_or(usize::MAX))?.image)
            }
            PictureLocation::Table { table, row } => {
                if !self.tables.iter().any(|(path, _)| path == table) {
                    self.tables.push((table.clone(), TableImages::open(table)?));
                }
                let images = self.tables.iter().find(|(path, _)| path == table);
                images.map_or(Ok(None), |(_, images)| images.read(*row))
            }
        }
    }

    fn shards(&mut self, folder: &Path, split: Split) -> Result<Arc<ShardFolder>, DataError> {
        if let Some((_, shards)) = self.shards.iter().find(|((path, of), _)| path == folder && *of == split) {
            return Ok(Arc::clone(shards));
        }
        let shards = Arc::new(ShardFolder::open(folder, split)?);
        self.shards.push(((folder.to_path_buf(), split), Arc::clone(&shards)));
        Ok(shards)
    }
}
