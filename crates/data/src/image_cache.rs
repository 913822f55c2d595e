//! A file with the outputs of an image encoder for the images of the training data. An encoder that is not trained gives the same
//! outputs in each step, so they are computed once ([`ImageCache`]).
//!
//! The file: a magic number, the length of the header and the header as JSON, for each record of each source the row of its image (u32,
//! `u32::MAX` without an image), the rows, and a CRC-32C of all bytes before it. A row holds the hash of the pixels (u64), the
//! query (f64) and the output tokens (f16). All numbers are little-endian. Equal images share a row.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use half::f16;
use half::slice::HalfFloatSliceExt;
use ptu_input::{Image, ImageOutputs};
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// The first bytes of the file; the last one is the version of the format.
const MAGIC: &[u8; 8] = b"PTUIMGS\x01";
/// In place of a row number: the record has no image.
const NO_IMAGE: u32 = u32::MAX;
/// The largest header that is read, in bytes.
const LARGEST_HEADER: u32 = 1 << 20;
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
    /// Hash of everything that the outputs and the order of the records depend on.
    pub key: String,
    /// Height and width of an image in pixels.
    pub side: usize,
    /// Number of output tokens of an image.
    pub tokens: usize,
    /// Width of a token.
    pub width: usize,
    /// Width of a query; 0 without queries.
    pub query: usize,
    /// Number of records of each source.
    pub records: Vec<usize>,
    /// Number of rows.
    pub images: usize,
}

impl CacheHeader {
    /// Bytes of a row; `None` if the number is too large.
    fn row_bytes(&self) -> Option<u64> {
        let values = (self.tokens as u64).checked_mul(self.width as u64)?.checked_mul(2)?;
        values.checked_add((self.query as u64).checked_mul(8)?)?.checked_add(8)
    }

    /// Bytes of the row numbers; `None` if the number is too large.
    fn index_bytes(&self) -> Option<u64> {
        self.records.iter().try_fold(0u64, |sum, &count| sum.checked_add(count as u64))?.checked_mul(4)
    }

    /// Bytes of the whole file, except for the header itself, which has a few hundred; `None` if the number is too large.
    pub fn bytes(&self) -> Option<u64> {
        let rows = self.row_bytes()?.checked_mul(self.images as u64)?;
        rows.checked_add(self.index_bytes()?)?.checked_add(MAGIC.len() as u64 + 4 + CHECKSUM)
    }
}

/// The different images of the training data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageIndex {
    /// For each source and record, the row of its image.
    rows: Vec<Vec<u32>>,
    /// For each row, the source and position of the first record with this image.
    first: Vec<(usize, usize)>,
}

impl ImageIndex {
    /// Gives equal images one row. `digests` are, for each source and record, a hash of the bytes of its image, or `None` without
    /// an image. `None` if there are more images than the file format can number.
    pub fn of(digests: &[Vec<Option<u128>>]) -> Option<Self> {
        let (mut all, mut row_of) = (Self::default(), HashMap::new());
        for (source, digests) in digests.iter().enumerate() {
            let mut rows = Vec::with_capacity(digests.len());
            for (position, digest) in digests.iter().enumerate() {
                let Some(digest) = digest else {
                    rows.push(NO_IMAGE);
                    continue;
                };
                let next = u32::try_from(all.first.len()).ok().filter(|next| *next < NO_IMAGE)?;
                let row = *row_of.entry(*digest).or_insert(next);
                if row == next {
                    all.first.push((source, position));
                }
                rows.push(row);
            }
            all.rows.push(rows);
        }
        Some(all)
    }

    /// For each row, the source and position of a record with this image.
    pub fn images(&self) -> &[(usize, usize)] {
        &self.first
    }
}

/// Why a file cannot be used as a cache.
#[derive(Debug, PartialEq, Eq)]
pub enum Unusable {
    /// There is no file.
    Absent,
    /// It was computed for another model, other data or other settings.
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
    rows: Vec<Vec<u32>>,
    /// Where the rows start in the file.
    start: u64,
}

impl ImageCache {
    /// Opens a file that was computed for `key`. All its bytes are read once, to compare their checksum.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be used.
    pub fn open(path: &Path, key: &str) -> Result<Self, Unusable> {
        let damaged = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Unusable::Absent,
            _ => Unusable::Damaged(error.to_string()),
        };
        let file = File::open(path).map_err(damaged)?;
        let length = file.metadata().map_err(damaged)?.len();
        let mut reader = Checked { inner: BufReader::with_capacity(1 << 20, file), crc: 0 };
        let header = read_header(&mut reader, length)?;
        if header.key != key {
            return Err(Unusable::Foreign);
        }
        let expected = header.bytes().and_then(|bytes| bytes.checked_add(header.json().len() as u64));
        if expected != Some(length) {
            return Err(Unusable::Damaged(format!("it has {length} bytes, which do not fit its header")));
        }
        // The length of the file limits the memory for the row numbers.
        let start = header.start();
        let mut rows = vec![];
        for &count in &header.records {
            let mut bytes = vec![0; count * 4];
            reader.read_exact(&mut bytes).map_err(damaged)?;
            rows.push(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect::<Vec<_>>());
        }
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
        let is_row = |row: &u32| *row == NO_IMAGE || (*row as usize) < header.images;
        if !rows.iter().flatten().all(is_row) {
            return Err(Unusable::Damaged("a row number is too large".into()));
        }
        let file = Mutex::new(reader.inner.into_inner());
        Ok(Self { path: path.into(), file, header, rows, start })
    }

    /// Number of different images.
    pub fn images(&self) -> usize {
        self.header.images
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.header.bytes().unwrap_or(0)
    }

    /// The image of a record of a source: the hash of its pixels, and the image with the outputs of the encoder in place of
    /// pixels.
    ///
    /// # Errors
    /// When the file cannot be read any more, or has no such record, or the record had no image when the file was written.
    pub fn get(&self, source: usize, position: usize) -> Result<(u64, Image), DataError> {
        let row = self.rows.get(source).and_then(|rows| rows.get(position)).filter(|row| **row != NO_IMAGE);
        let error = |error| DataError::Io { action: "read", path: self.path.clone(), source: error };
        let row = *row.ok_or_else(|| error(io::Error::other(format!("it has no image of record {position}"))))?;
        let CacheHeader { tokens, width, query, side, .. } = self.header;
        let mut bytes = vec![0; 8 + query * 8 + tokens * width * 2];
        let at = self.start + u64::from(row) * bytes.len() as u64;
        {
            // No code panics while it holds this lock, and each reader seeks first, so a poisoned lock can be used.
            let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes)).map_err(error)?;
        }
        let number = |bytes: &[u8]| u64::from_le_bytes(std::array::from_fn(|index| bytes[index]));
        let (head, halves) = bytes.split_at(8 + query * 8);
        let queries = head[8..].chunks_exact(8).map(|bytes| f64::from_bits(number(bytes))).collect();
        let halves: Vec<f16> = halves.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]])).collect();
        let mut values = vec![0.0; halves.len()];
        halves.convert_to_f32_slice(&mut values);
        let outputs = ImageOutputs { tokens, width, values, queries };
        Ok((number(head), Image { outputs: Some(outputs), ..Image::new(side, vec![]) }))
    }
}

impl CacheHeader {
    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a header can be written as JSON")
    }

    /// Where the rows start in the file.
    fn start(&self) -> u64 {
        MAGIC.len() as u64 + 4 + self.json().len() as u64 + self.index_bytes().unwrap_or(0)
    }
}

/// Reads the start of a file of this length.
fn read_header(reader: &mut impl Read, length: u64) -> Result<CacheHeader, Unusable> {
    let damaged = |error: io::Error| Unusable::Damaged(error.to_string());
    let (mut magic, mut size) = ([0; 8], [0; 4]);
    reader.read_exact(&mut magic).map_err(damaged)?;
    reader.read_exact(&mut size).map_err(damaged)?;
    let size = u32::from_le_bytes(size);
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
    /// Starts a file.
    ///
    /// # Errors
    /// When it cannot be written, for example because the disk is full.
    ///
    /// # Panics
    /// If the numbers of records and images are not those of the index.
    pub fn start(inner: W, header: CacheHeader, index: &ImageIndex) -> io::Result<Self> {
        let records: Vec<usize> = index.rows.iter().map(Vec::len).collect();
        assert_eq!((&header.records, header.images), (&records, index.first.len()), "the header fits the index");
        let mut all = Self { inner, crc: 0, header, written: 0 };
        let json = all.header.json();
        all.write(MAGIC)?;
        all.write(&(json.len() as u32).to_le_bytes())?;
        all.write(&json)?;
        for rows in &index.rows {
            all.write(&rows.iter().flat_map(|row| row.to_le_bytes()).collect::<Vec<u8>>())?;
        }
        Ok(all)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.inner.write_all(bytes)
    }

    /// Writes the next images: the hashes of their pixels, and the outputs of the encoder.
    ///
    /// # Errors
    /// When they cannot be written, or an output is too large for f16.
    ///
    /// # Panics
    /// If the outputs have other sizes than the header says.
    pub fn add(&mut self, hashes: &[u64], outputs: &ImageOutputs) -> io::Result<()> {
        let CacheHeader { tokens, width, query, .. } = self.header;
        assert_eq!([outputs.tokens, outputs.width, outputs.count()], [tokens, width, hashes.len()], "the sizes agree");
        for (index, hash) in hashes.iter().enumerate() {
            let (values, queries) = (outputs.image(index), outputs.query(index));
            assert_eq!(queries.len(), query, "the width of a query agrees");
            let mut halves = vec![f16::ZERO; values.len()];
            halves.convert_from_f32_slice(values);
            if let Some((value, _)) = values.iter().zip(&halves).find(|(x, half)| x.is_finite() && !half.is_finite()) {
                return Err(io::Error::other(format!("an output of the image encoder, {value}, is too large for f16")));
            }
            let head = hash.to_le_bytes().into_iter().chain(queries.iter().flat_map(|value| value.to_le_bytes()));
            let row: Vec<u8> = head.chain(halves.iter().flat_map(|half| half.to_le_bytes())).collect();
            self.write(&row)?;
            self.written += 1;
        }
        Ok(())
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
        CacheHeader { key: "k".into(), side: 16, tokens: 2, width: 3, query: 1, records: vec![3, 2], images: 2 }
    }

    /// Two different images: the second record of the first source has none, the last of the second source is a repeated one.
    fn index() -> ImageIndex {
        ImageIndex::of(&[vec![Some(7), None, Some(7)], vec![Some(9), Some(7)]]).unwrap()
    }

    fn outputs(first: f32) -> ImageOutputs {
        let values = (0..6).map(|index| first + index as f32).collect();
        ImageOutputs { tokens: 2, width: 3, values, queries: vec![0.1] }
    }

    fn written() -> Vec<u8> {
        let mut writer = ImageCacheWriter::start(vec![], header(), &index()).unwrap();
        writer.add(&[11], &outputs(1.0)).unwrap();
        writer.add(&[12], &outputs(0.1)).unwrap();
        writer.finish().unwrap()
    }

    fn open(bytes: &[u8], key: &str) -> Result<ImageCache, Unusable> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        std::fs::write(&path, bytes).unwrap();
        ImageCache::open(&path, key)
    }

    #[test]
    fn equal_images_share_a_row() {
        assert_eq!(index().rows, [vec![0, NO_IMAGE, 0], vec![1, 0]]);
        assert_eq!(index().images(), [(0, 0), (1, 0)]);
    }

    #[test]
    fn a_file_returns_what_was_written_rounded_to_f16() {
        let cache = open(&written(), "k").unwrap();
        assert_eq!((cache.images(), cache.get(0, 0).unwrap()), (2, cache.get(1, 1).unwrap()));
        let (hash, image) = cache.get(0, 2).unwrap();
        assert_eq!((hash, image.side, image.planes.len(), image.outputs.unwrap()), (11, 16, 0, outputs(1.0)));
        let (hash, image) = cache.get(1, 0).unwrap();
        let (found, wanted) = (image.outputs.unwrap(), outputs(0.1));
        assert_eq!((hash, &found.queries), (12, &vec![0.1]), "queries are not rounded");
        // The relative error of rounding to 11 significant bits is at most 2^-11.
        let close = |(x, y): (&f32, &f32)| x != y && (x - y).abs() <= y.abs() / 2048.0;
        assert!(found.values.iter().zip(&wanted.values).all(close), "{found:?}");
        assert!(cache.get(0, 1).unwrap_err().to_string().contains("no image of record 1"));
        assert!(cache.get(0, 3).is_err() && cache.get(2, 0).is_err());
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
        let huge = CacheHeader { records: vec![usize::MAX], ..header() };
        let bytes = [&MAGIC[..], &(huge.json().len() as u32).to_le_bytes(), &huge.json()].concat();
        assert!(matches!(open(&bytes, "k"), Err(Unusable::Damaged(_))));
    }

    #[test]
    fn a_value_beyond_f16_and_a_full_disk_are_errors() {
        let mut writer = ImageCacheWriter::start(vec![], header(), &index()).unwrap();
        let error = writer.add(&[1], &outputs(65_520.0)).unwrap_err().to_string();
        assert!(error.contains("too large for f16"), "{error}");
        // NaN is kept, so that training notices it as it does without a cache.
        writer.add(&[1], &outputs(f32::NAN)).unwrap();
        let mut room = [0u8; 40];
        assert!(ImageCacheWriter::start(&mut room[..], header(), &index()).is_err());
    }
}
