//! What is scored on.

use std::path::PathBuf;
use std::sync::Arc;

use ptu_data::ShardFolder;

/// A folder of shards that is scored on.
pub(super) struct Opened {
    /// The folder.
    pub path: PathBuf,
    /// Its split that is scored.
    pub source: Arc<ShardFolder>,
    /// Its training split, where a probe is to be fitted and the split exists.
    pub train: Option<ShardFolder>,
}
