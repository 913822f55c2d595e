//! One file: which format it has, and who reads it.

use std::path::Path;

use bytes::Bytes;

use crate::contents::{Contents, Format};
use crate::error::Problem;
use crate::mapped::map;
use crate::{CheckpointError, onnx, safetensors_file, torch};

/// Opens one file; its first bytes decide about the format.
pub(crate) fn open_file(path: &Path) -> Result<(Format, Contents), CheckpointError> {
    let file = map(path)?;
    let at = |problem: Problem| problem.at(path);
    if let Some(found) = refused(&file) {
        return Err(CheckpointError::Unrecognised { path: path.into(), found });
    }
    if is_tar(&file) {
        return Err(CheckpointError::LegacyTar { path: path.into() });
    }
    if safetensors_file::is_safetensors(&file) {
        return Ok((Format::Safetensors, safetensors_file::open(&file).map_err(at)?));
    }
    match torch::format_of(&file) {
        Some(format @ Format::TorchLegacy) => Ok((format, torch::open_legacy(path, &file)?)),
        Some(format) => Ok((format, torch::open_archive(path, &file)?)),
        None if onnx::is_model(&file) => Ok((Format::Onnx, onnx::open(path, &file)?)),
        None => Err(CheckpointError::Unrecognised { path: path.into(), found: "of no format that is known" }),
    }
}

/// What some files are that people take for weights.
fn refused(file: &Bytes) -> Option<&'static str> {
    if file.is_empty() {
        return Some("empty");
    }
    if file.starts_with(b"version https://git-lfs") {
        return Some("a pointer of Git LFS in place of the file; download the file itself");
    }
    if file.starts_with(b"\x1f\x8b") {
        return Some("compressed with gzip; decompress it");
    }
    if file.starts_with(b"<") {
        return Some("a web page in place of the file; download the file itself");
    }
    (file.len() > 1 && file[0] == 0x80 && torch::format_of(file).is_none())
        .then_some("a pickle, but none of `torch.save`")
}

/// Tar archives have this name in their first header.
fn is_tar(file: &[u8]) -> bool {
    file.get(257..262).is_some_and(|name| name == b"ustar")
}
