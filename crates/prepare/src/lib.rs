//! Files of others become records: raw data into folders of shards, and whatever a person names as inputs of a model.
//!
//! - [`phantom`]: a synthetic corpus; [`table`]: anybody's own pairs; [`named`]: public data sets.
//! - All of them hand on rows one after another, which are made into records on all cores, in blocks that survive a kill
//!   ([`PrepareOptions`]), on one machine or on many ([`join_parts`]).
//! - [`InputFiles`]: files, folders, patterns, tables and shards as one stream of records; [`PictureReader`]: their pictures, read again.
//! - [`raw`]: downloads as they came, packed or not.
//!
//! The layouts of public data sets stand in `docs/layouts.md`, the rules in `docs/specification.md`, section 6.
//!
//! ```
//! use ptu_data::{ShardFolder, Source, Split};
//! use ptu_prepare::phantom::{PhantomOptions, prepare_phantom};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let here = tempfile::tempdir()?;
//! # let folder = here.path().join("shards");
//! prepare_phantom(&folder, &PhantomOptions::new(20, 1), &|_| {})?;
//! assert_eq!(ShardFolder::open(&folder, Split::Train)?.len(), 16);
//! # Ok(())
//! # }
//! ```

mod blocks;
mod common;
mod draft;
mod inputs;
mod join;
pub mod named;
mod paths;
pub mod phantom;
mod pictures;
mod prepared;
pub mod raw;
mod run;
mod shares;
pub mod table;

pub use blocks::Part;
pub use inputs::InputFiles;
pub use pictures::PictureReader;
pub use prepared::{Duplicates, Prepared, Progress, Stage};
pub use run::{PrepareOptions, join_parts};
pub use shares::Shares;

#[cfg(test)]
mod tests;
