//! The format of `torch.save` before PyTorch 1.6: five pickles, then the bytes of the storages one behind the other.

use std::collections::HashMap;

use bytes::Bytes;

use super::object::{Object, Pickle};
use super::pickle;
use super::state_dict::contents;
use crate::Dtype;
use crate::contents::Contents;
use crate::error::{Problem, damaged, unsupported};

/// `0x1950a86a20f9469cfc6c` in the order of the file.
const MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The only version of the format.
const PROTOCOL: i64 = 1001;

/// Whether the file begins with the pickle of the magic number. Before the number stand the protocol, from protocol 4 on
/// the length of the frame, and the operation `LONG1` with the length of the number.
pub(super) fn is_legacy(file: &[u8]) -> bool {
    let begin = [&[0x8a, 10], MAGIC].concat();
    file.first() == Some(&0x80) && [2, 11].iter().any(|&at| file.get(at..).is_some_and(|rest| rest.starts_with(&begin)))
}

/// Reads the pickles and finds the storages.
///
/// # Errors
/// When a pickle is refused, or the storages are not those of the pickle or do not fill the rest of the file.
pub(super) fn read(file: &Bytes) -> Result<Contents, Problem> {
    let object = pickle::read(file, header(file)?)?;
    let keys = pickle::read(file, object.end)?;
    let storages = storages(&object, &keys)?;
    contents(&object, &|key| storages.get(key).cloned())
}

/// Checks magic number, version and byte order, and gives the first byte after them.
fn header(file: &Bytes) -> Result<usize, Problem> {
    let magic = pickle::read(file, 0)?.end;
    let version = pickle::read(file, magic)?;
    if !matches!(version.get(version.root), Object::Int(PROTOCOL)) {
        return Err(unsupported("legacy header", format!("its version is not {PROTOCOL}")));
    }
    let system = pickle::read(file, version.end)?;
    let little = system.entry(system.root, "little_endian");
    if !little.is_some_and(|little| matches!(system.get(little), Object::Bool(true))) {
        return Err(unsupported("legacy header", "it was written by a machine that is not little-endian"));
    }
    Ok(system.end)
}

/// The storages by key: for each key of the list the number of elements (8 bytes), then the elements.
fn storages(object: &Pickle, keys: &Pickle) -> Result<HashMap<String, Bytes>, Problem> {
    let file = &keys.bytes;
    let Object::List(listed) = keys.get(keys.root) else {
        return Err(damaged("list of storages", "it is no list"));
    };
    let named = object.storages();
    let mut at = keys.end;
    let mut found = HashMap::new();
    for key in listed {
        let Object::Text(range) = keys.get(*key) else {
            return Err(damaged("list of storages", "a key is no text"));
        };
        let key = keys.text(range);
        let wrong = |cause: &str| damaged(format!("storage `{key}`"), cause);
        let size = match named.get(key).map(Vec::as_slice) {
            Some([storage]) => storage.dtype.map_or(Some(1), Dtype::size),
            Some(_) => return Err(wrong("it is described in two ways")),
            None => return Err(wrong("no tensor describes it")),
        };
        let count = at.checked_add(8).and_then(|end| file.get(at..end)?.try_into().ok()).map(i64::from_le_bytes);
        let count = count.ok_or_else(|| wrong("the file ends early"))?;
        let length = usize::try_from(count).ok().zip(size).and_then(|(count, size)| count.checked_mul(size));
        let start = at + 8;
        let end = length.and_then(|length| start.checked_add(length)).filter(|end| *end <= file.len());
        let end = end.ok_or_else(|| wrong("it reaches beyond the file"))?;
        if found.insert(key.to_owned(), file.slice(start..end)).is_some() {
            return Err(wrong("it is listed twice"));
        }
        at = end;
    }
    if at != file.len() {
        return Err(damaged(format!("byte {at}"), "there are bytes after the last storage"));
    }
    Ok(found)
}
