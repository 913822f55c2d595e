//! The inputs of a model, which are read one by one and of which some may be unusable. The trait [`Inputs`] is implemented for
//! files, tables and shards in `ptu-prepare`; a program can implement it for its own data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::picture::PictureLocation;
use crate::record::{Record, Split};

/// Any number of inputs in a fixed order.
pub trait Inputs {
    /// Number of inputs.
    fn count(&self) -> u64;

    /// A hash of the inputs. Interrupted work is only continued if the hash is still the same.
    ///
    /// # Errors
    /// When the inputs can no longer be read.
    fn hash(&self) -> Result<String, DataError>;

    /// All inputs in order, starting at position `from` (the first is 0). The iterator ends after an error.
    fn stream(&self, from: u64) -> Box<dyn Iterator<Item = Result<Pending, DataError>> + '_>;
}

/// An input that could not be used and is skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedInput {
    /// The file of the input, or its table and line.
    pub name: String,
    /// What is wrong with it.
    pub cause: String,
}

/// One input that was read, as a record.
#[derive(Debug)]
pub struct Loaded {
    /// The file of the input, or its table and line.
    pub name: String,
    /// The record.
    pub record: Record,
    /// Where its image is stored.
    pub picture: Option<PictureLocation>,
    /// The file that the input came from: the file of its image, else of its text, else the table. For a record of shards: the
    /// file of the image, as the table or data set named it.
    pub path: Option<String>,
    /// Its split, if shards or a column of the table give it.
    pub split: Option<Split>,
}

/// One input that has not been read yet. It can be read on any thread.
pub struct Pending(Box<dyn FnOnce() -> Result<Loaded, SkippedInput> + Send>);

impl Pending {
    /// An input that the function `read` will read.
    pub fn new(read: impl FnOnce() -> Result<Loaded, SkippedInput> + Send + 'static) -> Self {
        Self(Box::new(read))
    }

    /// Reads the input.
    ///
    /// # Errors
    /// The input with the reason why it cannot be used.
    pub fn load(self) -> Result<Loaded, SkippedInput> {
        self.0()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pending")
    }
}
