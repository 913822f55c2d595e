//! A file with the outputs of an image encoder, or of its first blocks, for the images of a data set. What is not trained gives the same
//! outputs in each step, so they are computed once ([`ImageCache`]).
//!
//! The file: a magic number, the length of the header and the header as JSON, for each row the digest of the bytes of its image
//! (u128), the rows, and a CRC-32C of all bytes before it. A row holds the hash of the pixels (u64), the query (f64) and the output
//! tokens (f16). All numbers are little-endian. Equal images share a row.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use half::f16;
use half::slice::HalfFloatSliceExt;
use ptu_input::{Image, ImageOutputs};
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::files::digest;

/// The first bytes of the file; the last one is the version of the format.
const MAGIC: &[u8; 8] = b"PTUIMGS\x03";
/// The largest header that is read, in bytes.
const LARGEST_HEADER: u32 = 1 << 20;
/// Bytes of the digest of an image.
const DIGEST: usize = 16;
/// Bytes of the checksum at the end.
const CHECKSUM: u64 = 4;

/// The number format of cached outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheFormat {
    /// Half precision, IEEE 754 binary16.
    F16,
}

impl CacheFormat {
    /// The name in messages and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
        }
    }
}

/// What a cache was computed for, and its sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheHeader {
    /// Hash of everything that the outputs for an image depend on. Rows of files with the same one can be used for each other.
    pub encoder: String,
    /// Hash of everything that decides which images are in the file.
    pub data: String,
    /// Height and width of an image in pixels.
    pub side: usize,
    /// Number of blocks of the encoder that computed the outputs; `None` for all of it.
    pub blocks: Option<usize>,
    /// Number of output tokens of an image.
    pub tokens: usize,
    /// Width of a token.
    pub width: usize,
    /// Width of a query; 0 without queries.
    pub query: usize,
    /// Number of rows.
    pub images: usize,
}

impl CacheHeader {
    /// Bytes of a row; `None` if the number is too large.
    fn row_bytes(&self) -> Option<u64> {
        let values = (self.tokens as u64).checked_mul(self.width as u64)?.checked_mul(2)?;
        values.checked_add((self.query as u64).checked_mul(8)?)?.checked_add(8)
    }

    /// Bytes of the whole file, except for the header itself, which has a few hundred; `None` if the number is too large.
    pub fn bytes(&self) -> Option<u64> {
        let rows = self.row_bytes()?.checked_add(DIGEST as u64)?.checked_mul(self.images as u64)?;
        rows.checked_add(MAGIC.len() as u64 + 4 + CHECKSUM)
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a header can be written as JSON")
    }

    /// Where the digests start in the file.
    fn start(&self) -> u64 {
        MAGIC.len() as u64 + 4 + self.json().len() as u64
    }

    /// The row of one of these images: the hash of its pixels, its query and its tokens.
    ///
    /// # Errors
    /// When an output is too large for f16.
    ///
    /// # Panics
    /// If the outputs have other sizes than the header says.
    pub fn row(&self, hash: u64, outputs: &ImageOutputs, index: usize) -> io::Result<Vec<u8>> {
        let sizes = (outputs.blocks, outputs.tokens, outputs.width);
        assert_eq!(sizes, (self.blocks, self.tokens, self.width), "the sizes agree");
        let (values, queries) = (outputs.image(index), outputs.query(index));
        assert_eq!(queries.len(), self.query, "the width of a query agrees");
        let mut halves = vec![f16::ZERO; values.len()];
        halves.convert_from_f32_slice(values);
        if let Some((value, _)) = values.iter().zip(&halves).find(|(x, half)| x.is_finite() && !half.is_finite()) {
            return Err(io::Error::other(format!("an output of the image encoder, {value}, is too large for f16")));
        }
        let head = hash.to_le_bytes().into_iter().chain(queries.iter().flat_map(|value| value.to_le_bytes()));
        Ok(head.chain(halves.iter().flat_map(|half| half.to_le_bytes())).collect())
    }
}

/// The different images of a data set, each with the first record that has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageIndex {
    digests: Vec<u128>,
    first: Vec<(usize, usize)>,
}

impl ImageIndex {
    /// Takes equal images once. `digests` are, for each source and record, that of its image's bytes, or `None` without an image.
    pub fn of(digests: &[Vec<Option<u128>>]) -> Self {
        let (mut all, mut known) = (Self::default(), HashSet::new());
        for (source, digests) in digests.iter().enumerate() {
            for (position, digest) in digests.iter().enumerate() {
                let Some(digest) = digest.filter(|digest| known.insert(*digest)) else { continue };
                all.digests.push(digest);
                all.first.push((source, position));
            }
        }
        all
    }

    /// The digest of each image.
    pub fn digests(&self) -> &[u128] {
        &self.digests
    }

    /// For each image, the source and position of the first record that has it.
    pub fn records(&self) -> &[(usize, usize)] {
        &self.first
    }
}

/// Why a file cannot be used as a cache.
#[derive(Debug, PartialEq, Eq)]
pub enum Unusable {
    /// There is no file.
    Absent,
    /// It was computed by another encoder, or with other settings.
    Foreign,
    /// It is not complete, or its bytes were changed.
    Damaged(String),
}

/// A file of outputs of an image encoder.
#[derive(Debug)]
pub struct ImageCache {
    path: PathBuf,
    file: Mutex<File>,
    header: CacheHeader,
    /// The row of each image, by its digest.
    rows: HashMap<u128, usize>,
    /// Where the rows start in the file.
    start: u64,
}

impl ImageCache {
    /// Opens a file with outputs of this encoder. All its bytes are read once, to compare their checksum.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be used.
    pub fn open(path: &Path, encoder: &str) -> Result<Self, Unusable> {
        let damaged = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Unusable::Absent,
            _ => Unusable::Damaged(error.to_string()),
        };
        let file = File::open(path).map_err(damaged)?;
        let length = file.metadata().map_err(damaged)?.len();
        let mut reader = Checked { inner: BufReader::with_capacity(1 << 20, file), crc: 0 };
        let header = read_header(&mut reader, length)?;
        if header.encoder != encoder {
            return Err(Unusable::Foreign);
        }
        let expected = header.bytes().and_then(|bytes| bytes.checked_add(header.json().len() as u64));
        if expected != Some(length) {
            return Err(Unusable::Damaged(format!("it has {length} bytes, which do not fit its header")));
        }
        // The length of the file limits the memory for the digests.
        let mut digests = vec![0; header.images * DIGEST];
        reader.read_exact(&mut digests).map_err(damaged)?;
        let of_bytes = |bytes: &[u8]| u128::from_le_bytes(std::array::from_fn(|index| bytes[index]));
        let rows = digests.chunks_exact(DIGEST).enumerate().map(|(row, bytes)| (of_bytes(bytes), row)).collect();
        let start = header.start() + digests.len() as u64;
        let mut rest = length - start - CHECKSUM;
        let mut buffer = vec![0; 1 << 20];
        while rest > 0 {
            let size = buffer.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
            reader.read_exact(&mut buffer[..size]).map_err(damaged)?;
            rest -= size as u64;
        }
        let (found, mut stored) = (reader.crc, [0; CHECKSUM as usize]);
        reader.read_exact(&mut stored).map_err(damaged)?;
        if u32::from_le_bytes(stored) != found {
            return Err(Unusable::Damaged("its checksum is wrong".into()));
        }
        let file = Mutex::new(reader.inner.into_inner());
        Ok(Self { path: path.into(), file, header, rows, start })
    }

    /// Whether the file was computed for these data ([`CacheHeader::data`]), so that it has all their images.
    pub fn is_for(&self, data: &str) -> bool {
        self.header.data == data
    }

    /// Number of different images.
    pub fn images(&self) -> usize {
        self.header.images
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.header.bytes().unwrap_or(0)
    }

    /// The image with these bytes: the hash of its pixels, and the image with the outputs of the encoder in place of pixels.
    ///
    /// # Errors
    /// When the file cannot be read any more, or does not have the image.
    pub fn get(&self, bytes: &[u8]) -> Result<(u64, Image), DataError> {
        let error = |error| DataError::Io { action: "read", path: self.path.clone(), source: error };
        let absent = || error(io::Error::other("it does not have the outputs for an image of the data"));
        let row = self.row(digest(bytes)).map_err(error)?.ok_or_else(absent)?;
        let CacheHeader { blocks, tokens, width, query, side, .. } = self.header;
        let number = |bytes: &[u8]| u64::from_le_bytes(std::array::from_fn(|index| bytes[index]));
        let (head, halves) = row.split_at(8 + query * 8);
        let queries = head[8..].chunks_exact(8).map(|bytes| f64::from_bits(number(bytes))).collect();
        let halves: Vec<f16> = halves.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]])).collect();
        let mut values = vec![0.0; halves.len()];
        halves.convert_to_f32_slice(&mut values);
        let outputs = ImageOutputs { blocks, tokens, width, values, queries };
        Ok((number(head), Image { outputs: Some(outputs), ..Image::new(side, vec![]) }))
    }

    /// The bytes of the row of the image with this digest; `None` if the file does not have it.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn row(&self, digest: u128) -> io::Result<Option<Vec<u8>>> {
        let Some(row) = self.rows.get(&digest) else { return Ok(None) };
        let CacheHeader { tokens, width, query, .. } = self.header;
        let mut bytes = vec![0; 8 + query * 8 + tokens * width * 2];
        let at = self.start + *row as u64 * bytes.len() as u64;
        // No code panics while it holds this lock, and each reader seeks first, so a poisoned lock can be used.
        let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes))?;
        Ok(Some(bytes))
    }
}

/// Reads the start of a file of this length.
fn read_header(reader: &mut impl Read, length: u64) -> Result<CacheHeader, Unusable> {
    let damaged = |error: io::Error| Unusable::Damaged(error.to_string());
    let (mut magic, mut size) = ([0; 8], [0; 4]);
    reader.read_exact(&mut magic).map_err(damaged)?;
    reader.read_exact(&mut size).map_err(damaged)?;
    let size = u32::from_le_bytes(size);
    if magic != *MAGIC && magic[..7] == MAGIC[..7] {
        // Another version of the format.
        return Err(Unusable::Foreign);
    }
    if &magic != MAGIC || size > LARGEST_HEADER || u64::from(size) > length {
        return Err(Unusable::Damaged("it does not begin as such a file".into()));
    }
    let mut json = vec![0; size as usize];
    reader.read_exact(&mut json).map_err(damaged)?;
    let header: CacheHeader =
        serde_json::from_slice(&json).map_err(|error| Unusable::Damaged(format!("its header is wrong: {error}")))?;
    // The sizes below are computed from the header as this version writes it.
    if header.json() != json {
        return Err(Unusable::Damaged("its header is not as this version writes it".into()));
    }
    Ok(header)
}

/// A file of outputs that is being written, row by row.
pub struct ImageCacheWriter<W> {
    inner: W,
    crc: u32,
    header: CacheHeader,
    /// Number of rows that were written.
    written: usize,
}

impl<W: Write> ImageCacheWriter<W> {
    /// Starts a file with the images of these digests.
    ///
    /// # Errors
    /// When it cannot be written, for example because the disk is full.
    ///
    /// # Panics
    /// If the header has another number of images.
    pub fn start(inner: W, header: CacheHeader, digests: &[u128]) -> io::Result<Self> {
        assert_eq!(header.images, digests.len(), "the header fits the images");
        let mut all = Self { inner, crc: 0, header, written: 0 };
        let json = all.header.json();
        all.write(MAGIC)?;
        all.write(&(json.len() as u32).to_le_bytes())?;
        all.write(&json)?;
        all.write(&digests.iter().flat_map(|digest| digest.to_le_bytes()).collect::<Vec<u8>>())?;
        Ok(all)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.inner.write_all(bytes)
    }

    /// Writes the row of the next image ([`CacheHeader::row`], [`ImageCache::row`]).
    ///
    /// # Errors
    /// When it cannot be written.
    ///
    /// # Panics
    /// If the row has another size than the header says.
    pub fn add(&mut self, row: &[u8]) -> io::Result<()> {
        assert_eq!(self.header.row_bytes(), Some(row.len() as u64), "the size of the row agrees");
        self.written += 1;
        self.write(row)
    }

    /// Writes the checksum and returns the finished file.
    ///
    /// # Errors
    /// When it cannot be written.
    ///
    /// # Panics
    /// If rows are missing.
    pub fn finish(mut self) -> io::Result<W> {
        assert_eq!(self.written, self.header.images, "every image is written");
        let checksum = self.crc.to_le_bytes();
        self.inner.write_all(&checksum)?;
        self.inner.flush()?;
        Ok(self.inner)
    }
}

/// A reader that computes the CRC-32C of what was read.
struct Checked<R> {
    inner: R,
    crc: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.crc = crc32c::crc32c_append(self.crc, &buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> CacheHeader {
        CacheHeader {
            encoder: "k".into(),
            data: "d".into(),
            side: 16,
            blocks: None,
            tokens: 2,
            width: 3,
            query: 1,
            images: 2,
        }
    }

    /// Two different images: the second record of the first source has none, the last of the second source is a repeated one.
    fn index() -> ImageIndex {
        let [one, other] = [b"one", &b"two"[..]].map(|bytes| Some(digest(bytes)));
        ImageIndex::of(&[vec![one, None, one], vec![other, one]])
    }

    fn outputs(first: f32) -> ImageOutputs {
        let values = (0..6).map(|index| first + index as f32).collect();
        ImageOutputs { blocks: None, tokens: 2, width: 3, values, queries: vec![0.1] }
    }

    fn written() -> Vec<u8> {
        let mut writer = ImageCacheWriter::start(vec![], header(), index().digests()).unwrap();
        writer.add(&header().row(11, &outputs(1.0), 0).unwrap()).unwrap();
        writer.add(&header().row(12, &outputs(0.1), 0).unwrap()).unwrap();
        writer.finish().unwrap()
    }

    fn open(bytes: &[u8], encoder: &str) -> Result<ImageCache, Unusable> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        std::fs::write(&path, bytes).unwrap();
        ImageCache::open(&path, encoder)
    }

    #[test]
    fn equal_images_share_a_row() {
        assert_eq!((index().digests().len(), index().records()), (2, &[(0, 0), (1, 0)][..]));
    }

    #[test]
    fn a_file_returns_what_was_written_rounded_to_f16() {
        let cache = open(&written(), "k").unwrap();
        assert_eq!((cache.images(), cache.is_for("d"), cache.is_for("k")), (2, true, false));
        let (hash, image) = cache.get(b"one").unwrap();
        assert_eq!((hash, image.side, image.planes.len(), image.outputs.unwrap()), (11, 16, 0, outputs(1.0)));
        let (hash, image) = cache.get(b"two").unwrap();
        let (found, wanted) = (image.outputs.unwrap(), outputs(0.1));
        assert_eq!((hash, &found.queries), (12, &vec![0.1]), "queries are not rounded");
        // The relative error of rounding to 11 significant bits is at most 2^-11.
        let close = |(x, y): (&f32, &f32)| x != y && (x - y).abs() <= y.abs() / 2048.0;
        assert!(found.values.iter().zip(&wanted.values).all(close), "{found:?}");
        assert!(cache.get(b"three").unwrap_err().to_string().contains("does not have the outputs"));
        // A row that is copied from another file is the one that was written there.
        assert_eq!(cache.row(digest(b"two")).unwrap(), Some(header().row(12, &outputs(0.1), 0).unwrap()));
        assert_eq!(cache.row(3).unwrap(), None);
        let bytes = written().len() as u64 - header().json().len() as u64;
        assert_eq!((cache.bytes(), header().bytes()), (bytes, Some(bytes)));
    }

    #[test]
    fn a_foreign_or_damaged_file_is_not_used() {
        assert_eq!(open(&written(), "other").unwrap_err(), Unusable::Foreign);
        assert_eq!(ImageCache::open(Path::new("/nowhere/cache"), "k").unwrap_err(), Unusable::Absent);
        let whole = written();
        for length in 0..whole.len() {
            assert!(matches!(open(&whole[..length], "k"), Err(Unusable::Damaged(_))), "{length} bytes");
        }
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            assert!(open(&bytes, "k").is_err(), "byte {place} was changed");
        }
        assert!(open(&[&whole[..], b"x"].concat(), "k").is_err());
        // A header that promises more than any memory can hold.
        let huge = CacheHeader { images: usize::MAX, ..header() };
        let bytes = [&MAGIC[..], &(huge.json().len() as u32).to_le_bytes(), &huge.json()].concat();
        assert!(matches!(open(&bytes, "k"), Err(Unusable::Damaged(_))));
    }

    #[test]
    fn a_value_beyond_f16_and_a_full_disk_are_errors() {
        let error = header().row(1, &outputs(65_520.0), 0).unwrap_err().to_string();
        assert!(error.contains("too large for f16"), "{error}");
        // NaN is kept, so that training notices it as it does without a cache.
        header().row(1, &outputs(f32::NAN), 0).unwrap();
        let mut room = [0u8; 40];
        assert!(ImageCacheWriter::start(&mut room[..], header(), index().digests()).is_err());
    }
}
