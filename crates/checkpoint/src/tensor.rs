//! One tensor of a checkpoint: shape and type, and where its elements lie in the mapped file.

use bytes::Bytes;

use crate::Dtype;
use crate::dtype::to_f32;
use crate::error::{Problem, damaged, unsupported};
use crate::wire::bits16;

/// The most dimensions of a tensor. Weights have up to five.
pub(crate) const MAX_DIMENSIONS: usize = 16;

/// Shape and element type of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Size of each dimension; empty for a single number.
    pub shape: Vec<usize>,
    /// Type of the elements in the file.
    pub dtype: Dtype,
}

/// A tensor that was found in a file, with its elements still there.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) info: TensorInfo,
    data: Data,
}

#[derive(Debug)]
enum Data {
    /// Elements of a storage, in steps of `strides` elements from element `offset`.
    Strided { storage: Bytes, offset: usize, strides: Vec<usize> },
    /// 16-bit floats as varints of their bits, as ONNX keeps them in `int32_data`.
    Varints(Bytes),
    /// Elements of a type that is not read.
    Unread,
}

/// A view of a storage, as PyTorch describes a tensor. Offset and strides count elements.
pub(crate) struct View {
    pub(crate) storage: Bytes,
    pub(crate) offset: usize,
    pub(crate) strides: Vec<usize>,
}

impl Stored {
    /// A tensor in a storage. `name` appears in errors.
    ///
    /// # Errors
    /// When the number of elements overflows, or an element lies beyond the storage.
    pub(crate) fn strided(name: &str, info: TensorInfo, view: View) -> Result<Self, Problem> {
        let View { storage, offset, strides } = view;
        let place = || format!("tensor `{name}`");
        let count = elements(name, &info.shape)?;
        let Some(size) = info.dtype.size() else { return Ok(Self { info, data: Data::Unread }) };
        if strides.len() != info.shape.len() {
            return Err(damaged(place(), "it has another number of strides than of dimensions"));
        }
        let held = storage.len() / size;
        let last = info.shape.iter().zip(&strides).try_fold(offset, |last, (&length, &stride)| {
            length.saturating_sub(1).checked_mul(stride).and_then(|steps| last.checked_add(steps))
        });
        if count > 0 && last.is_none_or(|last| last >= held) {
            let cause = format!("shape and strides reach beyond its storage of {held} elements");
            return Err(damaged(place(), cause));
        }
        Ok(Self { info, data: Data::Strided { storage, offset, strides } })
    }

    /// A tensor whose elements lie one behind the other (row-major) and fill these bytes.
    ///
    /// # Errors
    /// When the number of elements overflows or is not the one of the bytes.
    pub(crate) fn contiguous(name: &str, info: TensorInfo, storage: Bytes) -> Result<Self, Problem> {
        let count = elements(name, &info.shape)?;
        let expected = info.dtype.size().map(|size| count.checked_mul(size));
        if expected.is_some_and(|expected| expected != Some(storage.len())) {
            let cause = format!("it needs {count} elements of type {}, but has {} bytes", info.dtype, storage.len());
            return Err(damaged(format!("tensor `{name}`"), cause));
        }
        let strides = row_major(&info.shape);
        Self::strided(name, info, View { storage, offset: 0, strides })
    }

    /// A tensor of 16-bit floats whose bits are varints.
    ///
    /// # Errors
    /// When the number of elements overflows or is larger than the number of bytes.
    pub(crate) fn varints(name: &str, info: TensorInfo, storage: Bytes) -> Result<Self, Problem> {
        if elements(name, &info.shape)? > storage.len() {
            return Err(damaged(format!("tensor `{name}`"), "it has fewer values than elements"));
        }
        Ok(Self { info, data: Data::Varints(storage) })
    }

    /// A tensor of a type that is not read: only shape and type are known.
    ///
    /// # Errors
    /// When the number of elements overflows.
    pub(crate) fn unread(name: &str, info: TensorInfo) -> Result<Self, Problem> {
        elements(name, &info.shape)?;
        Ok(Self { info, data: Data::Unread })
    }

    /// The elements in row-major order, as 32-bit floats; `None` if they are no floats.
    ///
    /// # Errors
    /// When the strides repeat elements so that there are more than the storage holds: a small file could then ask for any
    /// amount of memory. When varints do not fit 16 bits.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<f32>>, Problem> {
        let TensorInfo { shape, dtype } = &self.info;
        let Some(size) = dtype.size().filter(|_| dtype.is_float()) else { return Ok(None) };
        let count = elements(name, shape)?;
        match &self.data {
            Data::Unread => Ok(None),
            Data::Strided { storage, .. } if count > storage.len() / size => Err(unsupported(
                format!("tensor `{name}`"),
                "its strides repeat elements, so that it has more of them than its storage",
            )),
            Data::Strided { storage, offset, strides } if *strides == row_major(shape) => {
                Ok(to_f32(*dtype, storage, *offset..*offset + count))
            }
            Data::Strided { storage, offset, strides } => {
                Ok(to_f32(*dtype, storage, Positions::new(*offset, shape, strides, count)))
            }
            Data::Varints(bytes) => {
                let bits = bits16(bytes, count).map_err(|cause| damaged(format!("tensor `{name}`"), cause))?;
                Ok(to_f32(*dtype, &bits, 0..count))
            }
        }
    }
}

/// The number of elements of a shape.
fn elements(name: &str, shape: &[usize]) -> Result<usize, Problem> {
    let place = || format!("tensor `{name}`");
    if shape.len() > MAX_DIMENSIONS {
        let cause = format!("it has {} dimensions; at most {MAX_DIMENSIONS} are supported", shape.len());
        return Err(unsupported(place(), cause));
    }
    // Dimensions of size 0 count as 1 here, so that no order of multiplication overflows for whoever uses the shape.
    let product = shape.iter().try_fold(8_usize, |product, &length| product.checked_mul(length.max(1)));
    match product.filter(|bytes| isize::try_from(*bytes).is_ok()) {
        Some(bytes) => Ok(if shape.contains(&0) { 0 } else { bytes / 8 }),
        None => Err(damaged(place(), "its shape has more elements than any memory holds")),
    }
}

fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for dimension in (1..shape.len()).rev() {
        strides[dimension - 1] = strides[dimension] * shape[dimension].max(1);
    }
    strides
}

/// Positions of the elements of a view in its storage, in row-major order.
struct Positions<'a> {
    shape: &'a [usize],
    strides: &'a [usize],
    index: Vec<usize>,
    position: usize,
    left: usize,
}

impl<'a> Positions<'a> {
    fn new(offset: usize, shape: &'a [usize], strides: &'a [usize], count: usize) -> Self {
        Self { shape, strides, index: vec![0; shape.len()], position: offset, left: count }
    }
}

impl Iterator for Positions<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let position = self.position;
        for dimension in (0..self.shape.len()).rev() {
            self.index[dimension] += 1;
            if self.index[dimension] < self.shape[dimension] {
                self.position += self.strides[dimension];
                break;
            }
            self.index[dimension] = 0;
            self.position -= (self.shape[dimension] - 1) * self.strides[dimension];
        }
        Some(position)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: u8) -> Bytes {
        (0..count).flat_map(|number| f32::from(number).to_le_bytes()).collect()
    }

    fn view(shape: &[usize], strides: &[usize], offset: usize) -> Result<Option<Vec<f32>>, Problem> {
        let info = TensorInfo { shape: shape.to_vec(), dtype: Dtype::F32 };
        Stored::strided("t", info, View { storage: numbers(6), offset, strides: strides.to_vec() })?.read("t")
    }

    #[test]
    fn strides_are_applied() {
        assert_eq!(view(&[2, 3], &[3, 1], 0).unwrap(), Some(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        assert_eq!(view(&[3, 2], &[1, 3], 0).unwrap(), Some(vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]), "transposed");
        assert_eq!(view(&[2], &[2], 1).unwrap(), Some(vec![1.0, 3.0]));
        assert_eq!(view(&[2, 2], &[0, 5], 0).unwrap(), Some(vec![0.0, 5.0, 0.0, 5.0]), "expanded");
        assert_eq!(view(&[], &[], 5).unwrap(), Some(vec![5.0]));
        assert_eq!(view(&[2, 0], &[9, 9], 7).unwrap(), Some(vec![]));
    }

    #[test]
    fn views_beyond_their_storage_are_refused() {
        assert!(view(&[2, 3], &[3, 1], 1).is_err());
        assert!(view(&[7], &[1], 0).is_err());
        assert!(view(&[], &[], 6).is_err());
        assert!(view(&[2], &[usize::MAX], 1).is_err());
        assert!(view(&[2], &[], 0).is_err());
        assert!(view(&[usize::MAX, 2], &[0, 0], 0).is_err());
        assert!(view(&[0, usize::MAX, usize::MAX], &[0, 0, 0], 0).is_err());
        assert!(view(&[1; 17], &[1; 17], 0).is_err());
        assert!(matches!(view(&[7], &[0], 0), Err(Problem::Unsupported { .. })), "more elements than the storage has");
    }

    #[test]
    fn bytes_have_the_size_of_the_shape() {
        let info = |shape: &[usize]| TensorInfo { shape: shape.to_vec(), dtype: Dtype::F32 };
        assert_eq!(Stored::contiguous("t", info(&[2]), numbers(2)).unwrap().read("t").unwrap(), Some(vec![0.0, 1.0]));
        assert!(Stored::contiguous("t", info(&[2]), numbers(3)).is_err());
        assert!(Stored::contiguous("t", info(&[4]), numbers(3)).is_err());
    }
}
