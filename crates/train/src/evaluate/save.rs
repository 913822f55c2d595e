//! Scores and examples of a run, kept in its folder so that pages can show them.

use std::collections::BTreeMap;
use std::path::Path;

use ptu_report::ExampleGroup;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Scores;
use crate::{TrainError, files, folder};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 256 << 20;

/// What the last evaluation of a run found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Scores by gallery.
    pub scores: BTreeMap<String, Scores>,
    /// What was found for what.
    pub examples: Vec<ExampleGroup>,
}

impl Saved {
    /// Writes it into a run folder, in place of what was there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, run: &Path) -> Result<(), TrainError> {
        let json = serde_json::to_vec_pretty(&self.scores).expect("scores are plain data with string keys");
        files::write_bytes(&run.join(folder::SCORES), &json)?;
        let json = serde_json::to_vec(&self.examples).expect("examples are plain data");
        Ok(files::write_bytes(&run.join(folder::EXAMPLES), &json)?)
    }

    /// Reads it from a run folder; it is empty where the run was never evaluated.
    ///
    /// # Errors
    /// A file that cannot be read or holds something else.
    pub fn read(run: &Path) -> Result<Self, TrainError> {
        Ok(Self { scores: read(&run.join(folder::SCORES))?, examples: read(&run.join(folder::EXAMPLES))? })
    }
}

fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T, TrainError> {
    if !path.exists() {
        return Ok(T::default());
    }
    let wrong = |error: serde_json::Error| TrainError::Saved { path: path.into(), cause: error.to_string() };
    serde_json::from_slice(&files::read(path, LARGEST)?).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use ptu_report::{Example, Item};

    use super::*;

    #[test]
    fn what_was_found_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Saved::read(folder.path()).unwrap(), Saved::default());
        let item = Item { id: "a".into(), image_png: Some(vec![1, 2, 255]), text: None };
        let example = Example { query: item, ..Example::default() };
        let saved = Saved {
            scores: [("phantom".to_string(), Scores::default())].into(),
            examples: vec![ExampleGroup { title: "found".into(), examples: vec![example], ..ExampleGroup::default() }],
        };
        saved.write(folder.path()).unwrap();
        assert_eq!(Saved::read(folder.path()).unwrap(), saved);
        std::fs::write(folder.path().join(folder::SCORES), "{").unwrap();
        assert!(Saved::read(folder.path()).unwrap_err().to_string().contains(folder::SCORES));
    }
}
