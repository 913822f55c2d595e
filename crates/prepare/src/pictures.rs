//! Pictures of records, read again from where they lie.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ptu_data::files::read_image;
use ptu_data::picture::PictureLocation;
use ptu_data::record::{RecordImage, Split};
use ptu_data::{DataError, ShardFolder, Source};

use crate::table::TableImages;

/// Pictures of rows, read from where they lie; folders of shards and tables are opened once.
#[derive(Default)]
pub struct PictureReader {
    open: Vec<((PathBuf, Split), Arc<ShardFolder>)>,
    tables: Vec<(PathBuf, TableImages)>,
}

impl PictureReader {
    /// The encoded picture.
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
        if let Some((_, shards)) = self.open.iter().find(|((path, of), _)| path == folder && *of == split) {
            return Ok(Arc::clone(shards));
        }
        let shards = Arc::new(ShardFolder::open(folder, split)?);
        self.open.push(((folder.to_path_buf(), split), Arc::clone(&shards)));
        Ok(shards)
    }
}
