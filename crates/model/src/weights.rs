//! Weights in files: safetensors under published names and in published layout, so that other programs read them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path as File;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, View};

use crate::files::{read, write_atomically};
use crate::names::{Kind, is_unused, name_of};
use crate::{Model, ModelConfig, ModelError, Path, positions};

/// Plain arrays by name.
pub type Arrays = BTreeMap<String, Array>;

/// An f32 array on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Shape, outermost first.
    pub shape: Vec<usize>,
    /// Values, row by row.
    pub values: Vec<f32>,
}

/// The largest weights file that is read, in bytes.
const LARGEST: u64 = 64 << 30;
const POSITIONS: &str = "vision_encoder.visual.positional_embedding";

impl Model {
    /// Every weight under its published name, in published layout.
    pub fn to_arrays(&self) -> Arrays {
        let mut save = Save { path: Path::default(), arrays: Arrays::new(), patch: self.patch_side() };
        self.visit(&mut save);
        save.arrays
    }

    /// A model of the given sizes with these weights. Positions of another resolution are resized (SPEC 1). Returns also
    /// the names that took no part. `file` is for messages.
    ///
    /// # Errors
    /// A weight that is missing, unknown, or of another shape.
    pub fn from_arrays(
        config: &ModelConfig,
        mut arrays: Arrays,
        device: &Device,
        file: &File,
    ) -> Result<(Self, Vec<String>), ModelError> {
        if let Some(found) = arrays.get_mut(POSITIONS) {
            positions::fit(found, config.image.grid());
        }
        let model = Self::empty(config, device)?;
        let mut load = Load { path: Path::default(), arrays, missing: vec![], misfit: None };
        let model = model.map(&mut load);
        if let Some((name, found, expected)) = load.misfit {
            return Err(ModelError::Shape { path: file.into(), name, found, expected });
        }
        if !load.missing.is_empty() {
            return Err(ModelError::MissingWeights { path: file.into(), names: load.missing });
        }
        let unused: Vec<String> = load.arrays.into_keys().collect();
        match unused.iter().find(|name| !is_unused(name, config.image.used_layers())) {
            Some(name) => Err(ModelError::UnknownWeight { path: file.into(), name: name.clone() }),
            None => Ok((model, unused)),
        }
    }

    fn patch_side(&self) -> usize {
        ((self.image.patch.weight.val().dims()[0] / 3) as f64).sqrt().round() as usize
    }
}

struct Save {
    path: Path,
    arrays: Arrays,
    patch: usize,
}

impl ModuleVisitor for Save {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = name_of(&self.path.to_string()).expect("every weight has a row in names.rs, which a test visits");
        self.arrays.insert(name.published, published(param.val().inner(), name.kind, self.patch));
    }
}

/// A tensor of our tree (a weight, or its gradient) in published layout; `patch` is the side of a patch.
fn published<const D: usize>(tensor: Tensor<D>, kind: Kind, patch: usize) -> Array {
    let tensor = match kind {
        Kind::Matrix | Kind::Patch => tensor.swap_dims(0, 1),
        Kind::Table | Kind::Bias | Kind::Norm { .. } | Kind::Projection => tensor,
    };
    let mut shape = tensor.dims().to_vec();
    if kind == Kind::Patch {
        shape = vec![shape[0], 3, patch, patch];
    }
    Array { shape, values: tensor.into_data().try_into_vec().expect("the model computes in f32") }
}

struct Load {
    path: Path,
    arrays: Arrays,
    missing: Vec<String>,
    misfit: Option<(String, Vec<usize>, Vec<usize>)>,
}

impl ModuleMapper for Load {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = name_of(&self.path.to_string()).expect("every weight has a row in names.rs, which a test visits");
        let Some(array) = self.arrays.remove(&name.published) else {
            self.missing.push(name.published);
            return param;
        };
        let ours = param.lazy_shape().to_vec();
        let fits = match name.kind {
            Kind::Matrix => array.shape == [ours[1], ours[0]],
            Kind::Patch => {
                array.shape.len() == 4
                    && array.shape[0] == ours[1]
                    && array.shape[1..].iter().product::<usize>() == ours[0]
            }
            Kind::Table | Kind::Bias | Kind::Norm { .. } | Kind::Projection => array.shape == ours,
        };
        if !fits {
            self.misfit.get_or_insert((name.published, array.shape, ours));
            return param;
        }
        param.map(|old| {
            let (device, tracked) = (old.device(), old.is_require_grad());
            let fresh = match name.kind {
                Kind::Matrix | Kind::Patch => {
                    let values = transpose(&array.values, ours[0]);
                    Tensor::from_data(TensorData::new(values, ours), &device)
                }
                Kind::Table | Kind::Bias | Kind::Norm { .. } | Kind::Projection => {
                    Tensor::from_data(TensorData::new(array.values, ours), &device)
                }
            };
            if tracked { fresh.require_grad() } else { fresh }
        })
    }
}

/// `[rows, columns]` row by row -> `[columns, rows]`.
fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    let mut out = vec![0f32; values.len()];
    for (row, values) in values.chunks_exact(columns).enumerate() {
        values.iter().enumerate().for_each(|(column, value)| out[column * rows + row] = *value);
    }
    out
}

/// Reads a safetensors file of f32 arrays. The format holds no code; sizes are checked before anything is allocated.
///
/// # Errors
/// A file that cannot be read, is no safetensors file, or holds another type than f32.
pub fn read_arrays(path: &File) -> Result<Arrays, ModelError> {
    let bytes = read(path, LARGEST)?;
    let format = |cause: String| ModelError::Format {
        path: path.into(),
        expected: "a safetensors file of 32-bit floats",
        cause,
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| format(error.to_string()))?;
    let mut arrays = Arrays::new();
    for (name, view) in tensors.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(format(format!("`{name}` holds {:?}", view.dtype())));
        }
        let values = view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
            .collect();
        arrays.insert(name.into(), Array { shape: view.shape().to_vec(), values });
    }
    Ok(arrays)
}

/// Writes a safetensors file: to a temporary name, synced, renamed.
///
/// # Errors
/// When the file cannot be written.
pub fn write_arrays(path: &File, arrays: &Arrays) -> Result<(), ModelError> {
    write_atomically(path, |temporary| {
        // What `transformers` asks of a file before it loads it. One entry only: the header's order must not vary.
        let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
        safetensors::serialize_to_file(arrays, Some(metadata), temporary).map_err(std::io::Error::other)
    })
}

impl View for &Array {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        if cfg!(target_endian = "little") {
            Cow::Borrowed(bytemuck::cast_slice(&self.values))
        } else {
            Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        }
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}
