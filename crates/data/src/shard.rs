//! Records in parquet files: they are written once, in one stream, and can be read at any position.
//!
//! A folder of shards contains `{split}-{number:05}.parquet`, `manifest.json` and a data set card. `datasets` (Hugging Face),
//! pandas and DuckDB can open the parquet files directly.

mod file;
mod read;
pub(crate) mod schema;
mod write;

pub use file::OpenShard;
pub use read::{ShardFolder, read_shard};
pub use write::{EXAMPLES, ShardWriter, WriterOptions};
