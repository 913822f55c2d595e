//! The wire format of protocol buffers: a message is a list of numbered fields. Written by hand, because weights must stay
//! in the mapped file: a generated reader copies them.

/// The content of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    /// A text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

impl<'a> Field<'a> {
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The fields of a message in the order of the file: number and content, or what is wrong.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = field(&mut self.0);
        if field.is_err() {
            self.0 = &[]; // nothing after it has a meaning
        }
        Some(field)
    }
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<(u64, Field<'a>), &'static str> {
    const EARLY: &str = "a field is longer than its message";
    let tag = varint(rest)?;
    let field = match tag & 7 {
        0 => Field::Varint(varint(rest)?),
        1 => Field::Fixed64(*take(rest, 8)?.first_chunk().ok_or(EARLY)?),
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| EARLY)?;
            Field::Bytes(take(rest, length)?)
        }
        5 => Field::Fixed32(*take(rest, 4)?.first_chunk().ok_or(EARLY)?),
        _ => return Err("a field has a type that ONNX does not use"),
    };
    Ok((tag >> 3, field))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], &'static str> {
    let (taken, after) = rest.split_at_checked(length).ok_or("a field is longer than its message")?;
    *rest = after;
    Ok(taken)
}

/// An integer in groups of seven bits, the lowest first.
pub(crate) fn varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or("a number is cut off")?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number has more than 64 bits")
}

/// The numbers of a repeated field: packed numbers, or one number.
pub(crate) fn varints(
    field: Field<'_>,
    each: &mut dyn FnMut(u64) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    match field {
        Field::Varint(value) => each(value),
        Field::Bytes(mut packed) => {
            while !packed.is_empty() {
                each(varint(&mut packed)?)?;
            }
            Ok(())
        }
        _ => Err("a list of integers has another type"),
    }
}

/// The 16-bit numbers of packed varints, little-endian. There must be `count`.
pub(crate) fn bits16(packed: &[u8], count: usize) -> Result<Vec<u8>, &'static str> {
    if count > packed.len() {
        return Err("it has fewer values than elements");
    }
    let mut bits = Vec::with_capacity(count * 2);
    varints(Field::Bytes(packed), &mut |value| {
        if bits.len() == count * 2 {
            return Err("it has more values than elements");
        }
        bits.extend(u16::try_from(value).map_err(|_| "a value does not fit 16 bits")?.to_le_bytes());
        Ok(())
    })?;
    if bits.len() == count * 2 { Ok(bits) } else { Err("it has fewer values than elements") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_specification_writes_them() {
        // Examples of the specification: field 1 is the varint 150, field 2 the text "testing".
        let message = [&[0x08, 0x96, 0x01, 0x12, 7][..], b"testing"].concat();
        let fields: Result<Vec<_>, _> = Fields(&message).collect();
        assert_eq!(fields.unwrap(), [(1, Field::Varint(150)), (2, Field::Bytes(b"testing"))]);
    }

    #[test]
    fn damaged_messages_end_with_an_error() {
        for message in [
            &[0x08][..],
            &[0x80; 11],
            &[0x12, 5, 1],
            &[0x0b],
            &[0x09, 1, 2],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert!(Fields(message).any(|field| field.is_err()), "{message:?}");
        }
    }

    #[test]
    fn sixteen_bits_are_counted() {
        assert_eq!(bits16(&[0x80, 0x78, 1], 2), Ok(vec![0, 0x3c, 1, 0]));
        assert!(bits16(&[1], 2).is_err() && bits16(&[1, 1], 1).is_err() && bits16(&[0xff, 0xff, 0x7f], 1).is_err());
    }
}
