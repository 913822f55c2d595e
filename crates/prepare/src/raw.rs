//! A download as it came: a folder, an archive, or a folder with archives and gzipped files in it.
//!
//! Names are looked up as written, then without regard to case, also within one folder more than the layout has, and inside of
//! `.zip`, `.tgz`, `.tar.gz` and `.tar` files, whether their contents begin with a folder or not. Nothing outside of the
//! download is ever reached: members that climb, and links, are passed over.

mod archive;
pub(crate) mod encoded;
mod ends;
mod json_items;
pub(crate) mod json_lines;
mod json_text;
pub(crate) mod lines;
mod parquet;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod separated;
mod survey;
mod text;
mod utf16;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use ptu_data::DataError;
use ptu_data::files::{self, Unread};
use ptu_input::FileForm;
use serde_json::Value;
use walkdir::WalkDir;

use archive::Zip;
use text::Counted;

/// Levels of folders that are searched for archives.
const DEPTH: usize = 3;

/// Folders within the named one that may stand for it.
const FOLDERS: usize = 50;

/// How many times larger than its packed form a file may be. Tables of blanks reach 30; a bomb reaches 1,000.
const EXPANSION: u64 = 200;

/// The largest JSON file that is read at once, in bytes.
const JSON_LIMIT: u64 = 512 << 20;

/// What a small packed file may unpack to in any case.
const EXPANSION_FLOOR: u64 = 16 << 20;

/// A download.
#[derive(Debug)]
pub struct Raw {
    root: PathBuf,
    mounts: Vec<Mount>,
    /// Names in lower case of the folders that were looked into, with the names as they are.
    folders: Mutex<HashMap<PathBuf, Arc<HashMap<String, String>>>>,
}

/// Where a part of the layout lies: names that begin with `prefix` are `inner` and the rest of the name there.
#[derive(Debug)]
struct Mount {
    prefix: String,
    tree: Tree,
    inner: String,
}

#[derive(Clone, Debug)]
enum Tree {
    Folder(PathBuf),
    Zip(Arc<Zip>),
}

/// A file of a download.
#[derive(Clone, Debug)]
pub struct Entry {
    place: Place,
    gzipped: bool,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Member(Arc<Zip>, usize),
}

impl Raw {
    /// Opens a folder or an archive. Archives that must be read from front to end (`.tgz`, `.tar.gz`, `.tar`) are unpacked to
    /// `scratch`, but only those whose name begins with one of `tars`.
    ///
    /// # Errors
    /// When it is not there, when an archive cannot be read, or when `scratch` cannot be written.
    pub fn open(path: &Path, tars: &[&str], scratch: &Path) -> Result<Self, DataError> {
        let about = fs::metadata(path).map_err(DataError::io("open", path))?;
        let mut raw = Self { root: path.to_path_buf(), mounts: vec![], folders: Mutex::default() };
        if about.is_file() {
            let tree = Tree::archive(path, scratch)?.ok_or_else(|| DataError::Input {
                path: path.to_path_buf(),
                cause: "is neither a folder nor a `.zip`, `.tgz`, `.tar.gz` or `.tar` file".into(),
            })?;
            raw.mount("", tree, scratch)?;
            return Ok(raw);
        }
        let mut bases = vec![path.to_path_buf()];
        let inner = subfolders(path)?;
        if let [only] = inner.as_slice() {
            bases.extend(subfolders(only)?.into_iter().take(FOLDERS));
        }
        bases.extend(inner.into_iter().take(FOLDERS));
        raw.mounts.extend(bases.iter().map(|base| Mount::new("", Tree::Folder(base.clone()), "")));
        for found in archives(path) {
            let name = found.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_zip = name.to_ascii_lowercase().ends_with(".zip");
            if !is_zip && !tars.iter().any(|tar| name.starts_with(tar)) {
                continue;
            }
            let Some(tree) = Tree::archive(&found, scratch)? else { continue };
            let folder = found.parent().unwrap_or(path);
            for base in bases.iter().filter_map(|base| folder.strip_prefix(base).ok()) {
                raw.mount(&slashed(base), tree.clone(), scratch)?;
            }
        }
        Ok(raw)
    }

    /// Mounts an archive where it lies, and as the folder that its name names; its own top folder counts for it too.
    fn mount(&mut self, prefix: &str, tree: Tree, scratch: &Path) -> Result<(), DataError> {
        let mut inner = vec![String::new()];
        inner.extend(tree.top_folders()?.into_iter().take(FOLDERS));
        let stem = tree.stem();
        for inner in &inner {
            self.mounts.push(Mount::new(prefix, tree.clone(), inner));
            self.mounts.push(Mount::new(&format!("{prefix}{stem}/"), tree.clone(), inner));
        }
        if let Tree::Zip(zip) = &tree {
            for (name, file) in zip.nested(scratch)? {
                let folder = name.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
                let below =
                    inner.iter().filter_map(|inner| folder.strip_prefix(inner.as_str())).next_back().unwrap_or("");
                let prefix = format!("{prefix}{below}");
                self.mount(&prefix, Tree::Zip(Arc::new(Zip::open(&file)?)), scratch)?;
            }
        }
        Ok(())
    }

    /// Where the download lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The first of these names that is there, as it is or gzipped.
    pub fn find(&self, names: &[&str]) -> Option<Entry> {
        // Folders are only listed where no name is there as it is written.
        [true, false].into_iter().find_map(|exact| names.iter().find_map(|name| self.one(name, exact)))
    }

    /// As [`Raw::find`], when it must be there.
    ///
    /// # Errors
    /// When none of the names is.
    pub fn need(&self, names: &[&str]) -> Result<Entry, DataError> {
        self.find(names).ok_or_else(|| self.lacks(&[names]))
    }

    /// Refuses a download in which files are missing; each must be there under one of its names.
    ///
    /// # Errors
    /// Names all that are missing.
    pub fn require(&self, files: &[&[&str]]) -> Result<(), DataError> {
        let missing: Vec<_> = files.iter().copied().filter(|names| self.find(names).is_none()).collect();
        if missing.is_empty() { Ok(()) } else { Err(self.lacks(&missing)) }
    }

    fn lacks(&self, files: &[&[&str]]) -> DataError {
        self.without(files.iter().map(|names| format!("`{}`", names.join("` or `"))).collect())
    }

    /// What to say of a download that is not laid out so.
    pub fn without(&self, missing: Vec<String>) -> DataError {
        let parquet = ["data", ""].iter().any(|folder| !self.list(folder, ".parquet").is_empty());
        DataError::Layout { path: self.root.clone(), missing, parquet }
    }

    fn one(&self, name: &str, exact: bool) -> Option<Entry> {
        if !is_plain(name) {
            return None;
        }
        let gzipped = format!("{name}.gz");
        let within = |name: &str| {
            self.mounts.iter().find_map(|mount| {
                let rest = name.strip_prefix(mount.prefix.as_str())?;
                self.place(&mount.tree, &format!("{}{rest}", mount.inner), exact)
            })
        };
        let plain = within(name).map(|place| Entry { place, gzipped: false });
        plain.or_else(|| within(&gzipped).map(|place| Entry { place, gzipped: true }))
    }

    fn place(&self, tree: &Tree, name: &str, exact: bool) -> Option<Place> {
        match tree {
            Tree::Zip(zip) => zip.find(name, exact).map(|index| Place::Member(Arc::clone(zip), index)),
            Tree::Folder(folder) if exact => {
                let path = folder.join(name);
                path.is_file().then_some(Place::File(path))
            }
            Tree::Folder(folder) => {
                let mut path = folder.clone();
                for part in name.split('/') {
                    let names = self.names(&path);
                    path.push(names.get(&part.to_lowercase())?);
                }
                path.is_file().then_some(Place::File(path))
            }
        }
    }

    /// Names of a folder by their lower case; empty where it cannot be listed.
    fn names(&self, folder: &Path) -> Arc<HashMap<String, String>> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let list = || {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            Arc::new(names.map(|name| (name.to_lowercase(), name)).collect())
        };
        Arc::clone(folders.entry(folder.to_path_buf()).or_insert_with(list))
    }

    /// Files right in a folder of the layout whose names end so, by name; the first place that has any counts.
    pub fn list(&self, folder: &str, ending: &str) -> BTreeMap<String, Entry> {
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        for mount in &self.mounts {
            let Some(rest) = folder.strip_prefix(mount.prefix.as_str()) else { continue };
            let inner = format!("{}{rest}", mount.inner);
            let found: BTreeMap<String, Entry> = match &mount.tree {
                Tree::Zip(zip) => {
                    let member = |(name, index)| (name, Place::Member(Arc::clone(zip), index));
                    entries(zip.within(&inner).map(member), ending)
                }
                Tree::Folder(base) => {
                    let files = fs::read_dir(base.join(&inner)).into_iter().flatten().flatten();
                    let file =
                        |file: fs::DirEntry| Some((file.file_name().into_string().ok()?, Place::File(file.path())));
                    entries(files.filter_map(file), ending)
                }
            };
            if !found.is_empty() {
                return found;
            }
        }
        BTreeMap::new()
    }
}

fn entries(found: impl Iterator<Item = (String, Place)>, ending: &str) -> BTreeMap<String, Entry> {
    let wanted = found.filter(|(name, _)| name.ends_with(ending));
    wanted.map(|(name, place)| (name, Entry { place, gzipped: false })).collect()
}

impl Mount {
    fn new(prefix: &str, tree: Tree, inner: &str) -> Self {
        Self { prefix: prefix.to_string(), tree, inner: inner.to_string() }
    }
}

impl Tree {
    /// `None` for a file that is no archive.
    fn archive(path: &Path, scratch: &Path) -> Result<Option<Self>, DataError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if name.ends_with(".zip") {
            return Ok(Some(Self::Zip(Arc::new(Zip::open(path)?))));
        }
        match archive::is_tar(&name) {
            true => Ok(Some(Self::Folder(archive::unpack(path, scratch)?))),
            false => Ok(None),
        }
    }

    fn stem(&self) -> String {
        let path = match self {
            Self::Folder(path) => path,
            Self::Zip(zip) => zip.path(),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.strip_suffix(".zip").unwrap_or(&name).to_string()
    }

    /// Names of the outermost folders, each with a slash at its end.
    fn top_folders(&self) -> Result<Vec<String>, DataError> {
        Ok(match self {
            Self::Folder(path) => subfolders(path)?
                .iter()
                .filter_map(|folder| Some(format!("{}/", folder.file_name()?.to_str()?)))
                .collect(),
            Self::Zip(zip) => zip.top_folders(),
        })
    }
}

impl Entry {
    /// A file that was named by itself.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::File(path.into()), gzipped: false }
    }

    /// A file that was named by itself, packed with gzip.
    pub fn gzipped(path: impl Into<PathBuf>) -> Self {
        Self { gzipped: true, ..Self::file(path) }
    }

    /// Where it lies, for messages.
    pub fn path(&self) -> PathBuf {
        match &self.place {
            Place::File(path) => path.clone(),
            Place::Member(zip, index) => zip.path().join(zip.name(*index)),
        }
    }

    /// Its name without folders.
    pub fn name(&self) -> String {
        self.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Its bytes, unpacked.
    ///
    /// # Errors
    /// When it is not there, larger than `limit`, or damaged.
    pub fn bytes(&self, limit: u64) -> Result<Vec<u8>, Unread> {
        if let (Place::File(path), false) = (&self.place, self.gzipped) {
            return files::read_bounded(path, limit);
        }
        let mut bytes = vec![];
        let read = self.reader(Arc::default()).and_then(|reader| reader.take(limit + 1).read_to_end(&mut bytes));
        read.map_err(|error| Unread::Because(format!("cannot be read ({error})")))?;
        if bytes.len() as u64 > limit { Err(files::too_large(limit)) } else { Ok(bytes) }
    }

    /// Its text, from front to end, unpacked.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, DataError> {
        self.counted(Arc::default())
    }

    /// As [`Entry::open`]; adds to `read` how many bytes were read of it as it lies there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn counted(&self, read: Arc<AtomicU64>) -> Result<Box<dyn Read + Send>, DataError> {
        self.reader(read).map_err(|source| DataError::Io { action: "open", path: self.path(), source })
    }

    /// Size in bytes as it lies there.
    pub fn size(&self) -> u64 {
        match &self.place {
            Place::File(path) => fs::metadata(path).map_or(0, |about| about.len()),
            Place::Member(zip, index) => zip.size(*index),
        }
    }

    fn reader(&self, read: Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
        let packed: Box<dyn Read + Send> = match &self.place {
            Place::File(path) if !fs::metadata(path)?.is_file() => return Err(io::Error::other("it is no file")),
            Place::File(path) => Box::new(File::open(path)?),
            Place::Member(zip, index) => Box::new(zip.reader(*index)?),
        };
        let packed = Counted { reader: packed, read };
        Ok(match self.gzipped {
            true => Box::new(Guarded { reader: MultiGzDecoder::new(packed), left: most_unpacked(self.size()) }),
            false => Box::new(packed),
        })
    }
}

/// A whole JSON file.
///
/// # Errors
/// When it cannot be read, or is no JSON.
pub(crate) fn json(entry: &Entry) -> Result<Value, DataError> {
    let wrong = |cause: String| DataError::Input { path: entry.path(), cause };
    let bytes = entry.bytes(JSON_LIMIT).map_err(|unread| wrong(unread.cause()))?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(text).map_err(|error| match FileForm::of(text) {
        FileForm::Text | FileForm::Unknown => wrong(format!("is no JSON ({error}); was the download cut off?")),
        form => wrong(format!("is {form}, no JSON; {}", form.cure())),
    })
}

/// A JSON file that holds a list.
///
/// # Errors
/// As [`json`], and when it is none.
pub(crate) fn json_list(entry: &Entry) -> Result<Vec<Value>, DataError> {
    match json(entry)? {
        Value::Array(items) => Ok(items),
        _ => Err(DataError::Input {
            path: entry.path(),
            cause: "is no list; is it of another version of the data set?".into(),
        }),
    }
}

fn most_unpacked(packed: u64) -> u64 {
    packed.saturating_mul(EXPANSION).max(EXPANSION_FLOOR)
}

/// Stops a file that unpacks to far more than it is.
struct Guarded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::other(format!("it unpacks to more than {EXPANSION} times its size; is it a zip bomb?"))
        })?;
        Ok(read)
    }
}

/// Whether a name only goes down.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['\\', '\0'])
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

fn slashed(path: &Path) -> String {
    path.components().map(|part| format!("{}/", part.as_os_str().to_string_lossy())).collect()
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).map_err(DataError::io("list", folder))? {
        let entry = entry.map_err(DataError::io("list", folder))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn archives(folder: &Path) -> Vec<PathBuf> {
    let files = WalkDir::new(folder).max_depth(DEPTH).sort_by_file_name().into_iter().flatten();
    let is_archive = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        name.ends_with(".zip") || archive::is_tar(&name)
    };
    files
        .filter(|file| file.file_type().is_file() && is_archive(file.path()))
        .map(walkdir::DirEntry::into_path)
        .collect()
}

#[cfg(test)]
mod tests;
