//! Archives: the members of a zip file are read directly in the archive; a tar file is unpacked once.

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

use super::{SizeLimited, is_safe_name, max_unpacked_size};

/// The largest number of zip files inside a zip file that are opened, too.
const MAX_NESTED_ZIPS: usize = 16;

/// The largest unpacked size of such a zip file, in bytes.
const MAX_NESTED_SIZE: u64 = 8 << 30;

/// An open zip file. Each reader has a file position of its own, so that threads do not wait for each other while they unpack.
#[derive(Debug)]
pub struct Zip {
    path: PathBuf,
    archive: ZipArchive<Handle>,
    /// The indices of the members by name; only files whose path stays inside the archive.
    names: BTreeMap<String, usize>,
    lowercase: OnceLock<HashMap<String, usize>>,
    members: Vec<Member>,
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
            cause: format!("is not a complete zip file ({error}); was the download interrupted?"),
        };
        let file = File::open(path).map_err(DataError::io("open", path))?;
        let archive =
            ZipArchive::new(Handle { file: Arc::new(Mutex::new(file)), at: 0 }).map_err(|error| wrong(&error))?;
        let (mut names, mut members) = (BTreeMap::new(), vec![]);
        for index in 0..archive.len() {
            let member = archive.by_index_data(index).map_err(|error| wrong(&error))?;
            let name = member.enclosed_name().and_then(|name| name.to_str().map(str::to_string)).unwrap_or_default();
            if member.is_file() && !member.is_symlink() && !member.encrypted() && is_safe_name(&name) {
                names.insert(name.clone(), index);
            }
            members.push(Member { name, size: member.size() });
        }
        Ok(Self { path: path.to_path_buf(), archive, names, lowercase: OnceLock::new(), members })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn name(&self, index: usize) -> &str {
        &self.members[index].name
    }

    pub fn size(&self, index: usize) -> u64 {
        self.members[index].size
    }

    /// The index of the member with this name; without `exact`, upper and lower case are not distinguished.
    pub fn find(&self, name: &str, exact: bool) -> Option<usize> {
        if exact {
            return self.names.get(name).copied();
        }
        let lowercase = || self.names.iter().map(|(name, index)| (name.to_lowercase(), *index)).collect();
        self.lowercase.get_or_init(lowercase).get(&name.to_lowercase()).copied()
    }

    /// The members directly in a folder, by their names in the folder. `folder` ends with a slash, or is empty.
    pub fn files_in(&self, folder: &str) -> impl Iterator<Item = (String, usize)> {
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

    /// A reader of a member's bytes, which are unpacked while they are read. A wrong checksum is an error at the end.
    ///
    /// # Errors
    /// When the archive is damaged there, or when the compression of the member is not supported.
    pub fn reader(&self, index: usize) -> io::Result<impl Read + Send + use<>> {
        let mut archive = self.archive.clone();
        let (start, packed, method, checksum) = {
            let member = archive.by_index_raw(index).map_err(io::Error::other)?;
            let start = member.data_start().ok_or_else(|| io::Error::other("its start is unknown"))?;
            (start, member.compressed_size(), member.compression(), member.crc32())
        };
        let mut handle = archive.into_inner();
        handle.seek(SeekFrom::Start(start))?;
        let bytes = BufReader::with_capacity(1 << 16, handle.take(packed));
        let reader: Box<dyn Read + Send> = match method {
            CompressionMethod::Stored => Box::new(bytes),
            CompressionMethod::Deflated => Box::new(DeflateDecoder::new(bytes)),
            other => {
                return Err(io::Error::other(format!(
                    "it is compressed with {other}, which is not supported; unpack it yourself"
                )));
            }
        };
        Ok(SizeLimited {
            reader: ChecksumReader { reader, crc: Crc::new(), checksum },
            remaining: max_unpacked_size(packed),
        })
    }

    /// Unpacks the zip files among the members to `scratch`; returns their names in the archive and their paths.
    ///
    /// # Errors
    /// When they cannot be read or written.
    pub fn nested(&self, scratch: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
        let inner =
            self.names.iter().filter(|(name, _)| name.to_ascii_lowercase().ends_with(".zip")).take(MAX_NESTED_ZIPS);
        inner
            .map(|(name, &index)| {
                let folder = scratch.join(self.path.file_name().unwrap_or_default());
                let file = folder.join(name.replace('/', "_").as_str());
                let unpacked = || -> io::Result<()> {
                    fs::create_dir_all(&folder)?;
                    let mut from = SizeLimited { reader: self.reader(index)?, remaining: MAX_NESTED_SIZE };
                    io::copy(&mut from, &mut File::create(&file)?).map(|_| ())
                };
                unpacked().map_err(DataError::io("unpack", &self.path.join(name)))?;
                // The file keeps its own name, because the name can stand for a folder of the layout.
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

/// A position in a file that several readers share; each reader has a position of its own.
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

/// A reader that compares what was read with a checksum.
struct ChecksumReader<R> {
    reader: R,
    crc: Crc,
    checksum: u32,
}

impl<R: Read> Read for ChecksumReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.crc.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() && self.crc.sum() != self.checksum {
            return Err(io::Error::other("its checksum is wrong; was the download interrupted?"));
        }
        Ok(read)
    }
}

/// Whether a file name, in lower case, has the ending of a tar archive.
pub fn is_tar(name: &str) -> bool {
    [".tgz", ".tar.gz", ".tar"].iter().any(|ending| name.ends_with(ending))
}

/// Unpacks a tar file to a folder in `scratch` and returns the path of this folder. If it was unpacked before, it is not unpacked
/// again.
///
/// Links, devices and members whose paths lead out of the folder are skipped.
///
/// # Errors
/// When it is damaged, when it unpacks to far more bytes than it has, or when a file cannot be read or written.
pub fn unpack(path: &Path, scratch: &Path) -> Result<PathBuf, DataError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = [".tgz", ".tar.gz", ".tar"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    let wrong = |error: io::Error| DataError::Input {
        path: path.to_path_buf(),
        cause: format!("cannot be unpacked ({error}); was the download interrupted, or is the disk full?"),
    };
    let file = File::open(path).map_err(DataError::io("open", path))?;
    let size = file.metadata().map_err(DataError::io("open", path))?.len();
    // The size and the path are part of the folder name, so that another archive with the same name gets another folder.
    let scratch = scratch.join(format!("{:x}", digest(format!("{size} {}", path.display()))));
    let (folder, partial) = (scratch.join(stem), scratch.join(format!("{stem}.unpacking")));
    if folder.is_dir() {
        return Ok(folder);
    }
    let packed = BufReader::with_capacity(1 << 20, file);
    let reader: Box<dyn Read> = match name.to_ascii_lowercase().ends_with("gz") {
        true => Box::new(SizeLimited { reader: MultiGzDecoder::new(packed), remaining: max_unpacked_size(size) }),
        false => Box::new(packed),
    };
    if partial.is_dir() {
        fs::remove_dir_all(&partial).map_err(DataError::io("remove", &partial))?;
    }
    let mut archive = tar::Archive::new(reader);
    for member in archive.entries().map_err(wrong)? {
        let mut member = member.map_err(wrong)?;
        let name = member.path().map_err(wrong)?.to_str().unwrap_or_default().trim_start_matches("./").to_string();
        if !member.header().entry_type().is_file() || !is_safe_name(&name) {
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
