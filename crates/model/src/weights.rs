//! Weight files: safetensors with published names and in published layout, so that other programs can read them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::Path as File;

use burn::module::Param;
use burn::tensor::{AllocationProperty, Bytes, DType, Device, Tensor, TensorData};
use ptu_checkpoint::CheckpointError;
use ptu_input::files::write_atomically;
use safetensors::{Dtype, SafeTensors, View};

pub use crate::array::{Array, Arrays};
use crate::files::write_error;
use crate::names::{Kind, Name, is_unused};
use crate::{Model, ModelConfig, ModelError, WeightMapper, WeightVisitor, positions};

const POSITIONS: &str = "vision_encoder.visual.positional_embedding";

impl Model {
    /// Every weight, with its published name and in published layout.
    pub fn to_arrays(&self) -> Arrays {
        let mut save = Save { arrays: Arrays::new(), patch: self.config().image.patch };
        self.visit_weights(&mut save);
        save.arrays
    }

    /// Writes the weights into a safetensors file, in the form of [`write_arrays`]. One of them at a time is copied.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_weights(&self, path: &File) -> Result<(), ModelError> {
        let mut weights = Weights { weights: BTreeMap::new(), patch: self.config().image.patch };
        self.visit_weights(&mut weights);
        write_views(path, weights.weights)
    }

    /// Refuses weights that are NaN or infinite; `file` appears in the error.
    ///
    /// # Errors
    /// [`ModelError::WeightNotFinite`] with the first one.
    pub fn check_finite(&self, file: &File) -> Result<(), ModelError> {
        let mut check = NotFinite(None);
        self.visit_weights(&mut check);
        check.0.map_or(Ok(()), |name| Err(ModelError::WeightNotFinite { path: file.into(), name }))
    }

    /// Published name and shape of each weight of a model with this configuration. No weights are created.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the configuration is not valid.
    pub fn shapes(config: &ModelConfig) -> Result<BTreeMap<String, Vec<usize>>, ModelError> {
        let mut shapes = Shapes { shapes: BTreeMap::new(), patch: config.image.patch };
        Self::empty(config, &Device::flex())?.visit_weights(&mut shapes);
        Ok(shapes.shapes)
    }

    /// Loads the weights of a safetensors file into a model of this configuration; see [`Self::from_arrays`]. On a CPU the
    /// file is mapped into memory: a weight is read when it is first used, and copied when it is first changed.
    ///
    /// # Errors
    /// Those of [`Self::from_arrays`], and when the file cannot be read or is not a safetensors file of f32 arrays.
    pub fn load(config: &ModelConfig, file: &File, device: &Device) -> Result<(Self, Vec<String>), ModelError> {
        Self::from_stored(config, read_stored(file)?, device, file)
    }

    /// Creates a model of this configuration with these weights. Position embeddings of another resolution are resized
    /// (specification, section 1). Also returns the names of the arrays that were not used. `file` appears in error messages.
    ///
    /// # Errors
    /// When a weight is missing, is unknown, or has another shape.
    ///
    /// # Panics
    /// If the number of values of an array does not match its shape.
    pub fn from_arrays(
        config: &ModelConfig,
        arrays: Arrays,
        device: &Device,
        file: &File,
    ) -> Result<(Self, Vec<String>), ModelError> {
        Self::from_stored(config, to_stored(arrays), device, file)
    }

    fn from_stored(
        config: &ModelConfig,
        stored: Stored,
        device: &Device,
        file: &File,
    ) -> Result<(Self, Vec<String>), ModelError> {
        let model = Self::empty(config, device)?;
        let mut load = Load::new(stored, config);
        let model = model.map_weights(&mut load);
        Ok((model, load.finish(config, file)?))
    }
}

struct Save {
    arrays: Arrays,
    patch: usize,
}

impl WeightVisitor for Save {
    fn visit<const D: usize>(&mut self, name: Name, param: &Param<Tensor<D>>) {
        self.arrays.insert(name.published, published(param.val().inner(), name.kind, self.patch));
    }
}

/// The weights of a model by published name, to be written.
struct Weights {
    weights: BTreeMap<String, Weight>,
    patch: usize,
}

/// A weight that is copied when it is written.
struct Weight {
    shape: Vec<usize>,
    /// Length of the first axis of the tensor.
    rows: usize,
    /// Some of these rows: the first one, and their number.
    part: Box<dyn Fn(usize, usize) -> TensorData>,
}

/// Number of elements that are copied at a time.
const COPIED: usize = 1 << 20;

impl WeightVisitor for Weights {
    fn visit<const D: usize>(&mut self, name: Name, param: &Param<Tensor<D>>) {
        let tensor = param.val().inner();
        let shape = published_shape(&tensor.dims(), name.kind, self.patch);
        let rows = tensor.dims().first().copied().unwrap_or(1);
        let part = move |start, count| tensor.clone().narrow(0, start, count).into_data();
        self.weights.insert(name.published, Weight { shape, rows, part: Box::new(part) });
    }
}

impl View for Weight {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // Copied once, part by part, into an allocation of the right size: the largest weights are a tenth of a model.
        let mut bytes = Vec::with_capacity(self.data_len());
        let row = self.data_len() / 4 / self.rows.max(1);
        let at_a_time = (COPIED / row.max(1)).max(1);
        for start in (0..self.rows).step_by(at_a_time) {
            let part = (self.part)(start, at_a_time.min(self.rows - start));
            let values = part.as_slice::<f32>().expect("the model computes in f32");
            values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        }
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        4 * self.shape.iter().product::<usize>()
    }
}

/// The name of the first weight that is not finite.
struct NotFinite(Option<String>);

impl WeightVisitor for NotFinite {
    fn visit<const D: usize>(&mut self, name: Name, param: &Param<Tensor<D>>) {
        if self.0.is_none() {
            let values: Vec<f32> = param.val().inner().into_data().try_into_vec().expect("the model computes in f32");
            self.0 = (!values.iter().all(|value| value.is_finite())).then_some(name.published);
        }
    }
}

struct Shapes {
    shapes: BTreeMap<String, Vec<usize>>,
    patch: usize,
}

impl WeightVisitor for Shapes {
    fn visit<const D: usize>(&mut self, name: Name, param: &Param<Tensor<D>>) {
        self.shapes.insert(name.published, published_shape(&param.lazy_shape(), name.kind, self.patch));
    }
}

/// A weight in published shape; `patch` is the height and width of a patch.
fn published<const D: usize>(tensor: Tensor<D>, kind: Kind, patch: usize) -> Array {
    let shape = published_shape(&tensor.dims(), kind, patch);
    Array { shape, values: tensor.into_data().try_into_vec().expect("the model computes in f32") }
}

fn published_shape(shape: &[usize], kind: Kind, patch: usize) -> Vec<usize> {
    match kind {
        Kind::Patch => vec![shape[0], 3, patch, patch],
        _ => shape.to_vec(),
    }
}

/// Arrays by name, as stored in a file.
pub(crate) type Stored = BTreeMap<String, TensorData>;

/// Arrays in the form in which files are read.
pub(crate) fn to_stored(arrays: Arrays) -> Stored {
    arrays.into_iter().map(|(name, array)| (name, TensorData::new(array.values, array.shape))).collect()
}

/// Takes the weights of a model out of the arrays of a file.
pub(crate) struct Load {
    /// The arrays that were not taken yet.
    pub(crate) stored: Stored,
    missing: Vec<String>,
    /// The first weight with a wrong shape: name, shape in the file, shape in the model.
    wrong_shape: Option<(String, Vec<usize>, Vec<usize>)>,
}

impl Load {
    /// The arrays of a file for a model of this configuration; position embeddings of another resolution are resized.
    pub(crate) fn new(mut stored: Stored, config: &ModelConfig) -> Self {
        if let Some(found) = stored.get_mut(POSITIONS) {
            let mut array = array(found);
            positions::fit(&mut array, config.image.grid(), usize::from(config.image.class_token));
            *found = TensorData::new(array.values, array.shape);
        }
        Self { stored, missing: vec![], wrong_shape: None }
    }

    /// The names of the arrays that were not taken, after all weights were mapped.
    ///
    /// # Errors
    /// When a weight was missing or had another shape, or when an array is unknown.
    pub(crate) fn finish(&mut self, config: &ModelConfig, file: &File) -> Result<Vec<String>, ModelError> {
        let path = || file.into();
        if let Some((name, found, expected)) = self.wrong_shape.take() {
            return Err(ModelError::Shape { path: path(), name, found, expected });
        }
        if !self.missing.is_empty() {
            return Err(ModelError::MissingWeights { path: path(), names: std::mem::take(&mut self.missing) });
        }
        let unused: Vec<String> = std::mem::take(&mut self.stored).into_keys().collect();
        match unused.iter().find(|name| !is_unused(name, config.image.used_layers())) {
            Some(name) => Err(ModelError::UnknownWeight { path: path(), name: name.clone() }),
            None => Ok(unused),
        }
    }
}

impl WeightMapper for Load {
    fn map<const D: usize>(&mut self, name: Name, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(found) = self.stored.remove(&name.published) else {
            self.missing.push(name.published);
            return param;
        };
        let (ours, shape) = (param.lazy_shape().to_vec(), found.shape().to_vec());
        let fits = match name.kind {
            Kind::Patch => shape.len() == 4 && [shape[0], shape[1..].iter().product()] == *ours,
            _ => shape == ours,
        };
        if !fits {
            self.wrong_shape.get_or_insert((name.published, shape, ours));
            return param;
        }
        let found = TensorData::from_bytes(found.into_bytes(), ours, DType::F32);
        let (found, id) = (Tensor::from_data(found, &param.lazy_device()), param.id);
        param.transform_for_load(found, id)
    }
}

/// Reads a safetensors file of f32 arrays into memory.
///
/// # Errors
/// When the file cannot be read, is not a safetensors file, or contains a type other than f32.
pub fn read_arrays(path: &File) -> Result<Arrays, ModelError> {
    Ok(read_stored(path)?.iter().map(|(name, data)| (name.clone(), array(data))).collect())
}

pub(crate) fn array(data: &TensorData) -> Array {
    Array { shape: data.shape().to_vec(), values: data.try_to_vec().expect("arrays of other types are rejected") }
}

/// Maps a safetensors file into memory. The format cannot contain code. All sizes are checked against the file before any
/// value is accessed.
pub(crate) fn read_stored(path: &File) -> Result<Stored, ModelError> {
    let format = |cause: String| ModelError::Format {
        path: path.into(),
        expected: "a safetensors file of 32-bit floats",
        cause,
    };
    let file = ptu_checkpoint::map(path).map_err(|error| match error {
        CheckpointError::File { path, source, .. } => ModelError::File { action: "read", path, source },
        other => format(other.to_string()),
    })?;
    let tensors = SafeTensors::deserialize(&file).map_err(|error| format(error.to_string()))?;
    let mut stored = Stored::new();
    for (name, view) in tensors.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(format(format!("the type of `{name}` is {:?}", view.dtype())));
        }
        let data = match bytemuck::try_cast_slice::<u8, f32>(view.data()) {
            Ok(_) if cfg!(target_endian = "little") => {
                let bytes = Bytes::from_shared(file.slice_ref(view.data()), AllocationProperty::File);
                TensorData::from_bytes(bytes, view.shape().to_vec(), DType::F32)
            }
            // The data is not aligned for f32, or this machine is big-endian: copy it.
            _ => {
                let floats = view.data().chunks_exact(4);
                let floats = floats.map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")));
                TensorData::new(floats.collect::<Vec<f32>>(), view.shape().to_vec())
            }
        };
        stored.insert(name.into(), data);
    }
    Ok(stored)
}

/// Writes a safetensors file: it is written under a temporary name, synced to disk, and renamed.
///
/// # Errors
/// When the file cannot be written.
pub fn write_arrays(path: &File, arrays: &Arrays) -> Result<(), ModelError> {
    write_views(path, arrays)
}

fn write_views<N, V>(path: &File, views: impl IntoIterator<Item = (N, V)>) -> Result<(), ModelError>
where
    N: AsRef<str> + Ord + Display,
    V: View,
{
    write_atomically(path, |temporary| {
        // `transformers` requires this entry to load the file. Only one entry, because the order of several entries would not
        // be fixed.
        let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
        safetensors::serialize_to_file(views, Some(metadata), temporary).map_err(std::io::Error::other)
    })
    .map_err(write_error(path))
}

#[cfg(test)]
mod tests {
    use ptu_random::Key;

    use super::*;
    use crate::{Preset, TextStyle};

    #[test]
    fn weights_that_are_written_one_by_one_give_the_bytes_of_all_at_once() {
        let config = Preset::Tiny.config(TextStyle::Roberta, 50, [0, 2, 1]);
        let model = Model::new(&config, Key::new(3), &Device::flex()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [one, all] = ["one", "all"].map(|name| folder.path().join(name));
        model.write_weights(&one).unwrap();
        write_arrays(&all, &model.to_arrays()).unwrap();
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&all).unwrap());
        assert_eq!(read_arrays(&one).unwrap(), model.to_arrays());
    }
}
