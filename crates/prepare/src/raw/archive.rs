//! Archives: members of a zip file where they lie, tar files unpacked once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use flate2::Crc;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use ptu_data::DataError;
use ptu_data::files::digest;
use zip::{CompressionMethod, ZipArchive};

use super::{Guarded, is_plain, most_unpacked};

/// Zip files within a zip file that are looked into.
const NESTED: usize = 16;

/// The largest of them, in bytes.
const NESTED_LIMIT: u64 = 8 << 30;

/// An open zip file. Each read has its own view of it, so threads do not wait for each other's unpacking.
#[derive(Debug)]
pub struct Zip {
    path: PathBuf,
    archive: ZipArchive<Handle>,
    /// Members by name; only those that are files and go down.
    names: BTreeMap<String, usize>,
    lower: OnceLock<HashMap<String, usize>>,
    about: Vec<Member>,
}

#[derive(Debug, Default)]
struct Member {
    name: String,
    size: u64,
}

impl Zip {
    /// Reads the table of contents.
    ///
    /// # Errors
    /// When it cannot be read, or is no zip file.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let wrong = |error: &dyn std::fmt::Display| DataError::Input {
            path: path.to_path_buf(),
            cause: format!("is no whole zip file ({error}); was the download cut off?"),
        };
        let file = File::open(path).map_err(DataError::io("open", path))?;
        let archive =
            ZipArchive::new(Handle { file: Arc::new(Mutex::new(file)), at: 0 }).map_err(|error| wrong(&error))?;
        let (mut names, mut about) = (BTreeMap::new(), vec![]);
        for index in 0..archive.len() {
            let member = archive.by_index_data(index).map_err(|error| wrong(&error))?;
            let name = member.enclosed_name().and_then(|name| name.to_str().map(str::to_string)).unwrap_or_default();
            if member.is_file() && !member.is_symlink() && !member.encrypted() && is_plain(&name) {
                names.insert(name.clone(), index);
            }
            about.push(Member { name, size: member.size() });
        }
        Ok(Self { path: path.to_path_buf(), archive, names, lower: OnceLock::new(), about })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn name(&self, index: usize) -> &str {
        &self.about[index].name
    }

    pub fn size(&self, index: usize) -> u64 {
        self.about[index].size
    }

    /// The member of a name, `exact` or without regard to case.
    pub fn find(&self, name: &str, exact: bool) -> Option<usize> {
        if exact {
            return self.names.get(name).copied();
        }
        let lower = || self.names.iter().map(|(name, index)| (name.to_lowercase(), *index)).collect();
        self.lower.get_or_init(lower).get(&name.to_lowercase()).copied()
    }

    /// Members right in a folder (with a slash at its end, or empty), without the folder's name.
    pub fn within(&self, folder: &str) -> impl Iterator<Item = (String, usize)> {
        let below = self
            .names
            .range(folder.to_string()..)
            .map_while(move |(name, index)| Some((name.strip_prefix(folder)?, index)));
        below.filter(|(name, _)| !name.contains('/')).map(|(name, index)| (name.to_string(), *index))
    }

    pub fn top_folders(&self) -> Vec<String> {
        let folders: BTreeSet<&str> =
            self.names.keys().filter_map(|name| name.split_once('/')).map(|(top, _)| top).collect();
        folders.into_iter().map(|folder| format!("{folder}/")).collect()
    }

    /// A member's bytes, unpacked as they are read; a wrong checksum is an error at the end.
    ///
    /// # Errors
    /// When the archive is damaged there, or packed in a way that is not read.
    pub fn reader(&self, index: usize) -> io::Result<impl Read + Send + use<>> {
        let mut archive = self.archive.clone();
        let (start, packed, method, checksum) = {
            let member = archive.by_index_raw(index).map_err(io::Error::other)?;
            let start = member.data_start().ok_or_else(|| io::Error::other("its start is not known"))?;
            (start, member.compressed_size(), member.compression(), member.crc32())
        };
        let mut handle = archive.into_inner();
        handle.seek(SeekFrom::Start(start))?;
        let bytes = BufReader::with_capacity(1 << 16, handle.take(packed));
        let reader: Box<dyn Read + Send> = match method {
            CompressionMethod::Stored => Box::new(bytes),
            CompressionMethod::Deflated => Box::new(DeflateDecoder::new(bytes)),
            other => return Err(io::Error::other(format!("it is packed by {other}; unpack it by hand"))),
        };
        Ok(Guarded { reader: Checked { reader, seen: Crc::new(), checksum }, left: most_unpacked(packed) })
    }

    /// Zip files among the members, unpacked to `scratch`.
    ///
    /// # Errors
    /// When they cannot be read or written.
    pub fn nested(&self, scratch: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
        let inner = self.names.iter().filter(|(name, _)| name.to_ascii_lowercase().ends_with(".zip")).take(NESTED);
        inner
            .map(|(name, &index)| {
                let folder = scratch.join(self.path.file_name().unwrap_or_default());
                let file = folder.join(name.replace('/', "_").as_str());
                let unpacked = || -> io::Result<()> {
                    fs::create_dir_all(&folder)?;
                    let mut from = Guarded { reader: self.reader(index)?, left: NESTED_LIMIT };
                    io::copy(&mut from, &mut File::create(&file)?).map(|_| ())
                };
                unpacked().map_err(DataError::io("unpack", &self.path.join(name)))?;
                // Its own name, which may stand for a folder.
                let named = folder.join(format!("{index}"));
                let base = Path::new(name).file_name().unwrap_or_default();
                fs::create_dir_all(&named)
                    .and_then(|()| fs::rename(&file, named.join(base)))
                    .map_err(DataError::io("unpack", &file))?;
                Ok((name.clone(), named.join(base)))
            })
            .collect()
    }
}

/// A position of its own in a file that several readers share.
#[derive(Clone, Debug)]
struct Handle {
    file: Arc<Mutex<File>>,
    at: u64,
}

impl Read for Handle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Handle {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => {
                let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
                file.metadata()?.len().checked_add_signed(by)
            }
        };
        self.at = moved.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Compares what was read with a checksum.
struct Checked<R> {
    reader: R,
    seen: Crc,
    checksum: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.seen.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() && self.seen.sum() != self.checksum {
            return Err(io::Error::other("its checksum is wrong; was the download cut off?"));
        }
        Ok(read)
    }
}

/// Whether a file's name, in lower case, is that of a tar archive.
pub fn is_tar(name: &str) -> bool {
    [".tgz", ".tar.gz", ".tar"].iter().any(|ending| name.ends_with(ending))
}

/// Unpacks a tar file to a folder of `scratch` and returns that; where it was unpacked before, nothing is done.
///
/// Links, devices and members whose names climb are passed over.
///
/// # Errors
/// When it is damaged, unpacks to far more than it is, or when the system refuses.
pub fn unpack(path: &Path, scratch: &Path) -> Result<PathBuf, DataError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = [".tgz", ".tar.gz", ".tar"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    let wrong = |error: io::Error| DataError::Input {
        path: path.to_path_buf(),
        cause: format!("cannot be unpacked ({error}); was the download cut off? Is the disk full?"),
    };
    let file = File::open(path).map_err(DataError::io("open", path))?;
    let size = file.metadata().map_err(DataError::io("open", path))?.len();
    // Another archive of the same name gets another folder.
    let scratch = scratch.join(format!("{:x}", digest(format!("{size} {}", path.display()))));
    let (folder, partial) = (scratch.join(stem), scratch.join(format!("{stem}.unpacking")));
    if folder.is_dir() {
        return Ok(folder);
    }
    let packed = BufReader::with_capacity(1 << 20, file);
    let reader: Box<dyn Read> = match name.to_ascii_lowercase().ends_with("gz") {
        true => Box::new(Guarded { reader: MultiGzDecoder::new(packed), left: most_unpacked(size) }),
        false => Box::new(packed),
    };
    if partial.is_dir() {
        fs::remove_dir_all(&partial).map_err(DataError::io("remove", &partial))?;
    }
    let mut archive = tar::Archive::new(reader);
    for member in archive.entries().map_err(wrong)? {
        let mut member = member.map_err(wrong)?;
        let name = member.path().map_err(wrong)?.to_str().unwrap_or_default().trim_start_matches("./").to_string();
        if !member.header().entry_type().is_file() || !is_plain(&name) {
            continue;
        }
        let to = partial.join(name);
        let folder = to.parent().unwrap_or(&partial);
        fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
        let written = File::create(&to).and_then(|mut to| io::copy(&mut member, &mut to));
        written.map_err(wrong)?;
    }
    fs::create_dir_all(&partial).map_err(DataError::io("create", &partial))?;
    fs::rename(&partial, &folder).map_err(DataError::io("rename to", &folder))?;
    Ok(folder)
}
