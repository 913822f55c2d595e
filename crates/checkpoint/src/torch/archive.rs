//! The zip archive that `torch.save` has written since PyTorch 1.6: records that are stored without compression, so that
//! each is a part of the mapped file.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Result as IoResult, Seek, SeekFrom};

use bytes::Bytes;
use zip::{CompressionMethod, ZipArchive};

use crate::error::{Problem, damaged, unsupported};

/// The most bytes that are read to list the records: directory and headers, about 200 bytes a record.
const MAX_DIRECTORY: usize = 16 << 20;
/// The size of the record at the end of an archive, if it holds no comment.
const END: usize = 22;

/// The records of an archive by name, as parts of the file.
///
/// # Errors
/// When the file is cut off or has bytes before or after the archive, when records overlap, share a name, are compressed or
/// encrypted, or when the directory is over the limit.
pub(super) fn records(file: &Bytes) -> Result<BTreeMap<String, Bytes>, Problem> {
    let wrong = |cause: String| damaged("zip archive", cause);
    let ends = file.len().checked_sub(END).is_some_and(|end| file[end..].starts_with(b"PK\x05\x06"));
    if !ends {
        return Err(wrong(
            "its directory is not at the end of the file, which is cut off or has bytes after its end".into(),
        ));
    }
    let reader = Limited { bytes: Cursor::new(file), left: MAX_DIRECTORY };
    let mut archive = ZipArchive::new(reader).map_err(|error| wrong(error.to_string()))?;
    // Before all else, because TorchScript compresses its code.
    if archive.file_names().any(|name| name.is_ok_and(|name| is_torchscript(&name))) {
        return Err(Problem::TorchScript);
    }
    if archive.offset() != 0 {
        return Err(wrong("it has bytes before its start".into()));
    }
    if archive.has_duplicate_names() {
        return Err(wrong("two records have the same name".into()));
    }
    if archive.has_overlapping_entries().map_err(|error| wrong(error.to_string()))? {
        return Err(wrong("records overlap".into()));
    }
    let mut records = BTreeMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| wrong(error.to_string()))?;
        let name =
            std::str::from_utf8(entry.name_raw()).map_err(|_| wrong("the name of a record is not UTF-8".into()))?;
        if entry.encrypted() || entry.compression() != CompressionMethod::Stored {
            let cause = "it is compressed or encrypted, which `torch.save` never does";
            return Err(unsupported(format!("record `{name}`"), cause));
        }
        let (start, length) =
            (entry.data_start().and_then(|start| usize::try_from(start).ok()), entry.compressed_size());
        let end = usize::try_from(length).ok().and_then(|length| start?.checked_add(length));
        let range = start.zip(end).filter(|(_, end)| *end <= file.len() && entry.size() == length);
        let (start, end) = range.ok_or_else(|| damaged(format!("record `{name}`"), "it reaches beyond the file"))?;
        records.insert(name.to_owned(), file.slice(start..end));
    }
    Ok(records)
}

fn is_torchscript(name: &str) -> bool {
    name.split_once('/').is_some_and(|(_, rest)| rest == "constants.pkl" || rest.starts_with("code/"))
}

/// A reader of bytes that ends with an error when too much was read.
struct Limited<'a> {
    bytes: Cursor<&'a Bytes>,
    left: usize,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        let read = self.bytes.read(buffer)?;
        self.left = self.left.checked_sub(read).ok_or_else(|| {
            std::io::Error::other(format!(
                "its directory is larger than {MAX_DIRECTORY} bytes, or is not where it should be"
            ))
        })?;
        Ok(read)
    }
}

impl Seek for Limited<'_> {
    fn seek(&mut self, position: SeekFrom) -> IoResult<u64> {
        self.bytes.seek(position)
    }
}
