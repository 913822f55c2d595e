//! Types of the elements of a tensor, and their conversion to 32-bit floats.

use std::fmt;

use half::{bf16, f16};

/// The type of the elements of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// 16-bit float of IEEE 754.
    F16,
    /// 16-bit float with the exponent of a 32-bit float.
    BF16,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 16-bit integer.
    I16,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 64-bit integer.
    U64,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 8-bit integer.
    U8,
    /// Truth values, one byte each.
    Bool,
    /// Complex number of two 32-bit floats.
    C64,
    /// Complex number of two 64-bit floats.
    C128,
    /// A type that has no use as a weight here: 8-bit floats, quantised numbers, texts.
    Other,
}

impl Dtype {
    /// Whether [`crate::Checkpoint::read`] reads it: the four types of floats.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }

    /// Bytes of one element; `None` of [`Dtype::Other`].
    pub fn size(self) -> Option<usize> {
        match self {
            Self::C128 => Some(16),
            Self::F64 | Self::I64 | Self::U64 | Self::C64 => Some(8),
            Self::F32 | Self::I32 | Self::U32 => Some(4),
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => Some(2),
            Self::I8 | Self::U8 | Self::Bool => Some(1),
            Self::Other => None,
        }
    }
}

impl fmt::Display for Dtype {
    /// The name of the type in PyTorch.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F64 => "float64",
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I16 => "int16",
            Self::I8 => "int8",
            Self::U64 => "uint64",
            Self::U32 => "uint32",
            Self::U16 => "uint16",
            Self::U8 => "uint8",
            Self::Bool => "bool",
            Self::C64 => "complex64",
            Self::C128 => "complex128",
            Self::Other => "other",
        })
    }
}

/// The elements of little-endian bytes at these positions as 32-bit floats; `None` of a type that is no float. A 64-bit
/// float is rounded to the nearest.
///
/// # Panics
/// When a position is beyond the bytes.
pub(crate) fn to_f32(dtype: Dtype, bytes: &[u8], positions: impl Iterator<Item = usize>) -> Option<Vec<f32>> {
    #[expect(clippy::cast_possible_truncation, reason = "rounding to 32 bits is what is asked for")]
    Some(match dtype {
        Dtype::F64 => pick(bytes, positions, |element| f64::from_le_bytes(element) as f32),
        Dtype::F32 => pick(bytes, positions, f32::from_le_bytes),
        Dtype::F16 => pick(bytes, positions, |element| f16::from_le_bytes(element).to_f32()),
        Dtype::BF16 => pick(bytes, positions, |element| bf16::from_le_bytes(element).to_f32()),
        _ => return None,
    })
}

fn pick<const N: usize>(
    bytes: &[u8],
    positions: impl Iterator<Item = usize>,
    convert: impl Fn([u8; N]) -> f32,
) -> Vec<f32> {
    let (elements, _) = bytes.as_chunks::<N>();
    positions.map(|position| convert(elements[position])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_of_all_widths_are_converted() {
        let third = 1.0_f64 / 3.0;
        assert_eq!(to_f32(Dtype::F64, &third.to_le_bytes(), 0..1), Some(vec![1.0_f32 / 3.0]));
        assert_eq!(to_f32(Dtype::F32, &[0, 0, 128, 63, 0, 0, 0, 192], [1, 0].into_iter()), Some(vec![-2.0, 1.0]));
        // Bit patterns of IEEE 754: 0x3555 is 0.333251953125, 0x0001 the smallest number 2^-24; bfloat16 0x3eab is 0.333984375.
        assert_eq!(to_f32(Dtype::F16, &[0x55, 0x35, 1, 0], 0..2), Some(vec![0.333_251_95, 2.0_f32.powi(-24)]));
        assert_eq!(to_f32(Dtype::BF16, &[0xab, 0x3e], 0..1), Some(vec![0.333_984_38]));
        assert_eq!(to_f32(Dtype::I64, &[0; 8], 0..1), None);
    }
}
