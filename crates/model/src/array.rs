//! Arrays on the host, as stored in weight files.

use std::borrow::Cow;
use std::collections::BTreeMap;

use safetensors::{Dtype, View};

/// Arrays by name.
pub type Arrays = BTreeMap<String, Array>;

/// An f32 array on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Shape, outermost dimension first.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
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
