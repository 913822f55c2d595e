//! Operations of a pickle that push a number, a text or bytes.

use super::Machine;
use crate::error::Problem;
use crate::torch::object::Object;

/// The longest text in bytes.
const MAX_TEXT: usize = 1 << 20;

impl Machine<'_> {
    /// Numbers, texts and bytes.
    pub(super) fn literal(&mut self, code: u8) -> Result<bool, Problem> {
        let object = match code {
            0x80 => return self.protocol(),
            0x95 => {
                // A frame says how many bytes follow. They are here already.
                self.array::<8>()?;
                return Ok(true);
            }
            b'N' => Object::None,
            0x88 => Object::Bool(true),
            0x89 => Object::Bool(false),
            b'K' => Object::Int(self.byte()?.into()),
            b'M' => Object::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Object::Int(i32::from_le_bytes(self.array()?).into()),
            0x8a => self.long()?,
            b'G' => Object::Float(f64::from_be_bytes(self.array()?)),
            b'X' | b'T' => {
                let length = self.length32()?;
                self.text(length, code == b'T')?
            }
            0x8c | b'U' => {
                let length = self.byte()?.into();
                self.text(length, code == b'U')?
            }
            b'B' => {
                let length = self.length32()?;
                self.take(length)?;
                Object::Bytes
            }
            b'C' => {
                let length = self.byte()?.into();
                self.take(length)?;
                Object::Bytes
            }
            _ => return Ok(false),
        };
        self.push(object)?;
        Ok(true)
    }

    fn protocol(&mut self) -> Result<bool, Problem> {
        match self.byte()? {
            2..=5 => Ok(true),
            other => Err(self.unsupported(format!("pickle protocol {other}; 2 to 5 are read"))),
        }
    }

    /// An integer in two's complement, with as many bytes as it needs.
    fn long(&mut self) -> Result<Object, Problem> {
        let length = self.byte()?.into();
        let range = self.take(length)?;
        let bytes = &self.bytes[range];
        if bytes.len() > 8 {
            return Ok(Object::Long);
        }
        let sign = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
        let mut value = [sign; 8];
        value[..bytes.len()].copy_from_slice(bytes);
        Ok(Object::Int(i64::from_le_bytes(value)))
    }

    /// A text; those of Python 2 may be bytes.
    fn text(&mut self, length: usize, python2: bool) -> Result<Object, Problem> {
        let range = self.take(length)?;
        if length > MAX_TEXT {
            return Err(self.unsupported(format!("a text of {length} bytes; at most {MAX_TEXT} are read")));
        }
        match std::str::from_utf8(&self.bytes[range.clone()]) {
            Ok(_) => Ok(Object::Text(range)),
            Err(_) if python2 => Ok(Object::Bytes),
            Err(_) => Err(self.unsupported("a text that is not UTF-8")),
        }
    }
}
