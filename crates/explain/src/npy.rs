//! Arrays as NumPy reads them (format version 1.0).

/// The bytes of a `.npy` file of 32-bit floats, row by row.
///
/// # Panics
/// If there are not as many values as the shape says.
pub fn npy(values: &[f32], shape: &[usize]) -> Vec<u8> {
    assert_eq!(values.len(), shape.iter().product::<usize>(), "the values fit the shape");
    let sizes: Vec<String> = shape.iter().map(|size| format!("{size},")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.join(" "));
    // The header ends with a line break, so that values begin at a multiple of 64 bytes.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = length - 1).bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_type_and_shape() {
        let bytes = npy(&[1.0, 2.0, 3.0], &[3, 1]);
        let text = String::from_utf8_lossy(&bytes[10..128]);
        assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1,), }"), "{text}");
        assert_eq!((bytes.len(), bytes[127]), (128 + 12, b'\n'));
        assert_eq!(bytes[128..132], 1.0f32.to_le_bytes());
    }
}
