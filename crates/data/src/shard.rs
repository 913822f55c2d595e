//! Records in parquet files: written once in one stream, read at any position.
//!
//! A folder of shards holds `{split}-{number:05}.parquet` and `manifest.json`. The files open as they are in `datasets`
//! (Hugging Face), in pandas and in DuckDB.

mod file;
mod read;
pub(crate) mod schema;
mod write;

pub use file::OpenShard;
pub use read::{ShardFolder, read_shard};
pub use write::{EXAMPLES, ShardWriter, WriterOptions};
