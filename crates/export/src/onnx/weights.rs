//! The file of weights that all graphs of an export share, so that each weight is stored once, and no graph reaches the 2 GB that a
//! protocol buffer may have.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use ptu_checkpoint::Checkpoint;

use super::proto::{self, element};
use crate::ExportError;

/// Name of the file, beside the graphs.
pub const WEIGHTS_FILE: &str = "weights.bin";
/// Tensors begin at multiples of this many bytes, so that they can be mapped.
const ALIGNMENT: u64 = 64;

/// Weights of a model by published name, and the shared file that is being written.
pub struct Weights<'c> {
    checkpoint: &'c Checkpoint,
    file: BufWriter<File>,
    /// Number of bytes that were written.
    length: u64,
    /// The tensors that are in the file, by the name of their initializer.
    stored: HashMap<String, proto::Tensor>,
}

/// A weight in memory, row by row.
pub struct Array<T = f32> {
    pub shape: Vec<usize>,
    pub values: Vec<T>,
}

/// A number of a weight.
pub trait Number {
    /// Its type in the format.
    const ELEMENT: i32;
    /// Its bytes, little-endian.
    fn bytes(&self) -> impl Iterator<Item = u8>;
}

impl Number for f32 {
    const ELEMENT: i32 = element::FLOAT;
    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.to_le_bytes().into_iter()
    }
}

impl Number for f64 {
    const ELEMENT: i32 = element::DOUBLE;
    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.to_le_bytes().into_iter()
    }
}

impl<'c> Weights<'c> {
    /// Starts the file in a folder.
    pub fn start(checkpoint: &'c Checkpoint, folder: &Path) -> Result<Self, ExportError> {
        let path = folder.join(WEIGHTS_FILE);
        let file = File::create(&path).map_err(|source| ExportError::write(&path, source))?;
        Ok(Self { checkpoint, file: BufWriter::new(file), length: 0, stored: HashMap::new() })
    }

    /// Whether the model has a weight.
    pub fn has(&self, name: &str) -> bool {
        self.checkpoint.info(name).is_some()
    }

    /// Reads a weight.
    pub fn read(&self, name: &str) -> Result<Array, ExportError> {
        let values = self.checkpoint.read(name)?;
        let shape = self.checkpoint.info(name).map(|info| info.shape.clone()).unwrap_or_default();
        Ok(Array { shape, values })
    }

    /// The initializer of this name; `make` gives its values if it is not in the file yet.
    pub fn store<T: Number>(
        &mut self,
        name: &str,
        make: impl FnOnce(&Self) -> Result<Array<T>, ExportError>,
    ) -> Result<proto::Tensor, ExportError> {
        if let Some(stored) = self.stored.get(name) {
            return Ok(stored.clone());
        }
        let Array { shape, values } = make(self)?;
        self.write(name, &shape, T::ELEMENT, values.iter().flat_map(Number::bytes))
    }

    fn write(
        &mut self,
        name: &str,
        shape: &[usize],
        data_type: i32,
        bytes: impl Iterator<Item = u8>,
    ) -> Result<proto::Tensor, ExportError> {
        let gap = self.length.next_multiple_of(ALIGNMENT) - self.length;
        let bytes: Vec<u8> = bytes.collect();
        let failed = |source| ExportError::write(Path::new(WEIGHTS_FILE), source);
        self.file.write_all(&vec![0; gap as usize]).and_then(|()| self.file.write_all(&bytes)).map_err(failed)?;
        let offset = self.length + gap;
        self.length = offset + bytes.len() as u64;
        let entry = |key: &str, value: String| proto::Entry { key: key.into(), value };
        let tensor = proto::Tensor {
            dims: shape.iter().map(|&size| size as i64).collect(),
            data_type,
            name: name.into(),
            raw_data: None,
            external_data: vec![
                entry("location", WEIGHTS_FILE.into()),
                entry("offset", offset.to_string()),
                entry("length", bytes.len().to_string()),
            ],
            data_location: Some(proto::EXTERNAL),
        };
        self.stored.insert(name.into(), tensor.clone());
        Ok(tensor)
    }

    /// Writes what is left.
    pub fn finish(mut self) -> Result<(), ExportError> {
        let failed = |source| ExportError::write(Path::new(WEIGHTS_FILE), source);
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(failed)
    }
}

impl Array {
    /// The transposed matrix.
    pub fn transposed(&self) -> Self {
        let [rows, columns] = [self.shape[0], self.shape[1]];
        let values = (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
        Self { shape: vec![columns, rows], values: values.map(|at| self.values[at]).collect() }
    }
}
