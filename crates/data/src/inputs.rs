//! Inputs of a model that are read one by one and may turn out to be unusable: the contract, which files, tables and shards fulfil
//! (`ptu-prepare`), and which a program fulfils for whatever it has.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::picture::PictureLocation;
use crate::record::{Record, Split};

/// Any number of inputs in an order that stays.
pub trait Inputs {
    /// Number of inputs.
    fn count(&self) -> u64;

    /// A hash of what would be read, so that work on it is only continued on the same.
    ///
    /// # Errors
    /// When it cannot be read any more.
    fn hash(&self) -> Result<String, DataError>;

    /// All inputs in order, from one on (the first is 0); an error ends it.
    fn stream(&self, from: u64) -> Box<dyn Iterator<Item = Result<Pending, DataError>> + '_>;
}

/// An input that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its file, or its table and line.
    pub name: String,
    /// What is wrong with it.
    pub cause: String,
}

/// One input as a record.
#[derive(Debug)]
pub struct Loaded {
    /// Its file, or its table and line.
    pub name: String,
    /// The record.
    pub record: Record,
    /// Where its picture lies.
    pub picture: Option<PictureLocation>,
    /// The file that it came from: that of its picture, else of its text, else the table; of a record of shards the picture's
    /// file as the table or data set named it.
    pub path: Option<String>,
    /// Its split, where shards or a column of the table say it.
    pub split: Option<Split>,
}

/// One input that is still to be read; that can be done on any thread.
pub struct Pending(Box<dyn FnOnce() -> Result<Loaded, LeftOut> + Send>);

impl Pending {
    /// An input that this function reads.
    pub fn new(read: impl FnOnce() -> Result<Loaded, LeftOut> + Send + 'static) -> Self {
        Self(Box::new(read))
    }

    /// Reads the input.
    ///
    /// # Errors
    /// What is wrong with it, and which it is.
    pub fn load(self) -> Result<Loaded, LeftOut> {
        self.0()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pending")
    }
}
