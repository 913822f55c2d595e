//! Records: this crate stores them in shards, samples them in a seeded order, masks their texts and collates them into batches.
//! The crate `ptu-prepare` converts other people's files into records.
//!
//! - [`record`]: the typed row of a data set; [`source`]: a sequence of records with access by position.
//! - [`shard`] and [`manifest`]: a folder of shards, which is written completely or not at all, and which is verified when it is
//!   opened; [`columns`]: the purpose of each column of the table that it was prepared from.
//! - [`survey`]: counts of the content of a folder of shards.
//! - [`order`]: which record is used at which position of which step (a pure function); [`mask`]: whole-word masking.
//! - [`collate`], [`batch`] and [`loader`]: turn records into batches in the background, the same batches for any number of
//!   threads; [`partners`]: which image each text of a batch is paired with in image-text matching (ITM).
//! - [`inputs`]: the inputs of a model, read one by one; [`vectors`]: files of the vectors that a model computes from them;
//!   [`view`]: what a task reads of a record; [`incomplete`]: records that lack a modality by chance; [`picture`]: where the image of a record is stored.
//! - [`image_cache`]: the outputs of an image encoder that is not trained, in a file.
//! - [`files`] and [`guard`]: reading of untrusted files with limits on their size.
//!
//! The rules are written in `docs/specification.md`, sections 3 and 6 (called "specification" in comments).
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
pub mod image_cache;
pub mod incomplete;
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
pub mod view;

pub use batch::{KeptPatches, MaskedTexts, TrainBatch, TrainRecord};
pub use collate::{Example, Preparation, TextChoice, TextUnit};
pub use error::{DataError, shortened};
pub use files::sha256;
pub use image_cache::{CacheFormat, ImageCache};
pub use incomplete::{IncompleteSource, Lost, MissingShares};
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
pub use view::{InputForm, RecordView, ViewedSource};

#[cfg(test)]
mod tests;
