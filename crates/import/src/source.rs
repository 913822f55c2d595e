//! A file of weights with the settings beside it: tensors under the names that they have in the program of the model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ptu_checkpoint::{Checkpoint, Format};
use ptu_model::weights::Array;
use serde_json::Value;

use crate::error::{ImportError, Part};
use crate::place::Place;
use crate::{onnx, settings};

/// Names of the layer norms of BERT in files of TensorFlow's time, and their names since.
const OLD_NAMES: &[(&str, &str)] = &[("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")];

/// An opened file of weights.
pub(crate) struct Source {
    checkpoint: Checkpoint,
    places: BTreeMap<String, Place>,
    /// `config.json` of the same folder, or null.
    pub(crate) config: Value,
}

impl Source {
    /// Opens a file of weights or a folder with one.
    ///
    /// # Errors
    /// When the weights cannot be opened or `config.json` is not JSON.
    pub(crate) fn open(path: &Path) -> Result<Self, ImportError> {
        let checkpoint = Checkpoint::open(path)?;
        let mut places: BTreeMap<String, Place> =
            checkpoint.names().map(|name| (current_name(name), Place::of(name))).collect();
        if checkpoint.format() == Format::Onnx {
            onnx::name_weights(&checkpoint, &mut places);
        }
        let config = settings::read(&settings::beside(checkpoint.path(), "config.json"))?.unwrap_or(Value::Null);
        Ok(Self { checkpoint, places, config })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        self.checkpoint.path()
    }

    /// A file of this name in the folder of the weights.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        settings::beside(self.path(), name)
    }

    /// What a PyTorch checkpoint says beside its weights.
    pub(crate) fn values(&self) -> &BTreeMap<String, ptu_checkpoint::Value> {
        self.checkpoint.values()
    }

    /// The names of all weights, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// Whether there is a weight of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Whether there is a weight of this name that is no floating-point number.
    pub(crate) fn is_integer(&self, name: &str) -> bool {
        let tensor = self.places.get(name).and_then(|place| place.parts.first());
        tensor.and_then(|tensor| self.checkpoint.info(tensor)).is_some_and(|info| !info.dtype.is_float())
    }

    /// Shape of a weight.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let place = self.places.get(name)?;
        let mut shape = self.checkpoint.info(place.parts.first()?)?.shape.clone();
        for part in &place.parts[1..] {
            let more = &self.checkpoint.info(part)?.shape;
            let joined = shape.len().checked_sub(2)?;
            shape[joined] += more.get(joined)?;
        }
        if place.transposed {
            shape.reverse();
        }
        Some(shape)
    }

    /// Reads a weight.
    ///
    /// # Errors
    /// When it cannot be read, or contains NaN or an infinite value.
    pub(crate) fn read(&self, name: &str) -> Result<Array, ImportError> {
        let place = self.places.get(name).cloned().unwrap_or_else(|| Place::of(name));
        let mut values = vec![];
        for part in &place.parts {
            values.extend(self.checkpoint.read(part)?);
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let (path, name) = (self.path().into(), name.into());
            return Err(ImportError::NotFinite { path, name, value: values[index], index });
        }
        let shape = self.shape(name).unwrap_or_default();
        if let (true, &[rows, columns]) = (place.transposed, shape.as_slice()) {
            let places = (0..rows).flat_map(|row| (0..columns).map(move |column| column * rows + row));
            values = places.map(|place| values[place]).collect();
        }
        Ok(Array { shape, values })
    }

    /// The number of blocks whose weights begin with `block`, where `{}` stands for the number.
    pub(crate) fn blocks(&self, block: &str) -> usize {
        let begins = |number: usize| block.replace("{}", &number.to_string());
        let mut count = 0;
        while self.starts_with(&begins(count)) {
            count += 1;
        }
        count
    }

    fn starts_with(&self, beginning: &str) -> bool {
        self.places.range(beginning.to_string()..).next().is_some_and(|(name, _)| name.starts_with(beginning))
    }

    /// What stands before `anchor` in the one name that ends with it; `None` if there is no such name. `also` must exist behind the
    /// same prefix.
    ///
    /// # Errors
    /// When there are several.
    pub(crate) fn prefix(&self, anchor: &str, also: &[&str]) -> Result<Option<String>, ImportError> {
        let prefixes = self.names().filter_map(|name| name.strip_suffix(anchor));
        let whole = |prefix: &&str| prefix.is_empty() || prefix.ends_with('.');
        let complete = |prefix: &&str| also.iter().all(|rest| self.has(&format!("{prefix}{rest}")));
        let mut found: Vec<String> = prefixes.filter(whole).filter(complete).map(str::to_string).collect();
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(ImportError::Ambiguous { path: self.path().into(), names: found }),
        }
    }

    /// The error for a file without a known layout.
    pub(crate) fn unknown(&self, wanted: Part) -> ImportError {
        ImportError::UnknownLayout {
            path: self.path().into(),
            wanted,
            names: self.names().take(8).map(str::to_string).collect(),
        }
    }
}

/// The name that a tensor has in programs of today.
fn current_name(name: &str) -> String {
    let old = OLD_NAMES.iter().find_map(|(old, new)| Some(format!("{}{new}", name.strip_suffix(old)?)));
    old.unwrap_or_else(|| name.to_string())
}
