//! Records: kept in shards, drawn in a seeded order, masked and collated into batches. How files of others become records is the
//! matter of `ptu-prepare`.
//!
//! - [`record`]: the typed row; [`source`]: a number of them, reachable by position.
//! - [`shard`] and [`manifest`]: a folder of shards, written whole or not at all, verified when opened; [`columns`]: what the
//!   columns of its table were taken for.
//! - [`survey`]: what a folder of shards holds, counted.
//! - [`order`]: which record stands at which place of which step, a pure function; [`mask`]: whole-word masking.
//! - [`collate`], [`batch`] and [`loader`]: records into batches, ahead of the model, the same for any number of threads;
//!   [`partners`]: who is matched with whom in one.
//! - [`inputs`]: what a model is asked about, read one by one; [`vectors`]: files of what a model makes of it; [`picture`]: where a
//!   record's picture lies.
//! - [`files`] and [`guard`]: files from outside, read within bounds.
//!
//! The rules stand in `docs/specification.md`, sections 3 and 6 ("specification" in comments).
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
pub mod columns;
mod error;
pub mod files;
pub mod guard;
pub mod inputs;
pub mod loader;
pub mod manifest;
pub mod mask;
pub mod order;
pub mod partners;
pub mod picture;
pub mod record;
pub mod shard;
pub mod source;
pub mod survey;
pub mod vectors;

pub use batch::{MaskedTexts, TrainBatch, TrainRecord};
pub use collate::{Example, Preparation, TextChoice, TextUnit};
pub use error::{DataError, shortened};
pub use files::sha256;
pub use inputs::Inputs;
pub use loader::{Examples, Loader, LoaderOptions, WeightedSource};
pub use manifest::{Counts, Manifest};
pub use mask::{MaskTokens, Masked};
pub use order::{Draw, Mixture, Rank, Share};
pub use partners::Partners;
pub use record::{Finding, Label, Mark, Question, Record, RecordImage, Section, SentencePair, Split, UnknownSplit};
pub use shard::{ShardFolder, ShardWriter, WriterOptions};
pub use source::{Records, Source};
pub use survey::Survey;

#[cfg(test)]
mod tests;
