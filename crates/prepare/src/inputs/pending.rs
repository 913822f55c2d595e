//! One input that was found, and how it becomes a record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ptu_data::files::{Unread, absolute, image_bytes, read_bounded};
use ptu_data::inputs::{LeftOut, Loaded, Pending};
use ptu_data::picture::PictureLocation;
use ptu_data::record::{Record, RecordImage, Split};
use ptu_data::shard::ShardFolder;
use ptu_data::source::Source;

use super::folder::Why;
use crate::draft::{Draft, Place, Work};
use crate::paths;
use crate::table::TEXT_LIMIT;

/// An input by where it stands.
pub(super) enum Kind {
    Image(PathBuf),
    Text(PathBuf),
    Row { table: PathBuf, draft: Box<Draft>, has_split: bool, images_are_found: bool },
    Shard(PathBuf, Arc<ShardFolder>, usize),
    Left(PathBuf, Why),
}

impl Kind {
    /// The input, still to be read.
    pub fn pending(self) -> Pending {
        Pending::new(move || {
            let name = self.name();
            self.read(name.clone()).map_err(|cause| LeftOut { name, cause })
        })
    }

    fn name(&self) -> String {
        match self {
            Self::Image(path) | Self::Text(path) | Self::Left(path, _) => path.display().to_string(),
            Self::Row { table, draft, .. } => format!("{}, {}", table.display(), draft.place),
            Self::Shard(folder, shards, place) => format!("{}, {} record {place}", folder.display(), shards.split()),
        }
    }

    fn read(self, name: String) -> Result<Loaded, String> {
        match self {
            Self::Left(_, why) => Err(why.to_string()),
            Self::Image(path) => {
                let image = RecordImage { bytes: image_bytes(&path)?, path: Some(path.display().to_string()) };
                let (record, picture) = (named(&name, Some(image), vec![]), Some(PictureLocation::file(&path)));
                Ok(Loaded { name, record, picture, path: Some(shown(&path)), split: None })
            }
            Self::Text(path) => {
                let record = named(&name, None, vec![read_text(&path)?]);
                Ok(Loaded { name, record, picture: None, path: Some(shown(&path)), split: None })
            }
            Self::Row { table, draft, has_split, images_are_found } => {
                let row = match draft.place {
                    Place::Line(row) if images_are_found => Some(row),
                    _ => None,
                };
                let (record, file) = match draft.work {
                    Work::Bad(cause) => return Err(cause),
                    Work::Make(make) => (make().map_err(|error| error.to_string())?, None),
                    Work::Read(mut record, entry) => {
                        let file = entry.map(|entry| entry.path());
                        if let (Some(image), Some(file)) = (&mut record.image, &file) {
                            let named = |cause| format!("image `{}` {cause}", file.display());
                            image.bytes = image_bytes(file).map_err(named)?;
                        }
                        (*record, file)
                    }
                    Work::Find(mut record, folder) => {
                        let image = record.image.get_or_insert_default();
                        let found = paths::read(&folder, image.path.as_deref().unwrap_or_default())?;
                        image.bytes = found.bytes;
                        (*record, Some(found.path))
                    }
                };
                let (path, split) = (shown(file.as_deref().unwrap_or(&table)), has_split.then_some(record.split));
                let picture = match (file, row) {
                    (Some(file), _) => Some(PictureLocation::file(&file)),
                    (None, Some(row)) if record.image.is_some() => Some(PictureLocation::table(&table, row)),
                    _ => None,
                };
                Ok(Loaded { name, record, picture, path: Some(path), split })
            }
            Self::Shard(folder, shards, place) => {
                let record = shards.get(place).map_err(|error| error.to_string())?;
                let split = shards.split();
                let picture = record.image.is_some().then(|| PictureLocation::shards(&folder, split, place));
                let path = record.image.as_ref().and_then(|image| image.path.clone());
                Ok(Loaded { name, record, picture, path, split: Some(split) })
            }
        }
    }
}

fn shown(path: &Path) -> String {
    absolute(path).display().to_string()
}

fn read_text(path: &Path) -> Result<String, String> {
    let bytes = read_bounded(path, TEXT_LIMIT as u64).map_err(Unread::cause)?;
    let text = String::from_utf8(bytes).map_err(|_| "is no text in UTF-8; save it as UTF-8".to_string())?;
    match text.trim() {
        "" => Err("is empty".into()),
        text => Ok(text.to_string()),
    }
}

fn named(file: &str, image: Option<RecordImage>, texts: Vec<String>) -> Record {
    let (id, patient) = (file.to_string(), file.to_string());
    Record { patient, id, image, texts, split: Split::Test, source: "files".into(), ..Record::default() }
}
