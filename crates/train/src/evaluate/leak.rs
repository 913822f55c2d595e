//! Whether a model has learned from what it is to be scored on.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use ptu_data::{Manifest, ShardFolder, Split};
use ptu_model::TrainedOn;

use crate::TrainError;

/// Refuses a folder whose records the model has learned from: the very data it was trained on, or, where that data can still
/// be read (`training` names its folders), other shards that hold a record of it.
///
/// # Errors
/// [`TrainError::Learned`]; a manifest that cannot be read.
pub fn check(folder: &Path, split: Split, trained_on: &[TrainedOn], training: &[PathBuf]) -> Result<(), TrainError> {
    let manifest = Manifest::read(folder)?;
    let hash = manifest.hash();
    let learned = |cause: String| Err(TrainError::Learned { path: folder.into(), cause });
    if trained_on.iter().any(|data| data.manifest == hash) {
        return match split {
            Split::Train => learned(format!("all of its split `{split}`")),
            // Its patients are in one split each.
            Split::Validate | Split::Test => Ok(()),
        };
    }
    let mut asked: Option<HashSet<String>> = None;
    for path in training {
        // What the model was trained on may be elsewhere by now: then nothing more can be said.
        let Ok(other) = Manifest::read(path) else { continue };
        let is_training = trained_on.iter().any(|data| data.manifest == other.hash());
        if other.source != manifest.source || !is_training {
            continue;
        }
        let ids = match asked.take() {
            Some(ids) => ids,
            None => ShardFolder::open(folder, split)?.ids()?.into_iter().collect(),
        };
        if let Some(id) = ShardFolder::open(path, Split::Train)?.ids()?.into_iter().find(|id| ids.contains(id)) {
            return learned(format!("`{id}`, of `{}`", path.display()));
        }
        asked = Some(ids);
    }
    Ok(())
}
