//! A row of raw data on its way to a record: cheap to make one after another, finished on any thread.

use std::fmt;
use std::path::PathBuf;

use ptu_data::DataError;
use ptu_data::files::{IMAGE_LIMIT, Unread};
use ptu_data::files::{digest, name_digest};
use ptu_data::manifest::Skipped;
use ptu_data::record::Record;
use ptu_input::Picture;
use ptu_input::image::Looks;
use ptu_input::image::transform::resize_short;
use serde::{Deserialize, Serialize};

use crate::paths;
use crate::raw::Entry;

/// Where a row stands in the raw data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A line of the one table that there is, from 1.
    Line(u64),
    /// A file, and where in it.
    Named(String),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(formatter, "line {line}"),
            Self::Named(name) => formatter.write_str(name),
        }
    }
}

/// What becomes of a record whose image cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithoutImage {
    /// Somebody made a mistake in a table.
    Mistake,
    /// It is left out.
    LeftOut,
    /// Its texts are kept where it has any.
    TextsKept,
}

/// A row whose image is still to be read.
pub(crate) struct Draft {
    pub(crate) place: Place,
    pub(crate) work: Work,
    pub(crate) without_image: WithoutImage,
}

/// What is left to do for a record.
pub(crate) enum Work {
    /// Nothing: it cannot become one, for this cause.
    Bad(String),
    /// Its image is read, where it has one.
    Read(Box<Record>, Option<Entry>),
    /// Its image is looked for relative to a folder, by the path that a table has.
    Find(Box<Record>, PathBuf),
    /// It is made whole.
    Make(Box<dyn FnOnce() -> Result<Record, DataError> + Send>),
}

/// A record with its image.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) record: Record,
    /// By what it is compared with others.
    pub(crate) mark: RecordMark,
    /// What is worth to be counted and told.
    pub(crate) note: Option<Noted>,
}

/// Something that was done to a record, under the word by which it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) what: &'static str,
    /// Where the record stands, and why.
    pub(crate) told: Skipped,
}

/// By what a record is compared with others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordMark {
    pub(crate) id: u128,
    pub(crate) patient: u128,
    /// The image's bytes.
    pub(crate) image: Option<u128>,
    pub(crate) looks: Option<Looks>,
    /// All texts, without regard to case and white space.
    pub(crate) text: Option<u128>,
}

impl RecordMark {
    fn of(record: &Record, looks: Option<Looks>) -> Self {
        let words: Vec<String> = record.texts.iter().map(|text| ptu_input::text::normalised(text)).collect();
        Self {
            id: name_digest(&record.id),
            patient: name_digest(&record.patient),
            image: record.image.as_ref().map(|image| digest(&image.bytes)),
            looks,
            text: (!words.is_empty()).then(|| digest(words.join("\n"))),
        }
    }
}

/// Records whose image is not there, kept with their texts.
pub(crate) const IMAGE_MISSING: &str = "image-missing";

/// Records whose image cannot be decoded, kept with their texts.
pub(crate) const IMAGE_UNREADABLE: &str = "image-unreadable";

impl Draft {
    /// A record and its image's file.
    pub(crate) fn read(place: Place, record: Record, image: Option<Entry>) -> Self {
        Self { place, work: Work::Read(Box::new(record), image), without_image: WithoutImage::LeftOut }
    }

    /// A record that is made whole.
    pub(crate) fn make(place: Place, make: impl FnOnce() -> Result<Record, DataError> + Send + 'static) -> Self {
        Self { place, work: Work::Make(Box::new(make)), without_image: WithoutImage::LeftOut }
    }

    /// A row that cannot become a record.
    pub(crate) fn bad(place: Place, cause: impl Into<String>) -> Self {
        Self { place, work: Work::Bad(cause.into()), without_image: WithoutImage::LeftOut }
    }

    /// Reads and checks the image; a larger one is stored with a shorter side of `side` pixels.
    pub(crate) fn finish(self, side: Option<usize>) -> Result<Finished, String> {
        let place = self.place.to_string();
        let noted = |what, cause| Noted { what, told: Skipped { place: place.clone(), cause } };
        let whole = |record, looks| Finished { mark: RecordMark::of(&record, looks), record, note: None };
        match self.work {
            Work::Bad(cause) => Err(cause),
            Work::Make(make) => {
                let record = make().map_err(|error| error.to_string())?;
                let looks = record.image.as_ref().and_then(|image| {
                    Picture::decode(&image.bytes, &record.id).ok().map(|picture| Looks::of(&picture))
                });
                Ok(whole(record, looks))
            }
            Work::Read(mut record, None) => match &mut record.image {
                None => Ok(whole(*record, None)),
                Some(image) => {
                    let name = image.path.clone().unwrap_or_else(|| record.id.clone());
                    let (bytes, looks) = checked(std::mem::take(&mut image.bytes), &name, side)?;
                    image.bytes = bytes;
                    Ok(whole(*record, Some(looks)))
                }
            },
            Work::Read(mut record, Some(entry)) => match read_image(&entry, side) {
                Ok((bytes, looks)) => {
                    record.image.get_or_insert_default().bytes = bytes;
                    Ok(whole(*record, Some(looks)))
                }
                Err(unusable) if self.without_image == WithoutImage::TextsKept && !record.texts.is_empty() => {
                    record.image = None;
                    let note = Some(noted(unusable.note, unusable.cause));
                    Ok(Finished { note, ..whole(*record, None) })
                }
                Err(unusable) => Err(unusable.cause),
            },
            Work::Find(mut record, folder) => {
                let image = record.image.get_or_insert_default();
                let found = paths::read(&folder, image.path.as_deref().unwrap_or_default())?;
                let (bytes, looks) = checked(found.bytes, &found.path.display().to_string(), side)?;
                image.bytes = bytes;
                let note = found.how.map(|(what, cause)| noted(what, cause));
                Ok(Finished { note, ..whole(*record, Some(looks)) })
            }
        }
    }
}

struct Unusable {
    note: &'static str,
    cause: String,
}

/// The bytes of an image that can be decoded; of a smaller picture where its shorter side is above `side`.
fn read_image(entry: &Entry, side: Option<usize>) -> Result<(Vec<u8>, Looks), Unusable> {
    let path = entry.path();
    let name = path.display();
    let bytes = entry.bytes(IMAGE_LIMIT).map_err(|unread| match unread {
        Unread::Absent => Unusable { note: IMAGE_MISSING, cause: format!("image `{name}` is not there") },
        Unread::Because(cause) => Unusable { note: IMAGE_UNREADABLE, cause: format!("image `{name}` {cause}") },
    })?;
    checked(bytes, &name.to_string(), side).map_err(|cause| Unusable { note: IMAGE_UNREADABLE, cause })
}

/// The bytes of an image that was read, where they can be decoded.
fn checked(bytes: Vec<u8>, name: &str, side: Option<usize>) -> Result<(Vec<u8>, Looks), String> {
    let picture = Picture::decode(&bytes, name).map_err(|error| error.to_string())?;
    let looks = Looks::of(&picture);
    match side {
        Some(side) if picture.width().min(picture.height()) > side => {
            let smaller = resize_short(&picture, side);
            Ok((smaller.map_err(|error| format!("image `{name}`: {error}"))?.png(), looks))
        }
        _ => Ok((bytes, looks)),
    }
}
