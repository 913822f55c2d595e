//! What became of each weight: the report of an import.

use std::path::PathBuf;

use ptu_model::WeightSource;
use serde::Serialize;

use crate::licence::licence;

/// What became of each weight of a file and of each weight of the encoder.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The file of weights.
    pub source: PathBuf,
    /// The layout that was recognised.
    pub layout: String,
    /// The weights of the result, in the order of their names.
    pub weights: Vec<ImportedWeight>,
    /// The tensors of the file that were not used.
    pub unused: Vec<UnusedTensor>,
    /// Values that no file gives, with the defaults that were used.
    pub assumed: Vec<Assumed>,
}

impl Report {
    /// The file, without the folders above its own, with the licence that the files beside it state.
    pub fn weight_source(&self) -> WeightSource {
        let last: Vec<_> = self.source.components().rev().take(2).collect();
        let name = last.into_iter().rev().collect::<PathBuf>().display().to_string();
        WeightSource { name, layout: self.layout.clone(), licence: licence(&self.source) }
    }
}

/// A weight of the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImportedWeight {
    /// Its published name.
    pub name: String,
    /// Where its values come from.
    pub origin: Origin,
}

/// Where the values of a weight come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// From tensors of the file, joined in this order.
    Matched {
        /// Their names.
        from: Vec<String>,
    },
    /// Position embeddings that were resized to another grid.
    Resized {
        /// The names of the tensors.
        from: Vec<String>,
        /// Patches along one side in the file.
        grid: usize,
        /// Patches along one side in the model.
        to: usize,
    },
    /// It is not in the file and is initialised anew.
    Initialised,
}

/// A tensor of the file that was not used.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnusedTensor {
    /// Its name in the file.
    pub name: String,
    /// Why it was not used.
    pub reason: UnusedReason,
}

/// Why a tensor of a file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnusedReason {
    /// It belongs to a head, a pooler or a projection behind the encoder.
    Head,
    /// It belongs to another part of the model in the file, such as the encoder of the other modality.
    OtherPart,
    /// It is used in pre-training only, such as a mask token.
    PretrainingOnly,
    /// It holds no learned values, such as the numbers of positions.
    NotLearned,
    /// It belongs to a block at the end that is not used (`drop_last`).
    DroppedBlock,
    /// Nothing explains it, but a pattern of `--allow-missing` matches it.
    Allowed,
}

/// A value that no file gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assumed {
    /// What it is, for example `image.heads`.
    pub key: &'static str,
    /// The value that was used.
    pub value: String,
    /// Where the default comes from.
    pub because: &'static str,
}
