//! A checkpoint of any of the formats: its tensors by name, and what else it says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::Problem;
use crate::mapped::map;
use crate::tensor::Stored;
use crate::{CheckpointError, Node, TensorInfo, Value, folder, onnx, safetensors_file, sharded, torch};

/// The format of a file of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A safetensors file.
    Safetensors,
    /// The zip archive of `torch.save` since PyTorch 1.6.
    Torch,
    /// What `torch.save` wrote before.
    TorchLegacy,
    /// An ONNX model.
    Onnx,
}

/// An opened checkpoint. Its files are mapped into memory: a tensor takes memory only when it is read.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    format: Format,
    contents: Contents,
}

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) tensors: BTreeMap<String, Stored>,
    pub(crate) values: BTreeMap<String, Value>,
    pub(crate) nodes: Vec<Node>,
}

impl Checkpoint {
    /// Opens a file of weights, or the one in a folder as `hf download` leaves it.
    ///
    /// The content of a file decides about its format, not its name. In a folder, safetensors go before PyTorch files and
    /// these before ONNX; an index of shards stands for all of its files. Of a PyTorch file, tensors are named as in its
    /// state dict: the entries of `state_dict`, `model_state_dict`, `model`, `module` or `net`, if the outermost dictionary
    /// has one of these keys (the first that holds tensors), or else of the outermost dictionary itself. Levels below are
    /// joined by dots.
    ///
    /// # Errors
    /// When nothing or more than one thing could be meant; when a file is damaged or of another kind; when a pickle names a
    /// function or class that weights do not need.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let chosen = if path.is_dir() { folder::choose(path)? } else { path.to_path_buf() };
        if sharded::is_index(&chosen) {
            let (format, contents) = sharded::open(&chosen)?;
            return Ok(Self { path: chosen, format, contents });
        }
        let (format, contents) = open_file(&chosen)?;
        Ok(Self { path: chosen, format, contents })
    }

    /// The file that was opened: in a folder the one that was chosen, for shards their index.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format of the file, or of the first shard.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.contents.tensors.keys().map(String::as_str)
    }

    /// Shape and type of a tensor, or `None` if there is none of this name.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.contents.tensors.get(name).map(|stored| &stored.info)
    }

    /// The elements of a tensor in row-major order, as 32-bit floats; their number is the product of the shape.
    ///
    /// # Errors
    /// When there is no tensor of this name, when its elements are no floats, or when strides repeat elements so that it has
    /// more of them than its file.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let (path, named) = (self.path.clone(), name.to_owned());
        let Some(stored) = self.contents.tensors.get(name) else {
            return Err(CheckpointError::MissingTensor { path, name: named });
        };
        match stored.read(name).map_err(|problem| problem.at(&self.path))? {
            Some(values) => Ok(values),
            None => Err(CheckpointError::NotFloat { path, name: named, dtype: stored.info.dtype }),
        }
    }

    /// The values of a PyTorch checkpoint beside its weights, by their keys in the outermost dictionary: Lightning's `epoch`,
    /// `global_step`, `hyper_parameters` and so on. Empty for other formats and shards.
    pub fn values(&self) -> &BTreeMap<String, Value> {
        &self.contents.values
    }

    /// The nodes of an ONNX graph in the order of the file; they tell which initializer is used where. Empty for other
    /// formats.
    pub fn nodes(&self) -> &[Node] {
        &self.contents.nodes
    }
}

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
