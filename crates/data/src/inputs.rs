//! What a person names on a command line (files, folders, patterns, tables, shards) as one stream of records.

mod pending;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::error::DataError;
use crate::manifest::{MANIFEST_FILE, Manifest};
use crate::prepare::table::{Drafts, TableRows};
use crate::record::Split;
use crate::shard::ShardFolder;
use crate::source::Source;

use pending::Kind;
pub use pending::{LeftOut, Loaded, Pending};

/// Tables whose columns are told.
const SHOWN: usize = 10;

/// Endings of the files that a folder is searched for.
const IMAGES: [&str; 6] = ["png", "jpg", "jpeg", "tif", "tiff", "webp"];
const TEXTS: [&str; 1] = ["txt"];
const TABLES: [&str; 6] = ["csv", "tsv", "jsonl", "ndjson", "json", "parquet"];

/// Files, tables and shards, in the order in which they were named; those of a folder or pattern by their path.
pub struct Inputs {
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
    Table { path: PathBuf, rows: u64 },
    Shards { folder: PathBuf, shards: Arc<ShardFolder> },
}

impl Inputs {
    /// Finds what is named: a file; a folder of shards (the splits named, or all); any other folder, searched for images and
    /// `.txt` files; a pattern with `*`, `?` or `[`. A file named twice is taken once.
    ///
    /// # Errors
    /// When something named is not there, holds nothing, or is a table or folder of shards that cannot be used.
    pub fn find(names: &[PathBuf], splits: &[Split]) -> Result<Self, DataError> {
        Self::with_fields(names, splits, None)
    }

    /// [`Inputs::find`], of whose tables only these columns are kept as fields.
    ///
    /// # Errors
    /// As [`Inputs::find`], and when a table lacks such a column.
    pub fn with_fields(names: &[PathBuf], splits: &[Split], fields: Option<Vec<String>>) -> Result<Self, DataError> {
        let mut inputs = Self { parts: vec![], count: 0, fields, told: vec![], tables: 0 };
        let mut seen = HashSet::new();
        for name in names {
            let before = inputs.parts.len();
            if name.join(MANIFEST_FILE).is_file() {
                inputs.shards(name, splits)?;
            } else if name.is_dir() {
                for path in files_within(name)? {
                    inputs.file(path, &mut seen)?;
                }
            } else if name.exists() {
                inputs.file(name.clone(), &mut seen)?;
                continue;
            } else {
                for path in matching(name)? {
                    inputs.file(path, &mut seen)?;
                }
            }
            if inputs.parts.len() == before {
                return Err(nothing(name, "holds no file that is taken: images, `.txt`, tables, shards"));
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

    /// Number of inputs.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What the columns of tables are taken for, and what else is worth to be known of them, in lines for people.
    pub fn told(&self) -> &[String] {
        &self.told
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
        let manifest = Manifest::read(folder)?;
        let wanted = |split: &Split| match splits {
            [] => manifest.counts(*split).records > 0,
            _ => splits.contains(split),
        };
        for split in Split::ALL.into_iter().filter(wanted) {
            let shards = Arc::new(ShardFolder::open(folder, split)?);
            let count = shards.len() as u64;
            self.push(Part::Shards { folder: folder.into(), shards }, count);
        }
        Ok(())
    }

    /// SHA-256 over what would be read, so that work on it is only continued on the same: of files their names, sizes and
    /// times, of shards their hashes.
    ///
    /// # Errors
    /// When a file is not there any more.
    pub fn hash(&self) -> Result<String, DataError> {
        let mut hash = Sha256::new();
        hash.update(format!("{:?}\n", self.fields));
        for part in &self.parts {
            let line = match part {
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

    /// All inputs in order, from one on.
    pub fn stream(&self, from: u64) -> Stream<'_> {
        Stream { parts: self.parts.iter(), fields: self.fields.as_deref(), rows: None, shard: None, skip: from }
    }
}

/// Inputs one after another; an error ends it.
pub struct Stream<'a> {
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
                        let (table, has_split) = (path.clone(), drafts.has_split());
                        return Ok(Some(Pending(Kind::Row { table, draft: Box::new(draft), has_split })));
                    }
                    None => self.rows = None,
                }
            }
            if let Some((folder, shards, next)) = &mut self.shard {
                if *next < shards.len() {
                    let pending = Pending(Kind::Shard(folder.clone(), Arc::clone(shards), *next));
                    *next += 1;
                    return Ok(Some(pending));
                }
                self.shard = None;
            }
            match self.parts.next() {
                None => return Ok(None),
                Some(Part::Image(path)) => return Ok(Some(Pending(Kind::Image(path.clone())))),
                Some(Part::Text(path)) => return Ok(Some(Pending(Kind::Text(path.clone())))),
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

/// Images and texts in a folder and those below it, by path; hidden ones are left alone.
fn files_within(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let hidden = |entry: &walkdir::DirEntry| entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
    let mut files = vec![];
    for entry in
        WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter().filter_entry(|entry| !hidden(entry))
    {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_path_buf();
            DataError::io("read", &path)(error.into())
        })?;
        if entry.file_type().is_file() && (has_ending(entry.path(), &IMAGES) || has_ending(entry.path(), &TEXTS)) {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// Files that a pattern matches, by path.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, DataError> {
    let words = pattern.to_string_lossy();
    if !words.contains(['*', '?', '[']) {
        return Err(nothing(pattern, "is not there"));
    }
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let paths =
        glob::glob_with(&words, options).map_err(|error| nothing(pattern, &format!("is no pattern ({error})")))?;
    let files: Vec<PathBuf> = paths.flatten().filter(|path| path.is_file()).collect();
    match files.is_empty() {
        true => Err(nothing(pattern, "matches no file")),
        false => Ok(files),
    }
}

fn nothing(path: &Path, cause: &str) -> DataError {
    DataError::Input { path: path.to_path_buf(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::PictureAt;
    use crate::tests::{picture_record, png, write_folder};

    /// Ids of the inputs that load, names of those that do not.
    fn read(names: &[&Path], from: u64) -> (Vec<String>, Vec<LeftOut>) {
        let names: Vec<PathBuf> = names.iter().map(|name| name.to_path_buf()).collect();
        let inputs = Inputs::find(&names, &[]).unwrap();
        assert_eq!(inputs.stream(0).count() as u64, inputs.count());
        let (mut ids, mut left) = (vec![], vec![]);
        for pending in inputs.stream(from) {
            match pending.unwrap().load() {
                Ok(loaded) => ids.push(loaded.record.id.rsplit('/').next().unwrap().to_string()),
                Err(one) => left.push(one),
            }
        }
        (ids, left)
    }

    fn folder() -> tempfile::TempDir {
        let here = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = here.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        (0..3).for_each(|number| write(&format!("in/b{number}.png"), &png(number)));
        write("in/a/note.TXT", b" Clear lungs. \n");
        write("in/a/empty.txt", b"\n");
        write("in/.hidden.png", b"");
        write("in/readme.md", b"no input");
        write("s.csv", b"text,split\nOne.,dev\n");
        write("t.csv", b"id,image,text,age\nr1,in/b0.png,One.,7\nr2,in/absent.png,Two.,8\nr3,,Three.,9\n");
        let shards = ["s1", "s2", "s3"].map(|id| picture_record(id, 3));
        write_folder(&here.path().join("shards"), shards.to_vec());
        here
    }

    #[test]
    fn files_tables_and_shards_come_in_order_from_any_place() {
        let here = folder();
        let names = ["in", "t.csv", "shards"].map(|name| here.path().join(name));
        let names: Vec<&Path> = names.iter().map(PathBuf::as_path).collect();
        let (ids, left) = read(&names, 0);
        assert_eq!(ids, ["note.TXT", "b0.png", "b1.png", "b2.png", "r1", "r3", "s1", "s2", "s3"]);
        assert!(left[0].name.ends_with("empty.txt") && left[0].cause == "is empty", "{left:?}");
        assert!(left[1].name.ends_with("t.csv, line 3") && left[1].cause.contains("absent.png"), "{left:?}");
        assert_eq!((read(&names, 3).0, read(&names, 6).0.len()), (ids[2..].to_vec(), 4));
        assert_eq!((read(&names, 8).0, read(&names, 11).0), (ids[6..].to_vec(), vec![]));
    }

    #[test]
    fn labels_splits_and_pictures_come_along() {
        let here = folder();
        let load = |name: &str| {
            let inputs = Inputs::find(&[here.path().join(name)], &[Split::Train]).unwrap();
            inputs.stream(0).next().unwrap().unwrap().load().unwrap()
        };
        let row = load("t.csv");
        assert_eq!((row.record.fields[0].name.as_str(), row.split), ("age", None));
        assert_eq!(row.picture, Some(PictureAt::File(here.path().join("in/b0.png"))));
        let said = load("s.csv");
        assert_eq!(
            (said.split, said.path),
            (Some(Split::Validate), Some(here.path().join("s.csv").display().to_string()))
        );
        assert_eq!(row.path, Some(here.path().join("in/b0.png").display().to_string()));
        let shard = load("shards");
        assert_eq!(shard.path, None, "these records name no file");
        let at = PictureAt::Shards { folder: here.path().join("shards"), split: Split::Train, record: 0 };
        assert_eq!((shard.picture, shard.split), (Some(at), Some(Split::Train)));
    }

    #[test]
    fn a_pattern_takes_whatever_it_matches() {
        let here = folder();
        fs::write(here.path().join("in/text.png"), "words").unwrap();
        let (ids, left) = read(&[&here.path().join("in/*.png")], 0);
        assert_eq!((ids.len(), left.len()), (4, 0), "it is the decoder that knows an image from a text");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let here = folder();
        let fails = |name: &str, with: &str| {
            let path = here.path().join(name);
            let error = Inputs::find(std::slice::from_ref(&path), &[]).err().unwrap().to_string();
            assert!(error.contains(with) && error.contains(&path.display().to_string()), "{error}");
        };
        fails("nowhere", "is not there");
        fails("in/*.jpg", "matches no file");
        fs::create_dir(here.path().join("void")).unwrap();
        fails("void", "holds no file");
        assert!(Inputs::find(&[here.path().join("shards")], &[Split::Test]).is_err());
        assert!(Inputs::find(&[], &[]).err().unwrap().to_string().contains("there is none"));
    }

    #[test]
    fn other_files_have_another_hash() {
        let here = folder();
        let hash = || Inputs::find(&[here.path().join("in")], &[]).unwrap().hash().unwrap();
        let first = hash();
        assert_eq!(first, hash());
        fs::write(here.path().join("in/b1.png"), png(9)).unwrap();
        assert_ne!(first, hash());
    }
}
