//! Writes a checkpoint as `torch.save` does: a zip archive with a pickle and one file for each storage.

use std::io::{self, Seek, Write};

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// The folder within the archive.
const FOLDER: &str = "archive";
/// Archives with a storage of at least this size are written in the form for large ones (zip64).
const LARGE: usize = 1 << 31;

/// A tensor of 32-bit floats that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenTensor {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// Writes `{"hyper_parameters": {..}, "state_dict": OrderedDict(..)}`, as a checkpoint of Lightning has them. `read` gives the values of a
/// tensor, row by row, one tensor after the other, so that they are not in memory together. `torch.load(path, weights_only=True)` reads
/// the file.
///
/// # Errors
/// When it cannot be written, or a tensor does not have as many values as its shape says.
pub fn write_torch(
    out: impl Write + Seek,
    hyper_parameters: &[(&str, &str)],
    tensors: &[WrittenTensor],
    mut read: impl FnMut(&str) -> io::Result<Vec<f32>>,
) -> io::Result<()> {
    let mut archive = ZipWriter::new(out);
    let mut file = |name: String, bytes: &[u8]| -> io::Result<()> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        archive.start_file(format!("{FOLDER}/{name}"), options.large_file(bytes.len() >= LARGE))?;
        archive.write_all(bytes)
    };
    file("data.pkl".into(), &pickle(hyper_parameters, tensors))?;
    file("byteorder".into(), b"little")?;
    for (key, tensor) in tensors.iter().enumerate() {
        let values = read(&tensor.name)?;
        if tensor.shape.iter().product::<usize>() != values.len() {
            let WrittenTensor { name, shape } = tensor;
            let cause = format!("`{name}` has {} values, which do not fit its shape {shape:?}", values.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, cause));
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        file(format!("data/{key}"), &bytes)?;
    }
    file("version".into(), b"3\n")?;
    archive.finish()?.flush()
}

/// The pickle (protocol 2) of the dictionary.
fn pickle(hyper_parameters: &[(&str, &str)], tensors: &[WrittenTensor]) -> Vec<u8> {
    let mut out = Pickle(vec![0x80, 2]);
    // A dictionary, and a mark before its entries.
    out.0.extend(b"}(");
    out.text("hyper_parameters");
    out.0.extend(b"}(");
    for (key, value) in hyper_parameters {
        out.text(key);
        out.text(value);
    }
    out.0.push(b'u');
    out.text("state_dict");
    out.ordered_dict();
    out.0.push(b'(');
    for (key, tensor) in tensors.iter().enumerate() {
        out.text(&tensor.name);
        out.tensor(key, tensor);
    }
    // The entries into the ordered dictionary, and then those of the outer one.
    out.0.extend(b"uu.");
    out.0
}

/// A pickle that is being written.
struct Pickle(Vec<u8>);

impl Pickle {
    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    fn global(&mut self, module: &str, name: &str) {
        self.0.extend(format!("c{module}\n{name}\n").bytes());
    }

    /// A whole number of 8 bytes with sign: no size of a tensor in memory reaches the sign.
    fn number(&mut self, number: usize) {
        self.0.extend([0x8a, 8]);
        self.0.extend((number as i64).to_le_bytes());
    }

    fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.0.extend(b")R");
    }

    /// A contiguous tensor that is all of the storage with this key.
    fn tensor(&mut self, key: usize, tensor: &WrittenTensor) {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.0.extend(b"((");
        self.text("storage");
        self.global("torch", "FloatStorage");
        self.text(&key.to_string());
        self.text("cpu");
        self.number(tensor.shape.iter().product());
        // The tuple so far is the storage's persistent id; then come offset, shape, strides, requires_grad, hooks.
        self.0.extend(b"tQ");
        self.number(0);
        self.tuple(tensor.shape.iter().copied());
        self.tuple((0..tensor.shape.len()).map(|axis| tensor.shape[axis + 1..].iter().product()));
        self.0.push(0x89);
        self.ordered_dict();
        self.0.extend(b"tR");
    }

    fn tuple(&mut self, numbers: impl Iterator<Item = usize>) {
        self.0.push(b'(');
        numbers.for_each(|number| self.number(number));
        self.0.push(b't');
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Cursor;

    use super::*;
    use crate::{Checkpoint, Value};

    fn tensor(name: &str, shape: &[usize]) -> WrittenTensor {
        WrittenTensor { name: name.into(), shape: shape.into() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let tensors = [tensor("a.weight", &[3, 100]), tensor("b", &[]), tensor("empty", &[0, 4])];
        let values = |name: &str| match name {
            "a.weight" => (0..300).map(|value| value as f32 / 7.0).collect(),
            "b" => vec![-1.5],
            _ => vec![],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.ckpt");
        let hyper_parameters = [("name", "a b"), ("other", "{}")];
        write_torch(File::create(&path).unwrap(), &hyper_parameters, &tensors, |name| Ok(values(name))).unwrap();
        let read = Checkpoint::open(&path).unwrap();
        assert_eq!(read.names().collect::<Vec<_>>(), ["a.weight", "b", "empty"]);
        for tensor in &tensors {
            assert_eq!(read.info(&tensor.name).unwrap().shape, tensor.shape);
            assert_eq!(read.read(&tensor.name).unwrap(), values(&tensor.name));
        }
        let found = read.values()["hyper_parameters"].get("name").cloned();
        assert_eq!(found, Some(Value::Text("a b".into())));
    }

    #[test]
    fn a_shape_that_does_not_fit_is_refused() {
        let read = |_: &str| Ok(vec![1.0]);
        let error = write_torch(Cursor::new(vec![]), &[], &[tensor("a", &[2])], read).unwrap_err().to_string();
        assert!(error.contains("`a` has 1 values") && error.contains("[2]"), "{error}");
    }
}
