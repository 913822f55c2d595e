//! Files of vectors: what embedding writes and searching reads.
//!
//! | column | type | note |
//! |---|---|---|
//! | `id`, `patient`, `source` | Utf8 | of the record |
//! | `modality` | Utf8 | `image`, `text` or `pair`: what the vector was made of |
//! | `split` | Utf8, nullable | where the record came from shards |
//! | `labels` | `list<struct<name: Utf8, value: Utf8>>` | as in shards |
//! | `fields` | as `labels` | named values besides; absent in files of older versions |
//! | `text` | Utf8, nullable | the record's text as it was embedded |
//! | `file`, `record` | Utf8, UInt64, nullable | where its picture lies: an image file, or a position in the split of a folder of shards |
//! | `row` | UInt64, nullable | the row of the table `file` that holds its picture; absent in files of older versions |
//! | `path` | Utf8, nullable | the file that it came from, for people and other programs; absent in files of older versions |
//! | `vector` | `fixed_size_list<Float32>` | |
//!
//! The schema's metadata holds a [`VectorsHeader`] as JSON under the key `ptunifier`.

mod array;
mod file;

use serde::{Deserialize, Serialize};

use crate::picture::PictureLocation;
use crate::record::{Label, Split};

pub use array::{JsonLines, NumpyArray};
pub use file::{VectorReader, VectorWriter};

/// What a vector was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// An image; prompts stood in for its text.
    Image,
    /// A text; prompts stood in for its image.
    Text,
    /// Image and text together.
    Pair,
}

impl Modality {
    /// All of them.
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

/// Which vectors: they can only be compared with those of the same space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// Unit vectors that the contrast compares, one for an image alone and one for a text alone.
    #[default]
    Contrast,
    /// What the fusion says of a record, whichever modality is there: input of classifiers.
    Features,
}

/// What made a file of vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorsHeader {
    /// SHA-256 of the weights and of the preprocessing: vectors of other models cannot be compared.
    pub model: String,
    /// Which vectors.
    pub space: Space,
    /// Elements of a vector.
    pub width: usize,
    /// SHA-256 of what was embedded and how: work is only continued on the same.
    pub inputs: String,
    /// Version of the program.
    pub version: String,
}

/// One vector and what it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorRow {
    /// Id of the record.
    pub id: String,
    /// What the vector was made of.
    pub modality: Modality,
    /// Patient of the record.
    pub patient: String,
    /// Data set of the record.
    pub source: String,
    /// Split of the record, where it came from shards.
    pub split: Option<Split>,
    /// Labels of the record.
    pub labels: Vec<Label>,
    /// Named values of the record besides.
    pub fields: Vec<Label>,
    /// Text of the record, as it is embedded.
    pub text: Option<String>,
    /// Picture of the record.
    pub picture: Option<PictureLocation>,
    /// The file that it came from: that of its picture, else of its text, else the table; of a record of shards the picture's
    /// file as the table or data set named it.
    pub path: Option<String>,
    /// The vector.
    pub vector: Vec<f32>,
}
