//! A checkpoint of any of the formats: its tensors by name, and what else it says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::contents::{Contents, Format};
use crate::file::open_file;
use crate::{CheckpointError, Node, TensorInfo, Value, folder, sharded};

/// An opened checkpoint. Its files are mapped into memory: a tensor takes memory only when it is read.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    format: Format,
    contents: Contents,
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
