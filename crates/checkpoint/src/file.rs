//! One file: which format it has, and who reads it.

use std::path::Path;

use crate::contents::{Contents, Format};
use crate::error::Problem;
use crate::mapped::map;
use crate::{CheckpointError, onnx, safetensors_file, torch};

/// Opens one file; its first bytes decide about the format.
pub(crate) fn open_file(path: &Path) -> Result<(Format, Contents), CheckpointError> {
    let file = map(path)?;
    let at = |problem: Problem| problem.at(path);
    let unrecognised = |found| CheckpointError::Unrecognised { path: path.into(), found };
    if file.is_empty() {
        return Err(unrecognised("empty"));
    }
    // Before all else: a safetensors file begins with a length, whose bytes can be those with which another format begins.
    if safetensors_file::is_safetensors(&file) {
        return Ok((Format::Safetensors, safetensors_file::open(&file).map_err(at)?));
    }
    match torch::format_of(&file) {
        Some(format @ Format::TorchLegacy) => Ok((format, torch::open_legacy(&file).map_err(at)?)),
        Some(format) => Ok((format, torch::open_archive(path, &file)?)),
        None if is_tar(&file) => Err(CheckpointError::LegacyTar { path: path.into() }),
        None if onnx::is_model(&file) => Ok((Format::Onnx, onnx::open(path, &file)?)),
        None => Err(unrecognised(kind_of_other(&file))),
    }
}

/// What a file is that somebody took for weights.
fn kind_of_other(file: &[u8]) -> &'static str {
    match file {
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' ', b'h', ..] => {
            "a pointer of Git LFS in place of the file; download the file itself"
        }
        [0x1f, 0x8b, ..] => "compressed with gzip; decompress it",
        [b'<', ..] => "a web page in place of the file; download the file itself",
        [0x80, ..] => "a pickle, but none of `torch.save`",
        _ => "of no format that is known",
    }
}

/// Tar archives have this name in their first header.
fn is_tar(file: &[u8]) -> bool {
    file.get(257..262).is_some_and(|name| name == b"ustar")
}
