//! A row of raw data that is to become a record. Drafts are cheap to create one after another; any thread can finish one.

use std::fmt;
use std::path::PathBuf;

use ptu_data::DataError;
use ptu_data::files::{IMAGE_LIMIT, Unread};
use ptu_data::files::{digest, name_digest};
use ptu_data::manifest::Skipped;
use ptu_data::record::Record;
use ptu_input::Picture;
use ptu_input::image::PerceptualHash;
use ptu_input::image::transform::resize_short;
use serde::{Deserialize, Serialize};

use crate::paths;
use crate::raw::Entry;

/// The position of a row in the raw data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RowPosition {
    /// A line, counted from 1, where the raw data is a single table.
    Line(u64),
    /// The name of a file and a position in it, as text.
    Named(String),
}

impl fmt::Display for RowPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(formatter, "line {line}"),
            Self::Named(name) => formatter.write_str(name),
        }
    }
}

/// What happens to a record whose image is missing or unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingImagePolicy {
    /// It is an error in the table of the user.
    Error,
    /// The record is skipped.
    Skip,
    /// The record keeps its texts, without the image. A record that has no texts is skipped.
    KeepTexts,
}

/// A row whose image has not been read yet.
pub(crate) struct Draft {
    pub(crate) position: RowPosition,
    pub(crate) work: RemainingWork,
    pub(crate) missing_image: MissingImagePolicy,
}

/// The work that remains until a row is a record.
pub(crate) enum RemainingWork {
    /// None: the row cannot become a record, for this reason.
    Bad(String),
    /// The image must be read, if the record has one.
    Read(Box<Record>, Option<Entry>),
    /// The image must be found: its path in the table is relative to this folder.
    Find(Box<Record>, PathBuf),
    /// This function creates the whole record.
    Make(Box<dyn FnOnce() -> Result<Record, DataError> + Send>),
}

/// A record whose image, if it has one, was read and checked.
#[derive(Debug)]
pub(crate) struct FinishedRecord {
    pub(crate) record: Record,
    /// Used to compare the record with others.
    pub(crate) fingerprint: RecordFingerprint,
    /// Something about the record that is counted and listed in the manifest.
    pub(crate) note: Option<RecordNote>,
}

/// Something that was done to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordNote {
    /// The key under which the manifest counts it.
    pub(crate) kind: &'static str,
    /// The position of the record, and the reason.
    pub(crate) entry: Skipped,
}

/// Hashes of a record, used to find records that are equal or similar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordFingerprint {
    pub(crate) id: u128,
    pub(crate) patient: u128,
    /// Hash of the bytes of the image.
    pub(crate) image: Option<u128>,
    /// Images that look alike have similar hashes.
    #[serde(rename = "looks")]
    pub(crate) perceptual_hash: Option<PerceptualHash>,
    /// Hash of all texts, without regard to case and white space.
    pub(crate) text: Option<u128>,
}

impl RecordFingerprint {
    fn of(record: &Record, perceptual_hash: Option<PerceptualHash>) -> Self {
        let words: Vec<String> = record.texts.iter().map(|text| ptu_input::text::normalised(text)).collect();
        Self {
            id: name_digest(&record.id),
            patient: name_digest(&record.patient),
            image: record.image.as_ref().map(|image| digest(&image.bytes)),
            perceptual_hash,
            text: (!words.is_empty()).then(|| digest(words.join("\n"))),
        }
    }
}

/// Key of records whose image is missing; they keep their texts.
pub(crate) const IMAGE_MISSING: &str = "image-missing";

/// Key of records whose image cannot be decoded; they keep their texts.
pub(crate) const IMAGE_UNREADABLE: &str = "image-unreadable";

impl Draft {
    /// A record and the file of its image.
    pub(crate) fn read(position: RowPosition, record: Record, image: Option<Entry>) -> Self {
        Self { position, work: RemainingWork::Read(Box::new(record), image), missing_image: MissingImagePolicy::Skip }
    }

    /// A record that the function `make` creates as a whole.
    pub(crate) fn make(
        position: RowPosition,
        make: impl FnOnce() -> Result<Record, DataError> + Send + 'static,
    ) -> Self {
        Self { position, work: RemainingWork::Make(Box::new(make)), missing_image: MissingImagePolicy::Skip }
    }

    /// A row that cannot become a record.
    pub(crate) fn bad(position: RowPosition, cause: impl Into<String>) -> Self {
        Self { position, work: RemainingWork::Bad(cause.into()), missing_image: MissingImagePolicy::Skip }
    }

    /// Reads and checks the image. An image whose shorter side is longer than `side` pixels is resized to that size.
    ///
    /// # Errors
    /// The reason why the row cannot become a record.
    pub(crate) fn finish(self, side: Option<usize>) -> Result<FinishedRecord, String> {
        let position = self.position.to_string();
        let note = |kind, cause| RecordNote { kind, entry: Skipped { place: position.clone(), cause } };
        let finished = |record, perceptual_hash| FinishedRecord {
            fingerprint: RecordFingerprint::of(&record, perceptual_hash),
            record,
            note: None,
        };
        match self.work {
            RemainingWork::Bad(cause) => Err(cause),
            RemainingWork::Make(make) => {
                let record = make().map_err(|error| error.to_string())?;
                let perceptual_hash = record.image.as_ref().and_then(|image| {
                    Picture::decode(&image.bytes, &record.id).ok().map(|picture| PerceptualHash::of(&picture))
                });
                Ok(finished(record, perceptual_hash))
            }
            RemainingWork::Read(mut record, None) => match &mut record.image {
                None => Ok(finished(*record, None)),
                Some(image) => {
                    let name = image.path.clone().unwrap_or_else(|| record.id.clone());
                    let (bytes, perceptual_hash) = check_image(std::mem::take(&mut image.bytes), &name, side)?;
                    image.bytes = bytes;
                    Ok(finished(*record, Some(perceptual_hash)))
                }
            },
            RemainingWork::Read(mut record, Some(entry)) => match read_image(&entry, side) {
                Ok((bytes, perceptual_hash)) => {
                    record.image.get_or_insert_default().bytes = bytes;
                    Ok(finished(*record, Some(perceptual_hash)))
                }
                Err(unusable) if self.missing_image == MissingImagePolicy::KeepTexts && !record.texts.is_empty() => {
                    record.image = None;
                    let note = Some(note(unusable.kind, unusable.cause));
                    Ok(FinishedRecord { note, ..finished(*record, None) })
                }
                Err(unusable) => Err(unusable.cause),
            },
            RemainingWork::Find(mut record, folder) => {
                let image = record.image.get_or_insert_default();
                let found = paths::read(&folder, image.path.as_deref().unwrap_or_default())?;
                let (bytes, perceptual_hash) = check_image(found.bytes, &found.path.display().to_string(), side)?;
                image.bytes = bytes;
                let note = found.note.map(|(kind, cause)| note(kind, cause));
                Ok(FinishedRecord { note, ..finished(*record, Some(perceptual_hash)) })
            }
        }
    }
}

/// Why an image cannot be used.
struct UnusableImage {
    /// The key under which the manifest counts it.
    kind: &'static str,
    cause: String,
}

/// Reads an image and checks that it can be decoded. Returns its bytes, or those of a resized PNG where its shorter side is
/// longer than `side`, and its perceptual hash.
fn read_image(entry: &Entry, side: Option<usize>) -> Result<(Vec<u8>, PerceptualHash), UnusableImage> {
    let path = entry.path();
    let name = path.display();
    let bytes = entry.bytes(IMAGE_LIMIT).map_err(|unread| match unread {
        Unread::Absent => UnusableImage { kind: IMAGE_MISSING, cause: format!("image `{name}` is not there") },
        Unread::Because(cause) => UnusableImage { kind: IMAGE_UNREADABLE, cause: format!("image `{name}` {cause}") },
    })?;
    check_image(bytes, &name.to_string(), side).map_err(|cause| UnusableImage { kind: IMAGE_UNREADABLE, cause })
}

/// As [`read_image`], for bytes that were already read.
fn check_image(bytes: Vec<u8>, name: &str, side: Option<usize>) -> Result<(Vec<u8>, PerceptualHash), String> {
    let picture = Picture::decode(&bytes, name).map_err(|error| error.to_string())?;
    let perceptual_hash = PerceptualHash::of(&picture);
    match side {
        Some(side) if picture.width().min(picture.height()) > side => {
            let smaller = resize_short(&picture, side);
            Ok((smaller.map_err(|error| format!("image `{name}`: {error}"))?.png(), perceptual_hash))
        }
        _ => Ok((bytes, perceptual_hash)),
    }
}
