//! The file of a training memory. Hashes say to which model and data it belongs, and whether its vectors are those that were written.

use std::collections::HashMap;
use std::path::PathBuf;

use ptu_data::files::sha256_of_parts;
use ptu_infer::Vectors;
use ptu_model::EmbeddingSums;
use ptu_model::files::{read, write_bytes};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};

use crate::EvaluateError;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 32;
/// The version of the contents.
const VERSION: &str = "2";
/// The key of the hash of all arrays.
const CONTENTS: &str = "contents";

/// The vectors of a memory, with the records that they belong to.
#[derive(Clone, Debug)]
pub struct MemoryVectors {
    /// Position of each pair in the training split.
    pub positions: Vec<usize>,
    /// Token ids of its text.
    pub texts: Vec<Vec<u32>>,
    /// Features of its image by the image encoder alone.
    pub image_features: Vectors,
    /// Features of its text by the text encoder alone.
    pub text_features: Vectors,
    /// Sums of all embedded tokens.
    pub sums: EmbeddingSums,
}

/// A file for the vectors of a memory, and what these depend on.
#[derive(Clone, Debug)]
pub struct MemoryFile {
    /// The file.
    pub path: PathBuf,
    /// The fingerprint of the model.
    pub model: String,
    /// The hash of the training data.
    pub data: String,
    /// The seed, and which text of a record is used.
    pub settings: String,
}

impl MemoryFile {
    /// What the file says about itself.
    fn about(&self) -> [(&'static str, &str, &'static str); 4] {
        [
            ("version", VERSION, "another version of this program"),
            ("model", &self.model, "another model"),
            ("data", &self.data, "other training data"),
            ("settings", &self.settings, "another seed or other texts of the records"),
        ]
    }

    fn wrong(&self, cause: impl Into<String>) -> EvaluateError {
        EvaluateError::Memory { path: self.path.clone(), cause: cause.into() }
    }

    /// The vectors in the file; `None` if it does not exist. `empty` has the widths of the model's embeddings.
    pub(super) fn read(&self, empty: &EmbeddingSums) -> Result<Option<MemoryVectors>, EvaluateError> {
        if !self.path.exists() {
            return Ok(None);
        }
        let bytes = read(&self.path, LARGEST)?;
        let metadata = SafeTensors::read_metadata(&bytes).map_err(|error| self.wrong(error.to_string()))?.1;
        let metadata = metadata.metadata().clone().unwrap_or_default();
        for (key, expected, named) in self.about() {
            let found = metadata.get(key).ok_or_else(|| self.wrong(format!("it does not say its {key}")))?;
            if found != expected {
                return Err(self.wrong(format!("it was written for {named} ({key} {found}, not {expected})")));
            }
        }
        let file = SafeTensors::deserialize(&bytes).map_err(|error| self.wrong(error.to_string()))?;
        let mut arrays: Vec<(String, TensorView<'_>)> = file.tensors();
        arrays.sort_by(|one, other| one.0.cmp(&other.0));
        if metadata.get(CONTENTS) != Some(&hash(arrays.iter().map(|(name, view)| (name.as_str(), view.data())))) {
            return Err(self.wrong("its vectors are not those that were written"));
        }
        Contents { file, of: self }.vectors(empty).map(Some)
    }

    /// Writes the file at once.
    pub(super) fn write(&self, vectors: &MemoryVectors) -> Result<(), EvaluateError> {
        let whole = |numbers: Vec<usize>| -> Vec<u8> {
            numbers.into_iter().flat_map(|number| (number as u64).to_le_bytes()).collect()
        };
        let floats = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
        let doubles = |values: &[f64]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
        let MemoryVectors { positions, texts, image_features, text_features, sums } = vectors;
        let ids: Vec<usize> = texts.iter().flatten().map(|id| *id as usize).collect();
        let (pairs, words) = (positions.len(), ids.len());
        let mut arrays = [
            ("positions", Dtype::U64, vec![pairs], whole(positions.clone())),
            ("lengths", Dtype::U64, vec![pairs], whole(texts.iter().map(Vec::len).collect())),
            ("ids", Dtype::U64, vec![words], whole(ids)),
            ("counts", Dtype::U64, vec![2], whole(vec![sums.patch_count, sums.word_count])),
            ("image_features", Dtype::F32, vec![pairs, image_features.width], floats(&image_features.values)),
            ("text_features", Dtype::F32, vec![pairs, text_features.width], floats(&text_features.values)),
            ("patches", Dtype::F64, vec![sums.patches.len()], doubles(&sums.patches)),
            ("words", Dtype::F64, vec![sums.words.len()], doubles(&sums.words)),
        ];
        arrays.sort_by_key(|(name, ..)| *name);
        let mut about: HashMap<String, String> =
            self.about().into_iter().map(|(key, value, _)| (key.to_string(), value.to_string())).collect();
        about.insert(CONTENTS.into(), hash(arrays.iter().map(|(name, _, _, bytes)| (*name, bytes.as_slice()))));
        let views = arrays.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(|error| self.wrong(error.to_string()))?;
            Ok((*name, view))
        });
        let views: Vec<(&str, TensorView<'_>)> = views.collect::<Result<_, EvaluateError>>()?;
        let bytes = serialize(views, Some(about)).map_err(|error| self.wrong(error.to_string()))?;
        Ok(write_bytes(&self.path, &bytes)?)
    }
}

/// The hash of arrays in the order of their names.
fn hash<'a>(arrays: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    sha256_of_parts(arrays.flat_map(|(name, bytes)| [name.as_bytes(), bytes]))
}

/// The arrays of a file.
struct Contents<'f> {
    file: SafeTensors<'f>,
    of: &'f MemoryFile,
}

impl Contents<'_> {
    /// The shape of an array, and its elements of `N` bytes.
    fn array<const N: usize>(&self, name: &str, wanted: Dtype) -> Result<(Vec<usize>, Vec<[u8; N]>), EvaluateError> {
        let view = self.file.tensor(name).map_err(|error| self.of.wrong(error.to_string()))?;
        if view.dtype() != wanted {
            return Err(self.of.wrong(format!("`{name}` is {:?}, not {wanted:?}", view.dtype())));
        }
        let elements = view.data().chunks_exact(N).map(|bytes| bytes.try_into().expect("chunks of this size"));
        Ok((view.shape().to_vec(), elements.collect()))
    }

    fn whole(&self, name: &str) -> Result<Vec<usize>, EvaluateError> {
        let (_, numbers) = self.array::<8>(name, Dtype::U64)?;
        Ok(numbers.into_iter().map(|bytes| u64::from_le_bytes(bytes) as usize).collect())
    }

    fn features(&self, name: &str, pairs: usize) -> Result<Vectors, EvaluateError> {
        let (shape, values) = self.array::<4>(name, Dtype::F32)?;
        match shape[..] {
            [rows, width] if rows == pairs => {
                Ok(Vectors { width, values: values.into_iter().map(f32::from_le_bytes).collect() })
            }
            _ => Err(self.of.wrong(format!("`{name}` has the shape {shape:?} for {pairs} pairs"))),
        }
    }

    fn sums(&self, name: &str, width: usize) -> Result<Vec<f64>, EvaluateError> {
        let (_, values) = self.array::<8>(name, Dtype::F64)?;
        if values.len() != width {
            return Err(self.of.wrong(format!("`{name}` is not as wide as the model")));
        }
        Ok(values.into_iter().map(f64::from_le_bytes).collect())
    }

    fn texts(&self, pairs: usize) -> Result<Vec<Vec<u32>>, EvaluateError> {
        let (ids, lengths) = (self.whole("ids")?, self.whole("lengths")?);
        if lengths.len() != pairs || lengths.iter().sum::<usize>() != ids.len() {
            return Err(self.of.wrong("the lengths of its texts do not add up"));
        }
        let (mut rest, mut texts) = (ids.as_slice(), vec![]);
        for length in lengths {
            let (text, after) = rest.split_at(length);
            texts.push(text.iter().map(|id| *id as u32).collect());
            rest = after;
        }
        Ok(texts)
    }

    fn vectors(&self, empty: &EmbeddingSums) -> Result<MemoryVectors, EvaluateError> {
        let (positions, counts) = (self.whole("positions")?, self.whole("counts")?);
        let pairs = positions.len();
        let &[patch_count, word_count] = counts.as_slice() else {
            return Err(self.of.wrong("`counts` are not two numbers"));
        };
        if pairs == 0 {
            return Err(self.of.wrong("it has no pairs"));
        }
        Ok(MemoryVectors {
            positions,
            texts: self.texts(pairs)?,
            image_features: self.features("image_features", pairs)?,
            text_features: self.features("text_features", pairs)?,
            sums: EmbeddingSums {
                patches: self.sums("patches", empty.patches.len())?,
                patch_count,
                words: self.sums("words", empty.words.len())?,
                word_count,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> MemoryVectors {
        MemoryVectors {
            positions: vec![4, 0],
            texts: vec![vec![0, 7, 2], vec![0, 2]],
            image_features: Vectors { width: 3, values: vec![0.5, -1.0, 2.0, 3.0, 4.0, 5.0] },
            text_features: Vectors { width: 1, values: vec![0.25, 8.0] },
            sums: EmbeddingSums { patches: vec![1.5, 2.5], patch_count: 9, words: vec![-0.125], word_count: 3 },
        }
    }

    #[test]
    fn a_memory_is_read_as_it_was_written_and_only_by_its_own_model() {
        let folder = tempfile::tempdir().unwrap();
        let of = |model: &str, data: &str| MemoryFile {
            path: folder.path().join("memory.safetensors"),
            model: model.into(),
            data: data.into(),
            settings: "seed 0".into(),
        };
        let (own, written) = (of("a1", "d1"), vectors());
        assert!(own.read(&written.sums).unwrap().is_none());
        own.write(&written).unwrap();
        let found = own.read(&written.sums).unwrap().unwrap();
        assert_eq!((found.positions, found.texts), (written.positions, written.texts));
        assert_eq!((found.image_features, found.text_features), (written.image_features, written.text_features));
        assert_eq!((found.sums.patches, found.sums.word_count), (vec![1.5, 2.5], 3));
        let refused = |file: MemoryFile| file.read(&vectors().sums).unwrap_err().to_string();
        assert!(refused(of("b2", "d1")).contains("another model (model a1, not b2)"), "{}", refused(of("b2", "d1")));
        assert!(refused(of("a1", "d2")).contains("other training data"));
        let bytes = std::fs::read(&own.path).unwrap();
        let mut changed = bytes.clone();
        *changed.last_mut().unwrap() ^= 1;
        std::fs::write(&own.path, changed).unwrap();
        assert!(refused(own.clone()).contains("its vectors are not those that were written"));
        std::fs::write(&own.path, &bytes[..bytes.len() - 9]).unwrap();
        assert!(refused(own.clone()).contains("memory.safetensors"));
        std::fs::write(&own.path, b"no safetensors").unwrap();
        assert!(refused(own).contains("memory.safetensors"));
    }
}
