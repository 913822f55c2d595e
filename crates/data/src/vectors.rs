//! Files of vectors: `embed` writes them and `search` reads them.
//!
//! | column | type | note |
//! |---|---|---|
//! | `id`, `patient`, `source` | Utf8 | the names of the record |
//! | `modality` | Utf8 | `image`, `text` or `pair`: what the vector was computed from |
//! | `split` | Utf8, nullable | the split, if the record came from shards |
//! | `labels` | `list<struct<name: Utf8, value: Utf8>>` | as in shards |
//! | `fields` | as `labels` | named values that are not labels; absent in files of older versions |
//! | `text` | Utf8, nullable | the embedded text of the record |
//! | `file`, `record` | Utf8, UInt64, nullable | where its image is: an image file, or a position in a split of shards |
//! | `row` | UInt64, nullable | the row of the table `file` that contains its image; absent in files of older versions |
//! | `path` | Utf8, nullable | the file that the record came from, for people and other programs; absent in files of older versions |
//! | `vector` | `fixed_size_list<Float32>` | |
//!
//! The schema's metadata holds a [`VectorsHeader`] as JSON under the key `ptunifier`.

mod array;
mod file;

use serde::{Deserialize, Serialize};

use crate::picture::PictureLocation;
use crate::record::{Label, Split};

pub use array::{JsonLines, NumpyArray, numpy_array};
pub use file::{VectorReader, VectorWriter};

/// What a vector was computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// An image without text; soft prompts replaced the missing text.
    Image,
    /// A text without image; soft prompts replaced the missing image.
    Text,
    /// An image and a text together.
    Pair,
}

impl Modality {
    /// All modalities.
    pub const ALL: [Self; 3] = [Self::Image, Self::Text, Self::Pair];

    /// The word used in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Text => "text",
            Self::Pair => "pair",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|modality| modality.name() == word)
    }
}

/// The vector space: only vectors of the same space can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// The unit vectors of the contrastive objective: one for an image without text, one for a text without image.
    #[default]
    Contrast,
    /// The output of the fusion encoder for a record with either or both modalities; it is the input of classifiers.
    Features,
    /// The outputs of one encoder alone, before the fusion: for the first token, and the mean for all tokens. Vectors of images and of texts
    /// cannot be compared with each other.
    Encoder,
}

/// The header of a file of vectors: which model computed them, from which inputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorsHeader {
    /// SHA-256 of the weights and of the preprocessing: vectors of other models cannot be compared.
    pub model: String,
    /// The space of the vectors.
    pub space: Space,
    /// The number of elements of a vector.
    pub width: usize,
    /// SHA-256 of the inputs and of the options. Interrupted work is only continued if it is still the same.
    pub inputs: String,
    /// The version of the program.
    pub version: String,
}

/// One vector and the record that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorRow {
    /// The id of the record.
    pub id: String,
    /// What the vector was computed from.
    pub modality: Modality,
    /// Patient of the record.
    pub patient: String,
    /// Data set of the record.
    pub source: String,
    /// The split of the record, if it came from shards.
    pub split: Option<Split>,
    /// Labels of the record.
    pub labels: Vec<Label>,
    /// Named values of the record that are not labels.
    pub fields: Vec<Label>,
    /// The embedded text of the record.
    pub text: Option<String>,
    /// Where the image of the record is stored.
    pub picture: Option<PictureLocation>,
    /// The file that the record came from: the file of its image, else of its text, else the table. For a record of shards:
    /// the file of the image, as the table or data set named it.
    pub path: Option<String>,
    /// The vector.
    pub vector: Vec<f32>,
}
