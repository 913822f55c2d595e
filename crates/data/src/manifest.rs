//! The manifest of a folder of shards: a description of its content, with hashes to verify the shards.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::columns::TableColumn;
use crate::error::{DataError, shortened};
use crate::files::sha256_of_parts;
use crate::record::{Record, Split};

/// The version of the layout that this crate writes and reads.
pub const FORMAT: u32 = 2;

/// The manifest's file name in a folder of shards.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The largest manifest that is read, in bytes. A list of a million skipped records still fits.
const MANIFEST_LIMIT: u64 = 512 << 20;

/// The manifest of a folder of shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the layout, [`FORMAT`].
    pub format: u32,
    /// Name of the data set.
    pub source: String,
    /// The kind of the data set, by its name in `prepare`; empty if another program created the folder.
    pub dataset: String,
    /// The command that created the folder, so that a person can create it again. It is not a part of the identity.
    pub made_by: MadeBy,
    /// How images and texts were preprocessed, one sentence for each change.
    pub preprocessing: Vec<String>,
    /// The number of records of each kind, for each split.
    pub splits: BTreeMap<Split, Counts>,
    /// The shards, in the order of their records.
    pub shards: Vec<Shard>,
    /// The skipped records, with reasons, in the order of the raw data.
    pub skipped: Vec<Skipped>,
    /// Changes and problems of records that were not skipped, with counts, for example `image-missing`.
    pub noted: BTreeMap<String, u64>,
    /// The single cases counted in `noted`, with place and cause, if the user can correct them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Vec<Skipped>>,
    /// The purpose of each column of the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<TableColumn>,
    /// Further remarks about the raw data, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "told")]
    pub remarks: Vec<String>,
    /// Images, texts or patients that two splits have in common, or that occur twice in one split.
    pub overlaps: Vec<Overlap>,
}

/// Content that two splits have in common, or that occurs twice in one split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlap {
    /// The kind of the common content.
    pub of: Common,
    /// The two splits; both are the same if the content occurs twice within one split.
    pub splits: [Split; 2],
    /// The number of records (or patients) of the first split that the second split has too.
    pub count: u64,
    /// How many of these were removed from the first split for this reason.
    pub removed: u64,
    /// The names of some of them.
    pub examples: Vec<String>,
}

/// A sentence that reports an overlap, for pages and for the card of the folder.
pub fn describe_overlap(overlap: &Overlap) -> String {
    let Overlap { of, splits: [first, second], count, removed, .. } = overlap;
    let mut text = match first == second {
        true => format!("{first}: {count} cases of {} within the split", of.name()),
        false => format!("{first} and {second}: {count} {} of {first}", of.name()),
    };
    if *removed > 0 {
        text += &format!(", {removed} removed from {first}");
    }
    text
}

/// The kinds of content that two records can have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Common {
    /// The image file, byte for byte.
    Image,
    /// An image that looks the same, by its perceptual hash.
    NearImage,
    /// All texts.
    Text,
    /// The patient.
    Patient,
    /// A question about one image, with its answer.
    Question,
}

impl Common {
    /// The plural words for this kind of content.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "equal images",
            Self::NearImage => "images that look alike",
            Self::Text => "equal texts",
            Self::Patient => "patients",
            Self::Question => "questions about one image with one answer",
        }
    }
}

/// The program and arguments that created a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeBy {
    /// The command's arguments, as typed.
    pub arguments: Vec<String>,
    /// The version of this crate.
    pub version: String,
}

/// The numbers of records of one split, by content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// All records.
    pub records: u64,
    /// Records with an image and at least one text.
    pub pairs: u64,
    /// Records with an image and no text.
    pub images_only: u64,
    /// Records with texts and no image.
    pub texts_only: u64,
    /// The number of different patients.
    pub patients: u64,
}

impl Counts {
    /// Counts a record, but not its patient.
    pub fn add(&mut self, record: &Record) {
        self.records += 1;
        match (&record.image, record.texts.is_empty()) {
            (Some(_), false) => self.pairs += 1,
            (Some(_), true) => self.images_only += 1,
            (None, false) => self.texts_only += 1,
            (None, true) => {}
        }
    }
}

/// One shard of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// The file name within the folder.
    pub file: String,
    /// The split that all its records belong to.
    pub split: Split,
    /// Number of records.
    pub records: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// A skipped record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// Its place in the raw data, for example `line 17`.
    pub place: String,
    /// Why it cannot be used.
    pub cause: String,
}

/// The start of the cause of a record that was removed from one split because another split has the same image.
pub const IN_ANOTHER_SPLIT: &str = "its image is one of ";

impl Manifest {
    /// The number of records that could not be used: all skipped records, except those removed because two splits had the same
    /// image.
    pub fn unusable(&self) -> usize {
        self.skipped.iter().filter(|one| !one.cause.starts_with(IN_ANOTHER_SPLIT)).count()
    }

    /// Reads the manifest of a folder of shards and checks everything that can be checked without the shards.
    ///
    /// # Errors
    /// When there is no manifest, when it is not JSON of this form, when it has another version, or when it names files outside
    /// the folder.
    pub fn read(folder: &Path) -> Result<Self, DataError> {
        let path = folder.join(MANIFEST_FILE);
        let wrong = |cause: String| DataError::Manifest { path: path.clone(), cause };
        if !path.is_file() {
            return Err(DataError::NoManifest(folder.to_path_buf()));
        }
        let mut text = Vec::new();
        let file = File::open(&path).map_err(DataError::io("open", &path))?;
        file.take(MANIFEST_LIMIT + 1).read_to_end(&mut text).map_err(DataError::io("read", &path))?;
        if text.len() as u64 > MANIFEST_LIMIT {
            return Err(wrong(format!("it is larger than {} MiB", MANIFEST_LIMIT >> 20)));
        }
        // The version is checked first: a later version may have fields that this version would only report as unknown.
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => return Err(wrong(format!("its format is {format}, but this version reads {FORMAT}"))),
            None => return Err(wrong("it has no `format`".into())),
        }
        let manifest: Self = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
        match manifest.shards.iter().find(|shard| !is_plain_name(&shard.file)) {
            Some(shard) => Err(wrong(format!("`{}` is not a plain file name", shortened(&shard.file, 80)))),
            None => Ok(manifest),
        }
    }

    /// The identity of the data: SHA-256, in hexadecimal, over the format, the source and every shard's name, split,
    /// length and hash. Two folders with equal records that the same version created have the same identity, whatever their paths
    /// and the commands that created them. A run cannot be resumed with data of another identity.
    pub fn hash(&self) -> String {
        let shard = |shard: &Shard| {
            [shard.file.clone(), shard.split.name().into(), shard.records.to_string(), shard.sha256.clone()]
        };
        let of_all = [self.format.to_string(), self.source.clone()];
        sha256_of_parts(of_all.into_iter().chain(self.shards.iter().flat_map(shard)))
    }

    /// The counts of a split; all are 0 if the folder has no records of it.
    pub fn counts(&self, split: Split) -> Counts {
        self.splits.get(&split).copied().unwrap_or_default()
    }
}

/// Whether a name is a plain file name, without any folder.
pub fn is_plain_name(file: &str) -> bool {
    !file.is_empty() && Path::new(file).file_name().is_some_and(|name| name == file) && !file.contains(['/', '\\', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            source: "test".into(),
            dataset: String::new(),
            made_by: MadeBy { arguments: vec!["prepare".into()], version: "0.1.0".into() },
            preprocessing: vec![],
            splits: BTreeMap::from([(Split::Train, Counts { records: 1, pairs: 1, patients: 1, ..Counts::default() })]),
            shards: vec![Shard {
                file: "train-00000.parquet".into(),
                split: Split::Train,
                records: 1,
                bytes: 10,
                sha256: "ab".into(),
            }],
            skipped: vec![],
            noted: BTreeMap::new(),
            details: BTreeMap::new(),
            columns: vec![],
            remarks: vec![],
            overlaps: vec![],
        }
    }

    fn read(text: &str) -> Result<Manifest, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST_FILE), text).unwrap();
        Manifest::read(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_manifest_is_read_as_written_and_invalid_ones_are_errors() {
        let good = serde_json::to_string(&manifest()).unwrap();
        assert_eq!(read(&good), Ok(manifest()));
        let fails = |text: &str, with: &str| {
            let error = read(text).unwrap_err();
            assert!(error.contains(with), "{error}");
        };
        fails("{", "EOF");
        fails("{}", "no `format`");
        fails(&good.replace("\"format\":2", "\"format\":7"), "its format is 7, but this version reads 2");
        fails(&good.replace("\"source\"", "\"sauce\""), "unknown field `sauce`");
        fails(&good.replace("train-00000.parquet", "../secret"), "`../secret` is not a plain file name");
        fails(&"[".repeat(100_000), "recursion limit");
        let none = tempfile::tempdir().unwrap();
        assert!(matches!(Manifest::read(none.path()), Err(DataError::NoManifest(_))));
    }

    #[test]
    fn the_identity_depends_on_the_records_and_not_on_the_command() {
        let mut other = manifest();
        other.made_by.arguments = vec!["elsewhere".into()];
        assert_eq!(other.hash(), manifest().hash());
        other.shards[0].sha256 = "ac".into();
        assert_ne!(other.hash(), manifest().hash());
    }
}
