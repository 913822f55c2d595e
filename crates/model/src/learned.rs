//! Hashes of the images and texts that a model was trained on. With them one can check whether a given record was in the training
//! data, but one cannot read a record from them.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use ptu_input::files::write_atomically;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::ModelError;
use crate::files::{read, write_error};

/// The file of a bundle with the hashes of the training data.
pub const LEARNED: &str = "learned.safetensors";
/// What a model card says of [`LEARNED`].
pub const ABOUT_LEARNED: &str = "`learned.safetensors` contains no weights. It lists 64-bit hashes of the images (their pixels) and of the \
    texts that the model was trained on. With them, `ptunifier evaluate` can refuse to score records that the model was trained on, even \
    without the training data. An image or a text cannot be recovered from its hash. But whoever has an image or a text, or guesses a \
    short text, can find out whether the model was trained on it. If this matters, delete the file before you pass the folder on; the \
    check then compares only the ids of records.";
const IMAGES: &str = "images";
const TEXTS: &str = "texts";
/// The largest file that is read, in bytes: enough for 64 million images and as many texts.
const LARGEST: u64 = 1 << 30;

/// 64-bit hashes of the images and texts that a model was trained on.
///
/// Two different images or texts have the same hash with a probability of 1 in 2^64. If a thousand new records are looked up
/// among a million hashes, the probability that any of them is wrongly found is about 1 in 2 * 10^10.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learned {
    /// Hashes of the pixels of each image (`Picture::content_hash`).
    pub images: BTreeSet<u64>,
    /// Hashes of each whole text (`ptu_input::text::text_hash`).
    pub texts: BTreeSet<u64>,
}

impl Learned {
    /// Writes both lists in ascending order, as a safetensors file of 64-bit integers. Equal sets give equal bytes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ModelError> {
        let bytes = |hashes: &BTreeSet<u64>| hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect::<Vec<u8>>();
        let (images, texts) = (bytes(&self.images), bytes(&self.texts));
        let view =
            |bytes| TensorView::new(Dtype::U64, vec![<[u8]>::len(bytes) / 8], bytes).map_err(std::io::Error::other);
        write_atomically(path, |temporary| {
            // Only one entry, because the order of several entries in the header would not be fixed.
            let about = "hashes of what the model has learned from, no weights".to_string();
            let metadata = HashMap::from([("about".to_string(), about)]);
            let views = [(IMAGES, view(&images)?), (TEXTS, view(&texts)?)];
            let file = safetensors::serialize(views, Some(metadata)).map_err(std::io::Error::other)?;
            fs::write(temporary, file)
        })
        .map_err(write_error(path))
    }

    /// Reads a file that [`Self::write`] wrote; `None` if there is no such file, as in bundles of earlier versions.
    ///
    /// # Errors
    /// When the file cannot be read, is too large or has other contents.
    pub fn read(path: &Path) -> Result<Option<Self>, ModelError> {
        if !path.exists() {
            return Ok(None);
        }
        let wrong = |cause: String| ModelError::Format { path: path.into(), expected: "a list of hashes", cause };
        let bytes = read(path, LARGEST)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
        let hashes = |name: &str| {
            let view = file.tensor(name).map_err(|error| wrong(error.to_string()))?;
            if view.dtype() != Dtype::U64 || view.shape().len() != 1 {
                return Err(wrong(format!("`{name}` is not a list of 64-bit integers")));
            }
            let numbers = view.data().chunks_exact(8);
            let numbers = numbers.map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
            let numbers: Vec<u64> = numbers.collect();
            if !numbers.is_sorted_by(|one, next| one < next) {
                return Err(wrong(format!("`{name}` is not in ascending order")));
            }
            Ok(numbers.into_iter().collect())
        };
        Ok(Some(Self { images: hashes(IMAGES)?, texts: hashes(TEXTS)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_after_writing_and_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LEARNED);
        assert_eq!(Learned::read(&path).unwrap(), None);
        for learned in [
            Learned::default(),
            Learned { images: [7, 3, u64::MAX].into(), texts: [0].into() },
            Learned {
                images: [].into(),
                texts: (0..1000).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect(),
            },
        ] {
            learned.write(&path).unwrap();
            let first = fs::read(&path).unwrap();
            assert_eq!(Learned::read(&path).unwrap(), Some(learned.clone()));
            learned.write(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), first);
        }
    }

    #[test]
    fn a_damaged_file_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LEARNED);
        let learned = Learned { images: [1, 2, 3].into(), texts: [4].into() };
        learned.write(&path).unwrap();
        let good = fs::read(&path).unwrap();
        let message = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            Learned::read(&path).unwrap_err().to_string()
        };
        assert!(message(&good[..good.len() - 1]).contains("is not a list of hashes"));
        assert!(message(b"{}").contains(LEARNED));
        let mut swapped = good.clone();
        let end = good.len();
        swapped[end - 32..].copy_from_slice(&[2u64, 1, 3, 4].map(u64::to_le_bytes).concat());
        assert!(message(&swapped).contains("not in ascending order"));
        let floats = good.to_vec();
        let floats = String::from_utf8_lossy(&floats[8..]).replace("U64", "F64");
        assert!(message(&[&good[..8], floats.as_bytes()].concat()).contains("64-bit integers"));
        fs::write(&path, "").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(Learned::read(&path).unwrap_err().to_string().contains("at most"));
    }
}
