//! Vectors for programs that cannot read parquet: a NumPy array with a JSON lines file that describes its rows, or JSON lines
//! only.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{VectorRow, VectorsHeader};
use crate::error::DataError;
use crate::picture::PictureLocation;
use crate::record::Label;

/// A writer of JSON lines: the first line is the header, each further line is a row.
pub struct JsonLines {
    path: PathBuf,
    file: BufWriter<File>,
    with_vectors: bool,
}

impl JsonLines {
    /// Starts a file; `notes` are written to the first line together with the header.
    ///
    /// # Errors
    /// When it cannot be created or written.
    pub fn create(path: &Path, header: &VectorsHeader, notes: &Value) -> Result<Self, DataError> {
        Self::start(path, header, notes, true)
    }

    fn start(path: &Path, header: &VectorsHeader, notes: &Value, with_vectors: bool) -> Result<Self, DataError> {
        let file = File::create(path).map_err(DataError::io("create", path))?;
        let mut lines = Self { path: path.into(), file: BufWriter::new(file), with_vectors };
        lines.write_line(&json!({ "header": header, "notes": notes }))?;
        Ok(lines)
    }

    fn write_line(&mut self, value: &Value) -> Result<(), DataError> {
        writeln!(self.file, "{value}").map_err(DataError::io("write", &self.path))
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, row: &VectorRow) -> Result<(), DataError> {
        let (file, record, table_row) = match &row.picture {
            Some(PictureLocation::File(path)) => (Some(path), None, None),
            Some(PictureLocation::Shards { folder, record, .. }) => (Some(folder), Some(record), None),
            Some(PictureLocation::Table { table, row }) => (Some(table), None, Some(row)),
            None => (None, None, None),
        };
        let to_json = |labels: &[Label]| -> Vec<Value> {
            labels.iter().map(|label| json!({ "name": label.name, "value": label.value })).collect()
        };
        let mut line = json!({
            "id": row.id, "modality": row.modality, "patient": row.patient, "source": row.source, "split": row.split,
            "labels": to_json(&row.labels), "fields": to_json(&row.fields), "text": row.text, "file": file,
            "record": record, "row": table_row, "path": row.path,
        });
        if self.with_vectors {
            line["vector"] = json!(row.vector);
        }
        self.write_line(&line)
    }

    /// Finishes the file and syncs it to the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> Result<(), DataError> {
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        done.map_err(DataError::io("write", &self.path))
    }
}

/// A writer of a NumPy array `[rows, width]`, and of a second file that describes each row: JSON lines without vectors.
pub struct NumpyArray {
    path: PathBuf,
    file: BufWriter<File>,
    descriptions: JsonLines,
}

impl NumpyArray {
    /// Starts the array at the first path and the row descriptions at the second one. `rows` is the number of rows that will be
    /// written; `notes` are written to the first line of the descriptions together with the header.
    ///
    /// # Errors
    /// When a file cannot be created or written.
    pub fn create(
        (path, descriptions): (&Path, &Path),
        header: &VectorsHeader,
        notes: &Value,
        rows: u64,
    ) -> Result<Self, DataError> {
        let file = File::create(path).map_err(DataError::io("create", path))?;
        let descriptions = JsonLines::start(descriptions, header, notes, false)?;
        let mut array = Self { path: path.into(), file: BufWriter::new(file), descriptions };
        array.file.write_all(&numpy_header(rows, header.width)).map_err(DataError::io("write", path))?;
        Ok(array)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, row: &VectorRow) -> Result<(), DataError> {
        let write =
            || -> io::Result<()> { row.vector.iter().try_for_each(|value| self.file.write_all(&value.to_le_bytes())) };
        let mut write = write;
        write().map_err(DataError::io("write", &self.path))?;
        self.descriptions.write(row)
    }

    /// Finishes both files and syncs them to the disk.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(mut self) -> Result<(), DataError> {
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        done.map_err(DataError::io("write", &self.path))?;
        self.descriptions.finish()
    }
}

/// The bytes of a `.npy` file of rows with `width` values each.
///
/// # Panics
/// If the values do not fill their rows.
pub fn numpy_array(values: &[f32], width: usize) -> Vec<u8> {
    assert!(width > 0 && values.len().is_multiple_of(width), "the values fill their rows");
    let mut bytes = numpy_header((values.len() / width) as u64, width);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// The header of NumPy's format 1.0: magic bytes, length, and a Python dictionary, padded to a multiple of 64 bytes.
fn numpy_header(rows: u64, width: usize) -> Vec<u8> {
    let mut words = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    while !(10 + words.len() + 1).is_multiple_of(64) {
        words.push(' ');
    }
    words.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((words.len() as u16).to_le_bytes());
    header.extend(words.into_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{Modality, Space};

    #[test]
    fn the_header_says_type_and_shape() {
        let bytes = numpy_array(&[1.0, 2.0, 3.0], 1);
        let text = String::from_utf8_lossy(&bytes[10..128]);
        assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }"), "{text}");
        assert_eq!((bytes.len(), bytes[127]), (128 + 12, b'\n'));
        assert_eq!(bytes[128..132], 1.0f32.to_le_bytes());
    }

    #[test]
    fn an_array_and_its_descriptions_contain_the_written_rows() {
        let folder = tempfile::tempdir().unwrap();
        let (path, names) = (folder.path().join("v.npy"), folder.path().join("v.jsonl"));
        let header = VectorsHeader {
            model: "ab".into(),
            space: Space::Features,
            width: 3,
            inputs: "cd".into(),
            version: "0".into(),
        };
        let row = VectorRow {
            id: "a".into(),
            modality: Modality::Text,
            patient: "p".into(),
            source: "s".into(),
            split: None,
            labels: vec![],
            fields: vec![Label::new("age", "61")],
            text: Some("one \"two\"".into()),
            picture: None,
            path: Some("notes/a.txt".into()),
            vector: vec![1.0, -2.0, 0.5],
        };
        let mut array = NumpyArray::create((&path, &names), &header, &json!({ "cut": 1 }), 2).unwrap();
        (0..2).for_each(|_| array.write(&row).unwrap());
        array.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 128 + 24);
        assert!(String::from_utf8_lossy(&bytes[..128]).contains("'shape': (2, 3)"));
        assert_eq!(bytes[132..136], (-2.0f32).to_le_bytes());
        let lines = std::fs::read_to_string(&names).unwrap();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[0]["header"]["model"]), (3, &json!("ab")));
        assert_eq!(lines[0]["notes"]["cut"], 1);
        assert_eq!((&lines[2]["text"], lines[2].get("vector")), (&json!("one \"two\""), None));
        assert_eq!((&lines[1]["path"], &lines[1]["fields"][0]["value"]), (&json!("notes/a.txt"), &json!("61")));
        let mut whole = JsonLines::create(&names, &header, &Value::Null).unwrap();
        whole.write(&row).unwrap();
        whole.finish().unwrap();
        let lines = std::fs::read_to_string(&names).unwrap();
        let row: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert_eq!(row["vector"], json!([1.0, -2.0, 0.5]));
    }
}
