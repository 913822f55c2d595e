//! Files of settings beside the weights: `config.json` and the like.

use std::path::{Path, PathBuf};

use ptu_model::files;
use serde_json::Value;

use crate::ImportError;

/// The largest file of settings that is read, in bytes.
const LARGEST: u64 = 1 << 24;

/// A file of this name in the folder of `path`.
pub(crate) fn beside(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(name)
}

/// Reads a JSON object; `None` if there is no such file.
///
/// # Errors
/// When the file cannot be read or is not a JSON object.
pub(crate) fn read(path: &Path) -> Result<Option<Value>, ImportError> {
    if !path.is_file() {
        return Ok(None);
    }
    let settings = |cause: String| ImportError::Settings { path: path.into(), cause };
    let bytes = files::read(path, LARGEST)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| settings(format!("it is not JSON: {error}")))?;
    match value.is_object() {
        true => Ok(Some(value)),
        false => Err(settings("it is not a JSON object".into())),
    }
}

/// The number at a key that is a whole number above 0.
pub(crate) fn count(value: &Value, key: &str) -> Option<usize> {
    value[key].as_u64().filter(|number| *number > 0).and_then(|number| usize::try_from(number).ok())
}
