//! Folders of shards that are opened for an evaluation.

use std::path::PathBuf;
use std::sync::Arc;

use ptu_data::ShardFolder;

/// A folder of shards that a model is evaluated on.
pub(super) struct EvaluationFolder {
    /// The folder.
    pub path: PathBuf,
    /// The split that is scored.
    pub source: Arc<ShardFolder>,
    /// The training split, if probes are to be fitted and the split exists.
    pub train: Option<ShardFolder>,
}
