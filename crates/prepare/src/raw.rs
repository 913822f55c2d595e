//! A download in the form in which it was published: a folder, an archive, or a folder with archives and gzipped files in it.
//!
//! A name is first searched exactly as it is written, then without regard to upper and lower case. It is also found one folder
//! deeper than the layout says, and inside `.zip`, `.tgz`, `.tar.gz` and `.tar` files, whether or not their contents are in a
//! folder of their own. No file outside the download is ever read: links, and members of archives whose paths lead outside
//! (`..`), are skipped.

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
use text::CountingReader;

/// The number of folder levels that are searched for archives.
const ARCHIVE_SEARCH_DEPTH: usize = 3;

/// The largest number of subfolders in which the files of the layout are searched, too.
const MAX_FOLDERS: usize = 50;

/// How many times larger than its packed form a file may be. Tables of blanks reach 30; a zip bomb reaches 1,000.
const MAX_EXPANSION: u64 = 200;

/// The largest JSON file that is read as a whole, in bytes.
const JSON_LIMIT: u64 = 512 << 20;

/// The unpacked size that is always allowed, in bytes, even if the packed file is small.
const MIN_UNPACKED_LIMIT: u64 = 16 << 20;

/// A download, in which files are found by their names in the layout.
#[derive(Debug)]
pub struct Raw {
    root: PathBuf,
    mounts: Vec<Mount>,
    /// The listings of folders: for each folder, the names in lower case with the names as they are.
    folders: Mutex<HashMap<PathBuf, Arc<HashMap<String, String>>>>,
}

/// Maps a part of the layout to a folder or an archive: a name that begins with `prefix` is found in `tree`, with `inner` in
/// place of the prefix.
#[derive(Debug)]
struct Mount {
    prefix: String,
    tree: Tree,
    inner: String,
}

/// A folder or a zip file, in which files are found by their relative paths.
#[derive(Clone, Debug)]
enum Tree {
    Folder(PathBuf),
    Zip(Arc<Zip>),
}

/// A file of a download.
#[derive(Clone, Debug)]
pub struct Entry {
    location: FileLocation,
    gzipped: bool,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
enum FileLocation {
    /// In a file on the disk.
    File(PathBuf),
    /// In a zip file, as the member with this index.
    Member(Arc<Zip>, usize),
}

impl Raw {
    /// Opens a folder or an archive. Tar archives (`.tgz`, `.tar.gz`, `.tar`) can only be read from the beginning to the end, so
    /// they are unpacked to `scratch`. Of those in a folder, only archives whose name begins with one of `tars` are unpacked.
    ///
    /// # Errors
    /// When `path` does not exist, when an archive cannot be read, or when `scratch` cannot be written.
    pub fn open(path: &Path, tars: &[&str], scratch: &Path) -> Result<Self, DataError> {
        let metadata = fs::metadata(path).map_err(DataError::io("open", path))?;
        let mut raw = Self { root: path.to_path_buf(), mounts: vec![], folders: Mutex::default() };
        if metadata.is_file() {
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
            bases.extend(subfolders(only)?.into_iter().take(MAX_FOLDERS));
        }
        bases.extend(inner.into_iter().take(MAX_FOLDERS));
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
                raw.mount(&folder_prefix(base), tree.clone(), scratch)?;
            }
        }
        Ok(raw)
    }

    /// Makes the contents of an archive available in the folder of the archive, and in a folder with the name of the archive. If
    /// the archive has top folders, their contents are available in the same way.
    fn mount(&mut self, prefix: &str, tree: Tree, scratch: &Path) -> Result<(), DataError> {
        let mut inner = vec![String::new()];
        inner.extend(tree.top_folders()?.into_iter().take(MAX_FOLDERS));
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

    /// The path with which the download was opened.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The first of these names for which there is a file, either unpacked or gzipped.
    pub fn find(&self, names: &[&str]) -> Option<Entry> {
        // Folders are only listed if no file has exactly one of these names.
        [true, false].into_iter().find_map(|exact| names.iter().find_map(|name| self.find_one(name, exact)))
    }

    /// Like [`Raw::find`], for a file that must exist.
    ///
    /// # Errors
    /// When there is no file with one of these names.
    pub fn need(&self, names: &[&str]) -> Result<Entry, DataError> {
        self.find(names).ok_or_else(|| self.missing_files(&[names]))
    }

    /// Checks that all files exist, each with one of its names.
    ///
    /// # Errors
    /// When files are missing; the error names all of them.
    pub fn require(&self, files: &[&[&str]]) -> Result<(), DataError> {
        let missing: Vec<_> = files.iter().copied().filter(|names| self.find(names).is_none()).collect();
        if missing.is_empty() { Ok(()) } else { Err(self.missing_files(&missing)) }
    }

    fn missing_files(&self, files: &[&[&str]]) -> DataError {
        self.without(files.iter().map(|names| format!("`{}`", names.join("` or `"))).collect())
    }

    /// The error for a download in which these parts of the layout are missing.
    pub fn without(&self, missing: Vec<String>) -> DataError {
        let parquet = ["data", ""].iter().any(|folder| !self.list(folder, ".parquet").is_empty());
        DataError::Layout { path: self.root.clone(), missing, parquet }
    }

    fn find_one(&self, name: &str, exact: bool) -> Option<Entry> {
        if !is_safe_name(name) {
            return None;
        }
        let gzipped = format!("{name}.gz");
        let within = |name: &str| {
            self.mounts.iter().find_map(|mount| {
                let rest = name.strip_prefix(mount.prefix.as_str())?;
                self.locate(&mount.tree, &format!("{}{rest}", mount.inner), exact)
            })
        };
        let plain = within(name).map(|location| Entry { location, gzipped: false });
        plain.or_else(|| within(&gzipped).map(|location| Entry { location, gzipped: true }))
    }

    fn locate(&self, tree: &Tree, name: &str, exact: bool) -> Option<FileLocation> {
        match tree {
            Tree::Zip(zip) => zip.find(name, exact).map(|index| FileLocation::Member(Arc::clone(zip), index)),
            Tree::Folder(folder) if exact => {
                let path = folder.join(name);
                path.is_file().then_some(FileLocation::File(path))
            }
            Tree::Folder(folder) => {
                let mut path = folder.clone();
                for part in name.split('/') {
                    let names = self.names(&path);
                    path.push(names.get(&part.to_lowercase())?);
                }
                path.is_file().then_some(FileLocation::File(path))
            }
        }
    }

    /// The names in a folder, with the names in lower case as keys; empty if the folder cannot be listed.
    fn names(&self, folder: &Path) -> Arc<HashMap<String, String>> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let list = || {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            Arc::new(names.map(|name| (name.to_lowercase(), name)).collect())
        };
        Arc::clone(folders.entry(folder.to_path_buf()).or_insert_with(list))
    }

    /// The files directly in a folder of the layout whose names end with `ending`, sorted by name. If the folder exists in several
    /// places, the first place with such files is used.
    pub fn list(&self, folder: &str, ending: &str) -> BTreeMap<String, Entry> {
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        for mount in &self.mounts {
            let Some(rest) = folder.strip_prefix(mount.prefix.as_str()) else { continue };
            let inner = format!("{}{rest}", mount.inner);
            let found: BTreeMap<String, Entry> = match &mount.tree {
                Tree::Zip(zip) => {
                    let member = |(name, index)| (name, FileLocation::Member(Arc::clone(zip), index));
                    entries(zip.files_in(&inner).map(member), ending)
                }
                Tree::Folder(base) => {
                    let files = fs::read_dir(base.join(&inner)).into_iter().flatten().flatten();
                    let file = |file: fs::DirEntry| {
                        Some((file.file_name().into_string().ok()?, FileLocation::File(file.path())))
                    };
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

/// Those files whose names end with `ending`.
fn entries(found: impl Iterator<Item = (String, FileLocation)>, ending: &str) -> BTreeMap<String, Entry> {
    let wanted = found.filter(|(name, _)| name.ends_with(ending));
    wanted.map(|(name, location)| (name, Entry { location, gzipped: false })).collect()
}

impl Mount {
    fn new(prefix: &str, tree: Tree, inner: &str) -> Self {
        Self { prefix: prefix.to_string(), tree, inner: inner.to_string() }
    }
}

impl Tree {
    /// Opens an archive; `None` for a file that is not an archive.
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

    /// The names of the top folders, each with a slash at its end.
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
    /// A file that is given by its path.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { location: FileLocation::File(path.into()), gzipped: false }
    }

    /// A file that is given by its path and compressed with gzip.
    pub fn gzipped(path: impl Into<PathBuf>) -> Self {
        Self { gzipped: true, ..Self::file(path) }
    }

    /// Its path, for messages; for a member of an archive, the path of the archive and the name in it.
    pub fn path(&self) -> PathBuf {
        match &self.location {
            FileLocation::File(path) => path.clone(),
            FileLocation::Member(zip, index) => zip.path().join(zip.name(*index)),
        }
    }

    /// Its name without folders.
    pub fn name(&self) -> String {
        self.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// All its bytes, unpacked.
    ///
    /// # Errors
    /// When it does not exist, is larger than `limit` bytes, or is damaged.
    pub fn bytes(&self, limit: u64) -> Result<Vec<u8>, Unread> {
        if let (FileLocation::File(path), false) = (&self.location, self.gzipped) {
            return files::read_bounded(path, limit);
        }
        let mut bytes = vec![];
        let read = self.reader(Arc::default()).and_then(|reader| reader.take(limit + 1).read_to_end(&mut bytes));
        read.map_err(|error| Unread::Because(format!("cannot be read ({error})")))?;
        if bytes.len() as u64 > limit { Err(files::too_large(limit)) } else { Ok(bytes) }
    }

    /// A reader of its bytes, unpacked.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, DataError> {
        self.counted(Arc::default())
    }

    /// Like [`Entry::open`]; also adds the number of bytes that were read to `read`, counted before they are unpacked.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn counted(&self, read: Arc<AtomicU64>) -> Result<Box<dyn Read + Send>, DataError> {
        self.reader(read).map_err(|source| DataError::Io { action: "open", path: self.path(), source })
    }

    /// Its size in bytes; for a gzipped file, the size before unpacking.
    pub fn size(&self) -> u64 {
        match &self.location {
            FileLocation::File(path) => fs::metadata(path).map_or(0, |metadata| metadata.len()),
            FileLocation::Member(zip, index) => zip.size(*index),
        }
    }

    fn reader(&self, read: Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
        let packed: Box<dyn Read + Send> = match &self.location {
            FileLocation::File(path) if !fs::metadata(path)?.is_file() => {
                return Err(io::Error::other("it is not a file"));
            }
            FileLocation::File(path) => Box::new(File::open(path)?),
            FileLocation::Member(zip, index) => Box::new(zip.reader(*index)?),
        };
        let packed = CountingReader { reader: packed, read };
        Ok(match self.gzipped {
            true => {
                Box::new(SizeLimited { reader: MultiGzDecoder::new(packed), remaining: max_unpacked_size(self.size()) })
            }
            false => Box::new(packed),
        })
    }
}

/// Reads a whole JSON file.
///
/// # Errors
/// When it cannot be read, or when it is not JSON.
pub(crate) fn json(entry: &Entry) -> Result<Value, DataError> {
    let wrong = |cause: String| DataError::Input { path: entry.path(), cause };
    let bytes = entry.bytes(JSON_LIMIT).map_err(|unread| wrong(unread.cause()))?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(text).map_err(|error| match FileForm::of(text) {
        FileForm::Text | FileForm::Unknown => {
            wrong(format!("is not valid JSON ({error}); was the download interrupted?"))
        }
        form => wrong(format!("is {form}, not JSON; {}", form.cure())),
    })
}

/// Reads a JSON file that contains a list.
///
/// # Errors
/// As [`json`], and when it does not contain a list.
pub(crate) fn json_list(entry: &Entry) -> Result<Vec<Value>, DataError> {
    match json(entry)? {
        Value::Array(items) => Ok(items),
        _ => Err(DataError::Input {
            path: entry.path(),
            cause: "is not a list; does it belong to another version of the data set?".into(),
        }),
    }
}

/// The largest size to which a file of this packed size may unpack, in bytes.
fn max_unpacked_size(packed: u64) -> u64 {
    packed.saturating_mul(MAX_EXPANSION).max(MIN_UNPACKED_LIMIT)
}

/// A reader that fails when a packed file unpacks to far more bytes than it has: such a file could be a zip bomb.
struct SizeLimited<R> {
    reader: R,
    remaining: u64,
}

impl<R: Read> Read for SizeLimited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.remaining = self.remaining.checked_sub(read as u64).ok_or_else(|| {
            io::Error::other(format!("it unpacks to more than {MAX_EXPANSION} times its size; is it a zip bomb?"))
        })?;
        Ok(read)
    }
}

/// Whether a name is a relative path that cannot lead out of its folder.
fn is_safe_name(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['\\', '\0'])
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// A path as the beginning of names, with a slash after each folder.
fn folder_prefix(path: &Path) -> String {
    path.components().map(|part| format!("{}/", part.as_os_str().to_string_lossy())).collect()
}

/// The folders directly in a folder, sorted.
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

/// The archives in a folder and its subfolders, at most [`ARCHIVE_SEARCH_DEPTH`] levels deep.
fn archives(folder: &Path) -> Vec<PathBuf> {
    let files = WalkDir::new(folder).max_depth(ARCHIVE_SEARCH_DEPTH).sort_by_file_name().into_iter().flatten();
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
