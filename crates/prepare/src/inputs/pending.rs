//! One input that is not read yet, and how it becomes a record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ptu_data::files::{Unread, absolute, image_bytes, read_bounded};
use ptu_data::inputs::{Loaded, Pending, SkippedInput};
use ptu_data::picture::PictureLocation;
use ptu_data::record::{Record, RecordImage, Split};
use ptu_data::shard::ShardFolder;
use ptu_data::source::Source;

use super::folder::SkipReason;
use crate::draft::{Draft, RemainingWork, RowPosition};
use crate::paths;
use crate::table::TEXT_LIMIT;

/// An input that is not read yet.
pub(super) enum UnreadInput {
    Image(PathBuf),
    Text(PathBuf),
    /// A row of a table.
    Row {
        table: PathBuf,
        draft: Box<Draft>,
        /// True if a column of the table gives the split.
        has_split: bool,
        /// True if an image that is stored in the row can be read again later by the number of the row.
        images_can_be_reread: bool,
    },
    /// A folder of shards and the number of the record in it.
    Shard(PathBuf, Arc<ShardFolder>, usize),
    /// An input that is skipped.
    Skipped(PathBuf, SkipReason),
}

impl UnreadInput {
    /// The input as a [`Pending`], which any thread can read.
    pub fn into_pending(self) -> Pending {
        Pending::new(move || {
            let name = self.name();
            self.read(name.clone()).map_err(|cause| SkippedInput { name, cause })
        })
    }

    /// The name of the input in messages.
    fn name(&self) -> String {
        match self {
            Self::Image(path) | Self::Text(path) | Self::Skipped(path, _) => path.display().to_string(),
            Self::Row { table, draft, .. } => format!("{}, {}", table.display(), draft.position),
            Self::Shard(folder, shards, index) => format!("{}, {} record {index}", folder.display(), shards.split()),
        }
    }

    fn read(self, name: String) -> Result<Loaded, String> {
        match self {
            Self::Skipped(_, reason) => Err(reason.to_string()),
            Self::Image(path) => {
                let image = RecordImage { bytes: image_bytes(&path)?, path: Some(path.display().to_string()) };
                let record = record_of_file(&name, Some(image), vec![]);
                let picture = Some(PictureLocation::file(&path));
                Ok(Loaded { name, record, picture, path: Some(absolute_text(&path)), split: None })
            }
            Self::Text(path) => {
                let record = record_of_file(&name, None, vec![read_text(&path)?]);
                Ok(Loaded { name, record, picture: None, path: Some(absolute_text(&path)), split: None })
            }
            Self::Row { table, draft, has_split, images_can_be_reread } => {
                let row = match draft.position {
                    RowPosition::Line(row) if images_can_be_reread => Some(row),
                    _ => None,
                };
                let (record, file) = match draft.work {
                    RemainingWork::Bad(cause) => return Err(cause),
                    RemainingWork::Make(make) => (make().map_err(|error| error.to_string())?, None),
                    RemainingWork::Read(mut record, entry) => {
                        let file = entry.map(|entry| entry.path());
                        if let (Some(image), Some(file)) = (&mut record.image, &file) {
                            let with_path = |cause| format!("image `{}` {cause}", file.display());
                            image.bytes = image_bytes(file).map_err(with_path)?;
                        }
                        (*record, file)
                    }
                    RemainingWork::Find(mut record, folder) => {
                        let image = record.image.get_or_insert_default();
                        let found = paths::read(&folder, image.path.as_deref().unwrap_or_default())?;
                        image.bytes = found.bytes;
                        (*record, Some(found.path))
                    }
                };
                let path = absolute_text(file.as_deref().unwrap_or(&table));
                let split = has_split.then_some(record.split);
                let picture = match (file, row) {
                    (Some(file), _) => Some(PictureLocation::file(&file)),
                    (None, Some(row)) if record.image.is_some() => Some(PictureLocation::table(&table, row)),
                    _ => None,
                };
                Ok(Loaded { name, record, picture, path: Some(path), split })
            }
            Self::Shard(folder, shards, index) => {
                let record = shards.get(index).map_err(|error| error.to_string())?;
                let split = shards.split();
                let picture = record.image.is_some().then(|| PictureLocation::shards(&folder, split, index));
                let path = record.image.as_ref().and_then(|image| image.path.clone());
                Ok(Loaded { name, record, picture, path, split: Some(split) })
            }
        }
    }
}

/// The absolute path, as text.
fn absolute_text(path: &Path) -> String {
    absolute(path).display().to_string()
}

fn read_text(path: &Path) -> Result<String, String> {
    let bytes = read_bounded(path, TEXT_LIMIT as u64).map_err(Unread::cause)?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text; save it as UTF-8".to_string())?;
    match text.trim() {
        "" => Err("is empty".into()),
        text => Ok(text.to_string()),
    }
}

/// A record of a single file: the path of the file is its id and its patient.
fn record_of_file(file: &str, image: Option<RecordImage>, texts: Vec<String>) -> Record {
    let (id, patient) = (file.to_string(), file.to_string());
    Record { patient, id, image, texts, split: Split::Test, source: "files".into(), ..Record::default() }
}
