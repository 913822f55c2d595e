//! Records: prepared from raw data into shards, drawn in a seeded order, masked and collated into batches.
//!
//! - [`record`]: the typed row; [`source`]: a number of them, reachable by position.
//! - [`prepare`]: raw data into a folder of shards; [`shard`] and [`manifest`]: that folder, written whole or not at all,
//!   verified when opened.
//! - [`raw`]: downloads as they came, packed or not.
//! - [`survey`]: what a folder of shards holds, counted.
//! - [`order`]: which record stands at which place of which step, a pure function; [`mask`]: whole-word masking.
//! - [`collate`], [`batch`] and [`loader`]: records into batches, ahead of the model, the same for any number of threads;
//!   [`partners`]: who is matched with whom in one.
//! - [`inputs`]: what a person names on a command line, as records; [`vectors`]: files of what a model makes of them;
//!   [`picture`]: where a record's picture lies.
//! - [`phantom`]: a synthetic corpus.
//!
//! The rules stand in `docs/specification.md`, sections 3 and 6 ("specification" in comments), those of the public data sets in
//! `docs/layouts.md`.
//!
//! ```
//! use ptu_data::{Record, Records, ShardFolder, ShardWriter, Source, Split, WriterOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let here = tempfile::tempdir()?;
//! # let folder = here.path().join("shards");
//! let mut writer = ShardWriter::create(&folder, WriterOptions::new("notes"))?;
//! writer.write(Record {
//!     id: "1".into(),
//!     patient: "p1".into(),
//!     texts: vec!["The heart is enlarged.".into()],
//!     split: Split::Train,
//!     source: "notes".into(),
//!     ..Record::default()
//! })?;
//! let manifest = writer.finish()?;
//! assert_eq!(manifest.counts(Split::Train).texts_only, 1);
//!
//! let train = ShardFolder::open(&folder, Split::Train)?;
//! assert_eq!((train.len(), train.get(0)?.patient), (1, "p1".into()));
//! # Ok(())
//! # }
//! ```

pub mod batch;
mod card;
pub mod collate;
mod error;
mod files;
mod guard;
pub mod inputs;
pub mod loader;
pub mod manifest;
pub mod mask;
pub mod order;
pub mod partners;
pub mod phantom;
pub mod picture;
pub mod prepare;
pub mod raw;
pub mod record;
pub mod shard;
pub mod source;
pub mod survey;
pub mod vectors;

pub use batch::{MaskedTexts, TrainBatch, TrainRecord};
pub use collate::{Example, Preparation, TextChoice, TextUnit};
pub use error::DataError;
pub use files::sha256;
pub use inputs::Inputs;
pub use loader::{Examples, Loader, LoaderOptions, WeightedSource};
pub use manifest::{Counts, Manifest};
pub use mask::{MaskTokens, Masked};
pub use order::{Draw, Mixture, Rank, Share};
pub use partners::Partners;
pub use prepare::{Making, Prepared, Progress, Shares, Stage};
pub use record::{Finding, Label, Mark, Question, Record, RecordImage, Section, SentencePair, Split, UnknownSplit};
pub use shard::{ShardFolder, ShardWriter, WriterOptions};
pub use source::{Records, Source};
pub use survey::Survey;

#[cfg(test)]
mod tests;
