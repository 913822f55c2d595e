//! Writing of shards: one stream of records becomes several files of limited size, and the folder appears complete or not at all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ptu_input::files::{parent, sync_folder};
use serde::{Deserialize, Serialize};

use super::file::OpenShard;
use crate::card;
use crate::columns::TableColumn;
use crate::error::DataError;
use crate::files::{is_absent_or_empty, name_digest};
use crate::manifest::{Common, Counts, FORMAT, MANIFEST_FILE, MadeBy, Manifest, Overlap, Shard, Skipped};
use crate::record::{Record, Split};

/// The largest number of examples that an overlap of two splits lists.
pub const EXAMPLES: usize = 20;

/// The data set card of a folder, which Hugging Face and GitHub display.
const CARD_FILE: &str = "README.md";

/// The lock file within a folder that is being written.
const LOCK_FILE: &str = "writing.lock";

/// The options of a [`ShardWriter`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterOptions {
    /// Name of the data set, for the manifest.
    pub source: String,
    /// The kind of the data set, for the manifest and the card, by its name in `prepare`; empty if another program creates the
    /// folder.
    pub dataset: String,
    /// Further information about the data set, in Markdown, for the card.
    #[serde(default)]
    pub about: String,
    /// The command's arguments, for the manifest.
    pub arguments: Vec<String>,
    /// How images and texts were preprocessed, one sentence for each change, for the manifest.
    pub preprocessing: Vec<String>,
    /// A shard is closed once it is larger than this, in bytes.
    pub shard_bytes: usize,
    /// Whether a patient may be in two splits. It is true for data sets whose published splits share patients.
    pub shared_patients: bool,
}

impl WriterOptions {
    /// Options for a data set of this name: shards of 256 MiB, no further information, no patient in two splits.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            dataset: String::new(),
            about: String::new(),
            arguments: vec![],
            preprocessing: vec![],
            shard_bytes: 256 << 20,
            shared_patients: false,
        }
    }
}

/// Writes a folder of shards.
///
/// All files are written to a hidden folder beside the requested one; [`ShardWriter::finish`] syncs it and renames it. If the
/// writer is dropped before that, it removes its files. Equal records in equal order give equal bytes.
pub struct ShardWriter {
    folder: PathBuf,
    partial: PathBuf,
    lock: Option<File>,
    options: WriterOptions,
    open: BTreeMap<Split, OpenShard>,
    finished: BTreeMap<Split, Vec<Shard>>,
    counts: BTreeMap<Split, Counts>,
    /// For each patient, the splits with its records, as bits.
    patients: HashMap<u128, u8>,
    ids: HashSet<u128>,
    skipped: Vec<Skipped>,
    noted: BTreeMap<String, u64>,
    details: BTreeMap<String, Vec<Skipped>>,
    columns: Vec<TableColumn>,
    remarks: Vec<String>,
    overlaps: Vec<Overlap>,
    /// For each two splits, the number of patients with records in both, and examples.
    shared_patients: BTreeMap<[Split; 2], (u64, Vec<String>)>,
}

impl ShardWriter {
    /// Starts writing a folder of shards at `folder`, which must not exist or must be empty.
    ///
    /// # Errors
    /// When `folder` is not empty, when another process is writing it, or when the hidden folder cannot be created.
    pub fn create(folder: &Path, options: WriterOptions) -> Result<Self, DataError> {
        if !is_absent_or_empty(folder)? {
            return Err(DataError::NotEmpty(folder.to_path_buf()));
        }
        let partial = partial_name(folder)?;
        fs::create_dir_all(&partial).map_err(DataError::io("create", &partial))?;
        let path = partial.join(LOCK_FILE);
        let lock = File::create(&path).map_err(DataError::io("create", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataError::Busy(folder.to_path_buf())),
            Err(TryLockError::Error(source)) => return Err(DataError::Io { action: "lock", path, source }),
        }
        // Removes the files of a killed process. No other process holds the lock.
        for entry in fs::read_dir(&partial).map_err(DataError::io("list", &partial))? {
            let path = entry.map_err(DataError::io("list", &partial))?.path();
            if path.file_name().is_some_and(|name| name != LOCK_FILE) {
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(DataError::io("remove", &path))?;
            }
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            partial,
            lock: Some(lock),
            options,
            open: BTreeMap::new(),
            finished: BTreeMap::new(),
            counts: BTreeMap::new(),
            patients: HashMap::new(),
            ids: HashSet::new(),
            skipped: vec![],
            noted: BTreeMap::new(),
            details: BTreeMap::new(),
            columns: vec![],
            remarks: vec![],
            overlaps: vec![],
            shared_patients: BTreeMap::new(),
        })
    }

    /// Adds a record to its split.
    ///
    /// # Errors
    /// When an earlier record has the same id, when the patient is in another split, or when the file cannot be written.
    pub fn write(&mut self, record: Record) -> Result<(), DataError> {
        let bit = |split: Split| 1u8 << split as u8;
        let patient = name_digest(&record.patient);
        let known = self.patients.get(&patient).copied().unwrap_or(0);
        let others = Split::ALL.into_iter().filter(|split| *split != record.split && known & bit(*split) > 0);
        let others: Vec<Split> = others.collect();
        if let (Some(&first), false) = (others.first(), self.options.shared_patients) {
            let Record { id, patient, split: second, .. } = record;
            return Err(DataError::PatientInTwoSplits { patient, first, second, id });
        }
        if !self.ids.insert(name_digest(&record.id)) {
            return Err(DataError::DuplicateId(record.id));
        }
        if known & bit(record.split) == 0 {
            self.patients.insert(patient, known | bit(record.split));
            self.counts.entry(record.split).or_default().patients += 1;
            for other in others {
                let splits = [other.min(record.split), other.max(record.split)];
                let (count, examples) = self.shared_patients.entry(splits).or_default();
                *count += 1;
                if examples.len() < EXAMPLES {
                    examples.push(record.patient.clone());
                }
            }
        }
        self.put(record)
    }

    /// Adds a record without checking its id and its patient. The caller guarantees that its id is unique, and counts the
    /// patients with [`Self::count_patients`]. So the writer needs no memory for ids and patients.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(&mut self, record: Record) -> Result<(), DataError> {
        self.counts.entry(record.split).or_default().add(&record);
        let split = record.split;
        let shard = match self.open.remove(&split) {
            Some(shard) => shard,
            None => {
                let number = self.finished.get(&split).map_or(0, Vec::len);
                OpenShard::create(&self.partial, split, number)?
            }
        };
        let shard = self.open.entry(split).or_insert(shard);
        shard.write(record)?;
        if shard.size() >= self.options.shard_bytes {
            self.close(split)?;
        }
        Ok(())
    }

    /// Adds to the number of patients of a split, for records that were added with [`Self::put`].
    pub fn count_patients(&mut self, split: Split, count: u64) {
        self.counts.entry(split).or_default().patients += count;
    }

    /// A folder for temporary files that are needed only while this folder is written.
    pub fn scratch(&self) -> &Path {
        &self.partial
    }

    /// Whether a patient may be in two splits.
    pub fn shares_patients(&self) -> bool {
        self.options.shared_patients
    }

    /// Adds a skipped record to the manifest.
    pub fn skip(&mut self, place: impl Into<String>, cause: impl Into<String>) {
        self.skipped.push(Skipped { place: place.into(), cause: cause.into() });
    }

    /// Counts a change or a problem of records that were not skipped.
    pub fn note(&mut self, what: &str, count: u64) {
        *self.noted.entry(what.to_string()).or_default() += count;
    }

    /// Adds the single cases that [`Self::note`] counts.
    pub fn details(&mut self, what: &str, cases: Vec<Skipped>) {
        self.details.entry(what.to_string()).or_default().extend(cases);
    }

    /// Sets the purposes of the columns of the table, and further remarks about it, one sentence each.
    pub fn table(&mut self, columns: Vec<TableColumn>, remarks: Vec<String>) {
        (self.columns, self.remarks) = (columns, remarks);
    }

    /// Adds content that splits have in common to the manifest.
    pub fn overlap(&mut self, overlap: Overlap) {
        self.overlaps.push(overlap);
    }

    /// The number of records skipped so far.
    pub fn skipped(&self) -> usize {
        self.skipped.len()
    }

    /// Closes all files, writes the manifest and the card, and renames the hidden folder to its final name.
    ///
    /// # Errors
    /// When no record was written, or when a file cannot be written. Then there is no folder with the final name.
    pub fn finish(mut self) -> Result<Manifest, DataError> {
        for split in Split::ALL {
            self.close(split)?;
        }
        if self.finished.is_empty() {
            return Err(DataError::NothingUsable { skipped: self.skipped.len() });
        }
        for (splits, (count, examples)) in std::mem::take(&mut self.shared_patients) {
            self.overlaps.push(Overlap { of: Common::Patient, splits, count, removed: 0, examples });
        }
        let manifest = Manifest {
            format: FORMAT,
            source: self.options.source.clone(),
            dataset: self.options.dataset.clone(),
            made_by: MadeBy {
                arguments: self.options.arguments.clone(),
                version: env!("CARGO_PKG_VERSION").to_string(),
            },
            preprocessing: self.options.preprocessing.clone(),
            splits: std::mem::take(&mut self.counts),
            shards: std::mem::take(&mut self.finished).into_values().flatten().collect(),
            skipped: std::mem::take(&mut self.skipped),
            noted: std::mem::take(&mut self.noted),
            details: std::mem::take(&mut self.details),
            columns: std::mem::take(&mut self.columns),
            remarks: std::mem::take(&mut self.remarks),
            overlaps: std::mem::take(&mut self.overlaps),
        };
        self.publish(&manifest)?;
        Ok(manifest)
    }

    fn close(&mut self, split: Split) -> Result<(), DataError> {
        if let Some(shard) = self.open.remove(&split) {
            self.finished.entry(split).or_default().push(shard.close()?);
        }
        Ok(())
    }

    fn publish(&mut self, manifest: &Manifest) -> Result<(), DataError> {
        let path = self.partial.join(MANIFEST_FILE);
        let write = || -> io::Result<()> {
            let mut file = BufWriter::new(File::create(&path)?);
            serde_json::to_writer_pretty(&mut file, manifest)?;
            file.write_all(b"\n")?;
            file.into_inner()?.sync_all()
        };
        write().map_err(DataError::io("write", &path))?;
        let path = self.partial.join(CARD_FILE);
        let write = |path: &Path| -> io::Result<()> {
            let mut file = File::create(path)?;
            file.write_all(card::text(manifest, &self.options.about).as_bytes())?;
            file.sync_all()
        };
        write(&path).map_err(DataError::io("write", &path))?;
        let lock = self.partial.join(LOCK_FILE);
        fs::remove_file(&lock).map_err(DataError::io("remove", &lock))?;
        sync_folder(&self.partial).map_err(DataError::io("sync", &self.partial))?;
        if self.folder.exists() {
            // This removes only an empty folder: files that were put there in the meantime stay, and it is an error.
            fs::remove_dir(&self.folder).map_err(DataError::io("replace", &self.folder))?;
        }
        fs::rename(&self.partial, &self.folder).map_err(DataError::io("rename to", &self.folder))?;
        self.lock = None;
        sync_folder(parent(&self.folder)).map_err(DataError::io("sync", &self.folder))
    }
}

impl Drop for ShardWriter {
    fn drop(&mut self) {
        self.open.clear();
        if self.lock.is_some() {
            // An error cannot be reported from here. Remaining files are hidden, and the next writer of this folder removes them.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

fn partial_name(folder: &Path) -> Result<PathBuf, DataError> {
    let name = folder.file_name().ok_or_else(|| DataError::NotEmpty(folder.to_path_buf()))?;
    Ok(folder.with_file_name(format!(".{}.partial", name.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::tests::{record, write_folder};

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn records(count: usize) -> Vec<Record> {
        let split = |place: usize| Split::ALL[usize::from(place.is_multiple_of(4))];
        (0..count).map(|place| Record { split: split(place), ..record(&format!("r{place}")) }).collect()
    }

    #[test]
    fn equal_records_give_equal_bytes_and_bounded_files() {
        let here = tempfile::tempdir().unwrap();
        let options = WriterOptions { shard_bytes: 2_000, ..WriterOptions::new("test") };
        let write = |name: &str| {
            let mut writer = ShardWriter::create(&here.path().join(name), options.clone()).unwrap();
            records(300).into_iter().for_each(|record| writer.write(record).unwrap());
            writer.finish().unwrap()
        };
        let (first, second) = (write("a"), write("b"));
        assert_eq!(first, second);
        assert!(first.shards.len() > 4, "{}", first.shards.len());
        for shard in &first.shards {
            let bytes = fs::read(here.path().join("a").join(&shard.file)).unwrap();
            assert_eq!(bytes, fs::read(here.path().join("b").join(&shard.file)).unwrap());
            assert_eq!(bytes.len() as u64, shard.bytes);
            assert_eq!(format!("{:x}", Sha256::digest(&bytes)), shard.sha256);
        }
        assert_eq!(first.counts(Split::Train).records, 225);
        assert_eq!(first.counts(Split::Validate), Counts { records: 75, pairs: 75, patients: 75, ..Counts::default() });
        assert_eq!(names(here.path()), ["a", "b"]);
        assert!(!names(&here.path().join("a")).contains(&LOCK_FILE.to_string()));
    }

    #[test]
    fn a_failed_writer_leaves_no_files() {
        let here = tempfile::tempdir().unwrap();
        let out = here.path().join("out");
        let mut writer = ShardWriter::create(&out, WriterOptions::new("test")).unwrap();
        writer.write(record("a")).unwrap();
        assert!(matches!(writer.write(record("a")), Err(DataError::DuplicateId(id)) if id == "a"));
        let other = Record { patient: "a".into(), split: Split::Test, ..record("b") };
        let error = writer.write(other).unwrap_err().to_string();
        assert!(error.contains("patient `a` is in two splits: `train` and `test` (record `b`)"), "{error}");
        drop(writer);
        assert!(names(here.path()).is_empty());
        let error = ShardWriter::create(&out, WriterOptions::new("test")).unwrap().finish().unwrap_err().to_string();
        assert!(error.contains("no usable record was found"), "{error}");
        assert!(names(here.path()).is_empty());
    }

    #[test]
    fn a_folder_in_use_or_not_empty_is_refused_and_old_partial_files_are_removed() {
        let here = tempfile::tempdir().unwrap();
        let out = here.path().join("out");
        let writer = ShardWriter::create(&out, WriterOptions::new("test")).unwrap();
        assert!(matches!(ShardWriter::create(&out, WriterOptions::new("test")), Err(DataError::Busy(_))));
        drop(writer);
        let rest = here.path().join(".out.partial");
        fs::create_dir(&rest).unwrap();
        fs::write(rest.join("train-00007.parquet"), "of a killed process").unwrap();
        fs::create_dir(&out).unwrap();
        write_folder(&out, vec![record("a")]);
        assert_eq!(names(&out), [CARD_FILE, MANIFEST_FILE, "train-00000.parquet"]);
        assert!(matches!(ShardWriter::create(&out, WriterOptions::new("test")), Err(DataError::NotEmpty(_))));
        let file = here.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(ShardWriter::create(&file, WriterOptions::new("test")), Err(DataError::NotEmpty(_))));
    }
}
