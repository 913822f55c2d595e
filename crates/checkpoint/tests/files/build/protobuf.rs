//! Writes messages of protocol buffers.

/// A message that may get more fields.
#[derive(Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    pub fn new() -> Self {
        Self::default()
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap());
    }

    pub fn varint(mut self, field: u64, value: i64) -> Self {
        self.number(field << 3);
        self.number(value.cast_unsigned());
        self
    }

    pub fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.number(field << 3 | 2);
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub fn float(mut self, field: u64, value: f32) -> Self {
        self.number(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn message(self, field: u64, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }

    /// An initializer without elements: name, type (1 is a 32-bit float) and shape.
    pub fn tensor(name: &str, kind: i64, shape: &[i64]) -> Self {
        let start = Self::new().varint(2, kind).text(8, name);
        shape.iter().fold(start, |message, size| message.varint(1, *size))
    }

    /// An initializer whose elements are in another file.
    pub fn external(name: &str, shape: &[i64], entries: &[(&str, &str)]) -> Self {
        let start = Self::tensor(name, 1, shape).varint(14, 1);
        entries
            .iter()
            .fold(start, |message, (key, value)| message.message(13, &Self::new().text(1, key).text(2, value)))
    }

    /// A model with this graph.
    pub fn model(graph: &Message) -> Vec<u8> {
        Self::new().varint(1, 8).message(7, graph).0
    }
}
