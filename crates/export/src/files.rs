//! Files of a bundle that an export has too.

use std::fs;
use std::path::Path;

use ptu_model::files::write_bytes;

use crate::ExportError;

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String, ExportError> {
    fs::read_to_string(path).map_err(|source| ExportError::read(path, source))
}

/// Copies those of these files that the bundle has, and adds their names to `files`.
pub(crate) fn copy(names: &[&str], (from, out): (&Path, &Path), files: &mut Vec<String>) -> Result<(), ExportError> {
    for name in names.iter().filter(|name| from.join(name).exists()) {
        let bytes = fs::read(from.join(name)).map_err(|source| ExportError::read(&from.join(name), source))?;
        write_bytes(&out.join(name), &bytes)?;
        files.push(name.to_string());
    }
    Ok(())
}
