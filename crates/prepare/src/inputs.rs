//! The inputs that the user names on the command line (files, folders, patterns, tables, shards), as one stream of records.

mod folder;
mod pattern;
mod pending;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use ptu_data::DataError;
use ptu_data::inputs::{Inputs, Pending};
use ptu_data::manifest::{MANIFEST_FILE, Manifest};
use ptu_data::record::Split;
use ptu_data::shard::ShardFolder;
use ptu_data::source::Source;
use ptu_data::vectors::Modality;
use sha2::{Digest, Sha256};

use crate::table::{DraftSource, TableCommand, TableRows};
use folder::SkipReason;
use pattern::match_pattern;
use pending::UnreadInput;

/// The columns of this many tables are reported; for more tables, only their number is.
const MAX_TABLES_REPORTED: usize = 10;

/// Extensions of the files of a folder that are recognised by their name alone, without reading the file.
const IMAGE_EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "tif", "tiff", "webp"];
const TEXT_EXTENSIONS: [&str; 1] = ["txt"];
const TABLE_EXTENSIONS: [&str; 6] = ["csv", "tsv", "jsonl", "ndjson", "json", "parquet"];

/// Files, tables and shards, in the order in which the user named them. The files of a folder or pattern are sorted by path.
pub struct InputFiles {
    sources: Vec<InputSource>,
    count: u64,
    /// Columns of tables that are kept as fields; `None` keeps all columns that have no other use.
    fields: Option<Vec<String>>,
    /// The command that reads the inputs; messages name its options.
    command: TableCommand,
    /// Sentences for the user, about tables and about files that are not read.
    notes: Vec<String>,
    table_count: usize,
}

/// Where one or more inputs come from.
enum InputSource {
    Image(PathBuf),
    Text(PathBuf),
    Table {
        path: PathBuf,
        rows: u64,
    },
    Shards {
        folder: PathBuf,
        shards: Arc<ShardFolder>,
    },
    /// A file of a folder or pattern that cannot be read. It counts as an input and is skipped with a reason, because the user
    /// may expect it to be used.
    Skipped {
        path: PathBuf,
        reason: SkipReason,
    },
}

impl InputFiles {
    /// Finds the inputs that the user named. A name can be a file, a folder of shards (only the given splits, or all splits if
    /// none is given), any other folder (searched for images and `.txt` files), or a pattern with `*`, `?` or `[`. A file that is
    /// named twice is used once.
    ///
    /// A file in a folder is recognised as an image by its content, whatever its name is. Tables, accompanying files (text files
    /// such as `.json` and `.md`) and hidden files in a folder are not inputs; they are reported ([`InputFiles::notes`]). Every
    /// other file in a folder is an input that is skipped with a reason.
    ///
    /// # Errors
    /// When a name does not exist, contains no input, or is a table or folder of shards that cannot be used or is empty.
    pub fn find(names: &[PathBuf], splits: &[Split]) -> Result<Self, DataError> {
        Self::find_for(TableCommand::Predict, names, splits, None)
    }

    /// Like [`InputFiles::find`], for the command `embed`: of the tables' columns only `fields` are kept as fields.
    ///
    /// # Errors
    /// As [`InputFiles::find`], and when a table has no column of such a name.
    pub fn with_fields(names: &[PathBuf], splits: &[Split], fields: Option<Vec<String>>) -> Result<Self, DataError> {
        Self::find_for(TableCommand::Embed, names, splits, fields)
    }

    fn find_for(
        command: TableCommand,
        names: &[PathBuf],
        splits: &[Split],
        fields: Option<Vec<String>>,
    ) -> Result<Self, DataError> {
        let mut inputs = Self { sources: vec![], count: 0, fields, command, notes: vec![], table_count: 0 };
        let mut seen = HashSet::new();
        for name in names {
            if name.join(MANIFEST_FILE).is_file() {
                inputs.add_shards(name, splits)?;
            } else if name.is_dir() {
                let (sources, unused) = folder::search(name)?;
                if sources.is_empty() {
                    return Err(unused.no_input_error());
                }
                inputs.notes.extend(unused.notes());
                sources.into_iter().filter(|source| source.is_new(&mut seen)).for_each(|source| inputs.push(source, 1));
            } else if name.exists() {
                inputs.add_file(name.clone(), &mut seen)?;
            } else {
                let matches = match_pattern(name)?;
                inputs.notes.extend(matches.note);
                for path in matches.files {
                    inputs.add_file(path, &mut seen)?;
                }
                let skipped = matches.skipped.into_iter();
                skipped.filter(|source| source.is_new(&mut seen)).for_each(|source| inputs.push(source, 1));
            }
        }
        if inputs.table_count > MAX_TABLES_REPORTED {
            let more = inputs.table_count - MAX_TABLES_REPORTED;
            inputs.notes.push(format!("{more} more tables are read; their columns are found in the same way"));
        }
        match inputs.count {
            0 => {
                Err(DataError::Setting { name: "inputs", cause: "none is given; name files, folders or shards".into() })
            }
            _ => Ok(inputs),
        }
    }

    /// Lines for the user: the purpose of each column of the tables, the files of folders that are not inputs, and other notes.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// True if no input has this modality, as far as this is known before the inputs are read.
    pub fn lacks(&self, modality: Modality) -> bool {
        let is_usable = |source: &&InputSource| !matches!(source, InputSource::Skipped { .. });
        let mut usable = self.sources.iter().filter(is_usable).peekable();
        usable.peek().is_some()
            && usable.all(|source| match source {
                InputSource::Image(_) => modality != Modality::Image,
                InputSource::Text(_) => modality != Modality::Text,
                InputSource::Table { .. } | InputSource::Shards { .. } | InputSource::Skipped { .. } => false,
            })
    }

    fn push(&mut self, source: InputSource, count: u64) {
        self.sources.push(source);
        self.count += count;
    }

    /// Adds one file, unless `seen` has it already. The rows of a table are counted.
    fn add_file(&mut self, path: PathBuf, seen: &mut HashSet<PathBuf>) -> Result<(), DataError> {
        if !seen.insert(path.clone()) {
            return Ok(());
        }
        if is_table(&path) {
            let (mut drafts, lines) = TableRows::open_as_inputs(&path, self.fields.as_deref(), self.command)?;
            let mut rows = 0;
            while drafts.next()?.is_some() {
                rows += 1;
            }
            if rows == 0 {
                let cause = "has no rows after its header; fill it, or name another file".into();
                return Err(DataError::Input { path, cause });
            }
            self.table_count += 1;
            if self.table_count <= MAX_TABLES_REPORTED {
                self.notes.extend(lines);
            }
            let notes = drafts.remarks()?;
            self.notes.extend(notes.into_iter().map(|sentence| format!("{}: {sentence}", path.display())));
            self.push(InputSource::Table { path, rows }, rows);
        } else if has_extension(&path, &TEXT_EXTENSIONS) {
            self.push(InputSource::Text(path), 1);
        } else {
            self.push(InputSource::Image(path), 1);
        }
        Ok(())
    }

    /// Adds the records of a folder of shards: those of `splits`, or of all splits that have records if `splits` is empty.
    fn add_shards(&mut self, folder: &Path, splits: &[Split]) -> Result<(), DataError> {
        let (manifest, before) = (Manifest::read(folder)?, self.count);
        let wanted = |split: &Split| match splits {
            [] => manifest.counts(*split).records > 0,
            _ => splits.contains(split),
        };
        for split in Split::ALL.into_iter().filter(wanted) {
            let shards = Arc::new(ShardFolder::open(folder, split)?);
            let count = shards.len() as u64;
            self.push(InputSource::Shards { folder: folder.into(), shards }, count);
        }
        match self.count == before {
            true => {
                Err(DataError::Input { path: folder.into(), cause: "has no records; prepare its data again".into() })
            }
            false => Ok(()),
        }
    }
}

impl Inputs for InputFiles {
    fn count(&self) -> u64 {
        self.count
    }

    /// SHA-256 over the name, size and modification time of each file, and over the hash of each folder of shards.
    fn hash(&self) -> Result<String, DataError> {
        let mut hash = Sha256::new();
        hash.update(format!("{:?}\n", self.fields));
        for source in &self.sources {
            let line = match source {
                InputSource::Skipped { path, .. } => format!("{}\0left out\n", path.display()),
                InputSource::Image(path) | InputSource::Text(path) | InputSource::Table { path, .. } => {
                    let metadata = fs::metadata(path).map_err(DataError::io("read", path))?;
                    let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                    format!("{}\0{}\0{:?}\n", path.display(), metadata.len(), time)
                }
                InputSource::Shards { folder, shards } => {
                    format!("{}\0{}\0{}\n", folder.display(), shards.split(), shards.manifest().hash())
                }
            };
            hash.update(line);
        }
        Ok(format!("{:x}", hash.finalize()))
    }

    fn stream(&self, from: u64) -> Box<dyn Iterator<Item = Result<Pending, DataError>> + '_> {
        let (sources, fields) = (self.sources.iter(), self.fields.as_deref());
        Box::new(InputStream { sources, fields, command: self.command, rows: None, shard: None, skip: from })
    }
}

impl InputSource {
    /// True if this source is not in `seen` yet; a file is added to `seen`.
    fn is_new(&self, seen: &mut HashSet<PathBuf>) -> bool {
        match self {
            Self::Image(path) | Self::Text(path) | Self::Skipped { path, .. } => seen.insert(path.clone()),
            Self::Table { .. } | Self::Shards { .. } => true,
        }
    }
}

/// Iterates over the inputs.
struct InputStream<'a> {
    /// Sources that are not started yet.
    sources: std::slice::Iter<'a, InputSource>,
    fields: Option<&'a [String]>,
    command: TableCommand,
    /// The table that is being read.
    rows: Option<(PathBuf, TableRows)>,
    /// The shards that are being read, and the next record.
    shard: Option<(PathBuf, Arc<ShardFolder>, usize)>,
    /// Number of inputs that still have to be skipped before the first one is returned.
    skip: u64,
}

impl InputStream<'_> {
    /// The next input. While `skip` is large enough, whole tables and records of shards are skipped without reading them.
    fn next_input(&mut self) -> Result<Option<Pending>, DataError> {
        loop {
            if let Some((path, drafts)) = &mut self.rows {
                match drafts.next()? {
                    Some(draft) => {
                        let (table, draft, has_split) = (path.clone(), Box::new(draft), drafts.has_split());
                        let images_can_be_reread = drafts.images_can_be_reread();
                        let row = UnreadInput::Row { table, draft, has_split, images_can_be_reread };
                        return Ok(Some(row.into_pending()));
                    }
                    None => self.rows = None,
                }
            }
            if let Some((folder, shards, next)) = &mut self.shard {
                if *next < shards.len() {
                    let pending = UnreadInput::Shard(folder.clone(), Arc::clone(shards), *next).into_pending();
                    *next += 1;
                    return Ok(Some(pending));
                }
                self.shard = None;
            }
            let input = match self.sources.next() {
                None => return Ok(None),
                Some(InputSource::Image(path)) => UnreadInput::Image(path.clone()),
                Some(InputSource::Text(path)) => UnreadInput::Text(path.clone()),
                Some(InputSource::Skipped { path, reason }) => UnreadInput::Skipped(path.clone(), reason.clone()),
                Some(InputSource::Table { path, rows }) => {
                    match self.skip.checked_sub(*rows) {
                        Some(rest) if *rows > 0 => self.skip = rest,
                        _ => {
                            self.rows =
                                Some((path.clone(), TableRows::open_as_inputs(path, self.fields, self.command)?.0))
                        }
                    }
                    continue;
                }
                Some(InputSource::Shards { folder, shards }) => {
                    let skipped = self.skip.min(shards.len() as u64);
                    self.skip -= skipped;
                    self.shard = Some((folder.clone(), Arc::clone(shards), skipped as usize));
                    continue;
                }
            };
            return Ok(Some(input.into_pending()));
        }
    }
}

impl Iterator for InputStream<'_> {
    type Item = Result<Pending, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_input() {
                Ok(Some(_)) if self.skip > 0 => self.skip -= 1,
                other => return other.transpose(),
            }
        }
    }
}

/// True if the extension is that of a table, also before `.gz`.
fn is_table(path: &Path) -> bool {
    let is_compressed_table = |name: &OsStr| has_extension(Path::new(name), &TABLE_EXTENSIONS);
    let is_compressed = has_extension(path, &["gz"]) && path.file_stem().is_some_and(is_compressed_table);
    is_compressed || has_extension(path, &TABLE_EXTENSIONS)
}

/// True if the path has one of these extensions, in upper or lower case.
fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|found| extensions.iter().any(|extension| found.eq_ignore_ascii_case(extension)))
}

#[cfg(test)]
mod tests;
