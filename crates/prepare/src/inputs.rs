//! What a person names on a command line (files, folders, patterns, tables, shards) as one stream of records.

mod folder;
mod pattern;
mod pending;

use std::collections::HashSet;
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

use crate::table::{Drafts, TableRows};
use folder::Why;
use pattern::matching;
use pending::Kind;

/// Tables whose columns are told.
const SHOWN: usize = 10;

/// Endings by which a folder's files are known without a look into them.
const IMAGES: [&str; 6] = ["png", "jpg", "jpeg", "tif", "tiff", "webp"];
const TEXTS: [&str; 1] = ["txt"];
const TABLES: [&str; 6] = ["csv", "tsv", "jsonl", "ndjson", "json", "parquet"];

/// Files, tables and shards, in the order in which they were named; those of a folder or pattern by their path.
pub struct InputFiles {
    parts: Vec<Part>,
    count: u64,
    /// Columns of tables that are kept as fields; `None` for all that have no other use.
    fields: Option<Vec<String>>,
    /// What is told of tables.
    told: Vec<String>,
    tables: usize,
}

enum Part {
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
    /// What a folder or pattern holds besides, of which somebody may expect that it is taken.
    Left {
        path: PathBuf,
        why: Why,
    },
}

impl InputFiles {
    /// Finds what is named: a file; a folder of shards (the splits named, or all); any other folder, searched for images and
    /// `.txt` files; a pattern with `*`, `?` or `[`. A file named twice is taken once.
    ///
    /// Of a folder, a file is an image by its content, whatever its name. Its tables, notes (`.json`, `.md` and the like that
    /// hold text) and hidden files are no inputs and are told ([`InputFiles::told`]); all else is an input that is left out, with
    /// its cause.
    ///
    /// # Errors
    /// When something named is not there, holds nothing, or is a table or folder of shards that cannot be used.
    pub fn find(names: &[PathBuf], splits: &[Split]) -> Result<Self, DataError> {
        Self::with_fields(names, splits, None)
    }

    /// [`InputFiles::find`], of whose tables only these columns are kept as fields.
    ///
    /// # Errors
    /// As [`InputFiles::find`], and when a table lacks such a column.
    pub fn with_fields(names: &[PathBuf], splits: &[Split], fields: Option<Vec<String>>) -> Result<Self, DataError> {
        let mut inputs = Self { parts: vec![], count: 0, fields, told: vec![], tables: 0 };
        let mut seen = HashSet::new();
        for name in names {
            if name.join(MANIFEST_FILE).is_file() {
                inputs.shards(name, splits)?;
            } else if name.is_dir() {
                let (parts, beside) = folder::search(name)?;
                if parts.is_empty() {
                    return Err(beside.nothing());
                }
                inputs.told.extend(beside.lines());
                parts.into_iter().filter(|part| part.is_new(&mut seen)).for_each(|part| inputs.push(part, 1));
            } else if name.exists() {
                inputs.file(name.clone(), &mut seen)?;
            } else {
                let found = matching(name)?;
                inputs.told.extend(found.told);
                for path in found.files {
                    inputs.file(path, &mut seen)?;
                }
                found.left.into_iter().filter(|part| part.is_new(&mut seen)).for_each(|part| inputs.push(part, 1));
            }
        }
        if inputs.tables > SHOWN {
            inputs.told.push(format!("columns of {} more tables are found likewise", inputs.tables - SHOWN));
        }
        match inputs.count {
            0 => {
                Err(DataError::Setting { name: "inputs", cause: "there is none; name files, folders or shards".into() })
            }
            _ => Ok(inputs),
        }
    }

    /// What the columns of tables are taken for, what of folders is no input, and what else is worth to be known, in lines for
    /// people.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// Whether it is known, before anything is read, that no input has this modality.
    pub fn lack(&self, modality: Modality) -> bool {
        let mut usable = self.parts.iter().filter(|part| !matches!(part, Part::Left { .. })).peekable();
        usable.peek().is_some()
            && usable.all(|part| match part {
                Part::Image(_) => modality != Modality::Image,
                Part::Text(_) => modality != Modality::Text,
                Part::Table { .. } | Part::Shards { .. } | Part::Left { .. } => false,
            })
    }

    fn push(&mut self, part: Part, count: u64) {
        self.parts.push(part);
        self.count += count;
    }

    fn file(&mut self, path: PathBuf, seen: &mut HashSet<PathBuf>) -> Result<(), DataError> {
        if !seen.insert(path.clone()) {
            return Ok(());
        }
        if is_table(&path) {
            let (mut drafts, lines) = TableRows::embedded(&path, self.fields.as_deref())?;
            let mut rows = 0;
            while drafts.next()?.is_some() {
                rows += 1;
            }
            self.tables += 1;
            if self.tables <= SHOWN {
                self.told.extend(lines);
            }
            let told = drafts.told()?;
            self.told.extend(told.into_iter().map(|sentence| format!("{}: {sentence}", path.display())));
            self.push(Part::Table { path, rows }, rows);
        } else if has_ending(&path, &TEXTS) {
            self.push(Part::Text(path), 1);
        } else {
            self.push(Part::Image(path), 1);
        }
        Ok(())
    }

    fn shards(&mut self, folder: &Path, splits: &[Split]) -> Result<(), DataError> {
        let (manifest, before) = (Manifest::read(folder)?, self.count);
        let wanted = |split: &Split| match splits {
            [] => manifest.counts(*split).records > 0,
            _ => splits.contains(split),
        };
        for split in Split::ALL.into_iter().filter(wanted) {
            let shards = Arc::new(ShardFolder::open(folder, split)?);
            let count = shards.len() as u64;
            self.push(Part::Shards { folder: folder.into(), shards }, count);
        }
        match self.count == before {
            true => {
                Err(DataError::Input { path: folder.into(), cause: "holds no record; prepare its data again".into() })
            }
            false => Ok(()),
        }
    }
}

impl Inputs for InputFiles {
    fn count(&self) -> u64 {
        self.count
    }

    /// SHA-256: of files their names, sizes and times, of shards their hashes.
    fn hash(&self) -> Result<String, DataError> {
        let mut hash = Sha256::new();
        hash.update(format!("{:?}\n", self.fields));
        for part in &self.parts {
            let line = match part {
                Part::Left { path, .. } => format!("{}\0left out\n", path.display()),
                Part::Image(path) | Part::Text(path) | Part::Table { path, .. } => {
                    let about = fs::metadata(path).map_err(DataError::io("read", path))?;
                    let time = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                    format!("{}\0{}\0{:?}\n", path.display(), about.len(), time)
                }
                Part::Shards { folder, shards } => {
                    format!("{}\0{}\0{}\n", folder.display(), shards.split(), shards.manifest().hash())
                }
            };
            hash.update(line);
        }
        Ok(format!("{:x}", hash.finalize()))
    }

    fn stream(&self, from: u64) -> Box<dyn Iterator<Item = Result<Pending, DataError>> + '_> {
        let (parts, fields) = (self.parts.iter(), self.fields.as_deref());
        Box::new(Stream { parts, fields, rows: None, shard: None, skip: from })
    }
}

impl Part {
    /// Whether it is no file that was named before.
    fn is_new(&self, seen: &mut HashSet<PathBuf>) -> bool {
        match self {
            Self::Image(path) | Self::Text(path) | Self::Left { path, .. } => seen.insert(path.clone()),
            Self::Table { .. } | Self::Shards { .. } => true,
        }
    }
}

/// Inputs one after another; an error ends it.
struct Stream<'a> {
    parts: std::slice::Iter<'a, Part>,
    fields: Option<&'a [String]>,
    rows: Option<(PathBuf, TableRows)>,
    shard: Option<(PathBuf, Arc<ShardFolder>, usize)>,
    /// Inputs that are still to be passed over.
    skip: u64,
}

impl Stream<'_> {
    fn step(&mut self) -> Result<Option<Pending>, DataError> {
        loop {
            if let Some((path, drafts)) = &mut self.rows {
                match drafts.next()? {
                    Some(draft) => {
                        let (table, draft, has_split) = (path.clone(), Box::new(draft), drafts.has_split());
                        let images_are_found = drafts.images_are_found();
                        return Ok(Some(Kind::Row { table, draft, has_split, images_are_found }.pending()));
                    }
                    None => self.rows = None,
                }
            }
            if let Some((folder, shards, next)) = &mut self.shard {
                if *next < shards.len() {
                    let pending = Kind::Shard(folder.clone(), Arc::clone(shards), *next).pending();
                    *next += 1;
                    return Ok(Some(pending));
                }
                self.shard = None;
            }
            match self.parts.next() {
                None => return Ok(None),
                Some(Part::Image(path)) => return Ok(Some(Kind::Image(path.clone()).pending())),
                Some(Part::Text(path)) => return Ok(Some(Kind::Text(path.clone()).pending())),
                Some(Part::Left { path, why }) => return Ok(Some(Kind::Left(path.clone(), why.clone()).pending())),
                Some(Part::Table { path, rows }) => match self.skip.checked_sub(*rows) {
                    Some(rest) if *rows > 0 => self.skip = rest,
                    _ => self.rows = Some((path.clone(), TableRows::embedded(path, self.fields)?.0)),
                },
                Some(Part::Shards { folder, shards }) => {
                    let passed = self.skip.min(shards.len() as u64);
                    self.skip -= passed;
                    self.shard = Some((folder.clone(), Arc::clone(shards), passed as usize));
                }
            }
        }
    }
}

impl Iterator for Stream<'_> {
    type Item = Result<Pending, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Ok(Some(_)) if self.skip > 0 => self.skip -= 1,
                other => return other.transpose(),
            }
        }
    }
}

/// Whether a name is that of a table, which may be packed.
fn is_table(path: &Path) -> bool {
    let packed = has_ending(path, &["gz"]) && path.file_stem().is_some_and(|name| has_ending(Path::new(name), &TABLES));
    packed || has_ending(path, &TABLES)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|ending| endings.iter().any(|one| ending.eq_ignore_ascii_case(one)))
}

#[cfg(test)]
mod tests;
