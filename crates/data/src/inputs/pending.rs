//! One input that was found, and how it becomes a record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::folder::Why;
use crate::files::{Unread, read_bounded};
use crate::picture::{PictureAt, absolute, image_bytes};
use crate::prepare::draft::{Draft, Place, Work};
use crate::prepare::table::{TEXT_LIMIT, path};
use crate::record::{Record, RecordImage, Split};
use crate::shard::ShardFolder;
use crate::source::Source;

/// An input that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its file, or its table and line.
    pub name: String,
    /// What is wrong with it.
    pub cause: String,
}

/// One input as a record.
#[derive(Debug)]
pub struct Loaded {
    /// Its file, or its table and line.
    pub name: String,
    /// The record.
    pub record: Record,
    /// Where its picture lies.
    pub picture: Option<PictureAt>,
    /// The file that it came from: that of its picture, else of its text, else the table; of a record of shards the picture's
    /// file as the table or data set named it.
    pub path: Option<String>,
    /// Its split, where shards or a column of the table say it.
    pub split: Option<Split>,
}

/// One input that is still to be read; that can be done on any thread.
pub struct Pending(pub(super) Kind);

pub(super) enum Kind {
    Image(PathBuf),
    Text(PathBuf),
    Row { table: PathBuf, draft: Box<Draft>, has_split: bool, images_are_found: bool },
    Shard(PathBuf, Arc<ShardFolder>, usize),
    Left(PathBuf, Why),
}

impl Pending {
    /// Reads the input.
    ///
    /// # Errors
    /// What is wrong with it, and which it is.
    pub fn load(self) -> Result<Loaded, LeftOut> {
        let name = self.name();
        self.read(name.clone()).map_err(|cause| LeftOut { name, cause })
    }

    fn name(&self) -> String {
        match &self.0 {
            Kind::Image(path) | Kind::Text(path) | Kind::Left(path, _) => path.display().to_string(),
            Kind::Row { table, draft, .. } => format!("{}, {}", table.display(), draft.place),
            Kind::Shard(folder, shards, place) => format!("{}, {} record {place}", folder.display(), shards.split()),
        }
    }

    fn read(self, name: String) -> Result<Loaded, String> {
        match self.0 {
            Kind::Left(_, why) => Err(why.to_string()),
            Kind::Image(path) => {
                let image = RecordImage { bytes: image_bytes(&path)?, path: Some(path.display().to_string()) };
                let (record, picture) = (named(&name, Some(image), vec![]), Some(PictureAt::file(&path)));
                Ok(Loaded { name, record, picture, path: Some(shown(&path)), split: None })
            }
            Kind::Text(path) => {
                let record = named(&name, None, vec![read_text(&path)?]);
                Ok(Loaded { name, record, picture: None, path: Some(shown(&path)), split: None })
            }
            Kind::Row { table, draft, has_split, images_are_found } => {
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
                        let found = path::read(&folder, image.path.as_deref().unwrap_or_default())?;
                        image.bytes = found.bytes;
                        (*record, Some(found.path))
                    }
                };
                let (path, split) = (shown(file.as_deref().unwrap_or(&table)), has_split.then_some(record.split));
                let picture = match (file, row) {
                    (Some(file), _) => Some(PictureAt::file(&file)),
                    (None, Some(row)) if record.image.is_some() => Some(PictureAt::table(&table, row)),
                    _ => None,
                };
                Ok(Loaded { name, record, picture, path: Some(path), split })
            }
            Kind::Shard(folder, shards, place) => {
                let record = shards.get(place).map_err(|error| error.to_string())?;
                let split = shards.split();
                let picture = record.image.is_some().then(|| PictureAt::shards(&folder, split, place));
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
