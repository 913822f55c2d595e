//! Turns raw data into records: public data sets and tables into folders of shards, and the inputs named by the user into
//! records for a model.
//!
//! - [`phantom`]: a synthetic corpus; [`table`]: the user's own pairs; [`named`]: public data sets.
//! - All three read rows one after another. All cores turn the rows into records, in blocks that are kept if the process is
//!   killed ([`PrepareOptions`]), on one machine or on many ([`join_parts`]).
//! - [`InputFiles`]: files, folders, patterns, tables and shards as one stream of records; [`PictureReader`]: reads their
//!   pictures again.
//! - [`raw`]: downloads in the form in which they were published, packed or unpacked.
//!
//! `docs/layouts.md` describes the layouts of the public data sets; `docs/specification.md`, section 6, the rules.
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

mod asked;
mod blocks;
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
mod shared_values;
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
