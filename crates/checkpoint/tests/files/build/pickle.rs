//! Writes pickles of protocol 2, one operation a method.

/// A pickle that is not finished.
#[derive(Clone)]
pub struct Pickle(Vec<u8>);

impl Pickle {
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    /// Any operation with its argument.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The pickle with its last operation.
    pub fn finish(self) -> Vec<u8> {
        self.raw(b".").0
    }

    pub fn text(self, text: &str) -> Self {
        let length = u32::try_from(text.len()).unwrap();
        self.raw(b"X").raw(&length.to_le_bytes()).raw(text.as_bytes())
    }

    pub fn int(self, value: i64) -> Self {
        self.raw(&[0x8a, 8]).raw(&value.to_le_bytes())
    }

    pub fn mark(self) -> Self {
        self.raw(b"(")
    }

    /// A tuple of all since the mark.
    pub fn tuple(self) -> Self {
        self.raw(b"t")
    }

    pub fn dict(self) -> Self {
        self.raw(b"}")
    }

    pub fn list(self) -> Self {
        self.raw(b"]")
    }

    pub fn append(self) -> Self {
        self.raw(b"a")
    }

    /// Sets a key and a value of the dictionary below them.
    pub fn set_item(self) -> Self {
        self.raw(b"s")
    }

    /// Sets all keys and values since the mark.
    pub fn set_items(self) -> Self {
        self.raw(b"u")
    }

    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub fn reduce(self) -> Self {
        self.raw(b"R")
    }

    pub fn put(self, key: u8) -> Self {
        self.raw(&[b'q', key])
    }

    pub fn get(self, key: u8) -> Self {
        self.raw(&[b'h', key])
    }

    fn sizes(self, sizes: &[i64]) -> Self {
        sizes.iter().fold(self.mark(), |pickle, size| pickle.int(*size)).tuple()
    }

    /// The persistent id of a storage.
    pub fn storage(self, class: &str, key: &str, elements: i64) -> Self {
        let parts = self.mark().text("storage").global("torch", class).text(key).text("cpu").int(elements);
        parts.tuple().raw(b"Q")
    }

    /// A tensor: a view of a storage.
    pub fn tensor(self, storage: (&str, &str, i64), offset: i64, shape: &[i64], strides: &[i64]) -> Self {
        let (class, key, elements) = storage;
        let start = self.global("torch._utils", "_rebuild_tensor_v2").mark().storage(class, key, elements);
        let view = start.int(offset).sizes(shape).sizes(strides);
        view.raw(&[0x89]).global("collections", "OrderedDict").raw(b")").reduce().tuple().reduce()
    }

    /// A dictionary with one tensor `w` of two 32-bit floats in storage `0`.
    pub fn state_dict() -> Self {
        Self::new().dict().text("w").tensor(("FloatStorage", "0", 2), 0, &[2], &[1]).set_item()
    }
}
