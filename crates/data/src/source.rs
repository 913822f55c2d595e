//! [`Source`]: a data set with a known number of records and access by position.

use crate::error::DataError;
use crate::record::Record;

/// A data set that can be read at any position, from any thread.
pub trait Source: Send + Sync {
    /// Name of the data set, for counts and messages.
    fn name(&self) -> &str;

    /// Number of records.
    fn len(&self) -> usize;

    /// The record at a position below [`Source::len`].
    ///
    /// # Errors
    /// When the position is beyond the end or the record cannot be read.
    fn get(&self, index: usize) -> Result<Record, DataError>;

    /// Calls `each` with all records in order. Records may come without their images, where that saves reading them.
    ///
    /// # Errors
    /// When a record cannot be read.
    fn each_without_image(&self, each: &mut dyn FnMut(Record)) -> Result<(), DataError> {
        for index in 0..self.len() {
            each(self.get(index)?);
        }
        Ok(())
    }

    /// True when there is no record.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Records in memory, for tests and for programs that create their own records.
#[derive(Clone, Debug)]
pub struct Records {
    /// Name of the data set.
    pub name: String,
    /// The records, in order.
    pub records: Vec<Record>,
}

impl Source for Records {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.records.len()
    }

    fn get(&self, index: usize) -> Result<Record, DataError> {
        self.records.get(index).cloned().ok_or_else(|| DataError::OutOfRange {
            source_name: self.name.clone(),
            index,
            len: self.len(),
        })
    }
}
